"""Bootstrap by patient: clusters, pairing, exactness, agreement with SciPy and with a plain loop."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.evaluation.statistics import (
    CountStatistic,
    Interval,
    bootstrap,
    f1,
    mean_statistic,
    paired_bootstrap,
    ratio,
)

VALUES = np.random.default_rng(0).random(200)
ALONE = [f"p{i}" for i in range(200)]


def interval_of_mean(values: np.ndarray, patients: list[str], **options: float) -> Interval:
    return bootstrap({"mean": mean_statistic(values)}, patients, **options)["mean"]  # type: ignore[arg-type]


def test_the_estimate_is_the_mean_and_lies_inside_its_interval() -> None:
    found = interval_of_mean(VALUES, ALONE)
    assert found.value == pytest.approx(VALUES.mean(), abs=1e-8)
    assert found.low < found.value < found.high
    assert (found.n, found.patients, found.level) == (200, 200, 0.95)


def test_width_agrees_with_scipy_for_independent_examples() -> None:
    from scipy.stats import bootstrap as scipy_bootstrap

    theirs = scipy_bootstrap(
        (VALUES,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = interval_of_mean(VALUES, ALONE)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.005)


def test_equals_a_plain_loop_over_the_same_draws() -> None:
    patients = [f"p{i % 30}" for i in range(200)]
    groups = [VALUES[[p == name for p in patients]] for name in sorted(set(patients))]
    draws = np.random.default_rng(7).integers(0, 30, size=(500, 30))
    means = [np.concatenate([groups[i] for i in row]).mean() for row in draws]
    found = interval_of_mean(VALUES, patients, resamples=500, seed=7)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=1e-8)


def test_repeated_films_of_a_patient_do_not_narrow_the_interval() -> None:
    alone = interval_of_mean(VALUES, ALONE)
    copies = interval_of_mean(np.tile(VALUES, 5), ALONE * 5)
    as_if_independent = interval_of_mean(np.tile(VALUES, 5), [f"q{i}" for i in range(1000)])
    assert (copies.low, copies.high) == (alone.low, alone.high)
    assert as_if_independent.high - as_if_independent.low < 0.6 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = (json.dumps(interval_of_mean(VALUES, ALONE, seed=s).to_dict()) for s in (0, 0, 1))
    assert first == again != other


@given(st.permutations(range(40)))
@settings(max_examples=25)
def test_the_order_of_examples_does_not_change_a_bit(order: list[int]) -> None:
    patients = [f"p{i // 3}" for i in range(40)]
    before = interval_of_mean(VALUES[:40], patients, resamples=50)
    assert interval_of_mean(VALUES[order], [patients[i] for i in order], resamples=50) == before


def test_metrics_bootstrapped_together_or_alone_are_equal() -> None:
    statistics = {"a": mean_statistic(VALUES), "b": mean_statistic(VALUES**2)}
    together = bootstrap(statistics, ALONE)
    for name, statistic in statistics.items():
        assert bootstrap({name: statistic}, ALONE)[name] == together[name]


def test_blocks_of_resamples_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    before = interval_of_mean(VALUES, ALONE)
    monkeypatch.setattr("radvlm_course.evaluation.statistics._DRAWS_PER_BLOCK", 1000)
    assert interval_of_mean(VALUES, ALONE) == before


def test_f1_is_resampled_from_counts() -> None:
    counts = np.array([[1, 1, 1], [0, 1, 1], [1, 2, 1], [0, 0, 1]], dtype=float)
    statistic = CountStatistic(counts, lambda sums: f1(sums[..., 0], sums[..., 1], sums[..., 2]))
    found = bootstrap({"f1": statistic}, list("abcd"))["f1"]
    assert found.value == pytest.approx(2 * 2 / (4 + 4))
    assert found.low == 0.0
    assert found.high <= 1.0


def test_pairing_sharpens_a_difference() -> None:
    better = {"mean": mean_statistic(VALUES + 0.01)}
    found = paired_bootstrap({"mean": mean_statistic(VALUES)}, better, ALONE)["mean"]
    assert found.value == pytest.approx(0.01)
    assert (found.low, found.high) == pytest.approx((0.01, 0.01), abs=1e-8)


def test_a_difference_of_a_run_with_itself_is_zero_and_signs_flip_with_the_order() -> None:
    first, second = {"m": mean_statistic(VALUES)}, {"m": mean_statistic(VALUES[::-1])}
    same = paired_bootstrap(first, first, ALONE)["m"]
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    forth, back = paired_bootstrap(first, second, ALONE)["m"], paired_bootstrap(second, first, ALONE)["m"]
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-12)


def test_coverage_is_near_its_level() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        effects = generator.normal(size=60)
        values = np.repeat(effects, 3) + generator.normal(scale=0.5, size=180)
        found = interval_of_mean(values, [f"p{i // 3}" for i in range(180)], resamples=300)
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_one_patient_has_an_estimate_and_no_interval() -> None:
    found = interval_of_mean(np.array([0.2, 0.4]), ["p", "p"])
    assert found.value == pytest.approx(0.3)
    assert math.isnan(found.low)
    assert found.to_dict() == {"value": found.value, "low": None, "high": None, "n": 2, "patients": 1, "level": 0.95}
    assert str(found) == "0.300"


def test_an_undefined_metric_is_none_in_json_and_comes_back_as_nan() -> None:
    found = bootstrap({"none": mean_statistic([0.5, 0.5], [False, False])}, ["a", "b"])["none"]
    assert found.to_dict()["value"] is None
    assert found.n == 0
    assert math.isnan(Interval.from_dict(found.to_dict()).value)


def test_resamples_in_which_a_metric_is_undefined_are_left_out() -> None:
    found = bootstrap({"rare": mean_statistic([0.5, 0.0, 0.0], [True, False, False])}, list("abc"))["rare"]
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_ratio_by_zero_is_nan() -> None:
    assert np.isnan(ratio(np.array([1.0]), np.array([0.0]))).all()


def test_wrong_shapes_values_and_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mean: expected counts of shape \(3, k\), found \(2, 2\)"):
        bootstrap({"mean": mean_statistic([1.0, 2.0])}, list("abc"))
    with pytest.raises(ValueError, match="row 1"):
        bootstrap({"mean": mean_statistic([1.0, math.nan])}, list("ab"))
    with pytest.raises(ValueError, match="0 < level < 1"):
        interval_of_mean(VALUES, ALONE, level=95)
    with pytest.raises(ValueError, match="different metrics"):
        paired_bootstrap({"a": mean_statistic([1.0])}, {"b": mean_statistic([1.0])}, ["p"])
