"""Permutation tests within patients and Holm's correction: by hand, by enumeration, by SciPy, by simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.evaluation.significance import holm, paired_test
from radvlm_course.evaluation.statistics import mean_statistic


def p_value(first: list[float], second: list[float], patients: list[str], **options: int) -> float:
    return paired_test({"m": mean_statistic(first)}, {"m": mean_statistic(second)}, patients, **options)["m"]


def test_equals_the_share_of_all_swaps_that_are_as_large() -> None:
    differences = np.array([0.3, 0.2, 0.25, -0.1, 0.4, 0.05])
    signs = np.array(list(itertools.product((1, -1), repeat=6)))
    observed = abs(differences.mean())
    exact = float((np.abs((signs * differences).mean(axis=1)) >= observed - 1e-12).mean())
    found = p_value([0.0] * 6, differences.tolist(), list("abcdef"), resamples=20_000)
    assert found == pytest.approx(exact, abs=0.01)


def test_agrees_with_scipys_permutation_test() -> None:
    from scipy.stats import permutation_test

    rng = np.random.default_rng(3)
    first = rng.random(40)
    second = first + rng.normal(0.05, 0.15, 40)
    theirs = permutation_test(
        (first, second), lambda a, b: np.mean(b) - np.mean(a), permutation_type="samples", n_resamples=5000, rng=rng
    ).pvalue
    ours = p_value(first.tolist(), second.tolist(), [str(i) for i in range(40)])
    assert ours == pytest.approx(theirs, abs=0.02)


def test_equal_runs_give_one_and_the_least_value_is_set_by_the_swaps() -> None:
    values = np.random.default_rng(0).random(30).tolist()
    patients = [str(i) for i in range(30)]
    assert p_value(values, values, patients, resamples=100) == 1.0
    assert p_value([0.0] * 30, [1.0] * 30, patients, resamples=199) == pytest.approx(1 / 200)


def test_many_films_of_few_patients_show_little() -> None:
    first, second = [0.0] * 40, [1.0] * 40
    two = p_value(first, second, ["p", "q"] * 20, resamples=2000)
    assert two == pytest.approx(0.5, abs=0.05)  # two patients have four swaps, two of them as large
    assert p_value(first, second, [str(i) for i in range(40)], resamples=2000) < 0.001


def test_the_same_seed_gives_the_same_value_and_the_order_of_the_runs_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(25).tolist(), rng.random(25).tolist()
    patients = [f"p{i // 2}" for i in range(25)]
    value = p_value(first, second, patients, resamples=500)
    assert value == p_value(first, second, patients, resamples=500) == p_value(second, first, patients, resamples=500)


def test_blocks_of_swaps_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(20).tolist(), rng.random(20).tolist()
    before = p_value(first, second, [str(i) for i in range(20)], resamples=300)
    monkeypatch.setattr("radvlm_course.evaluation.significance._DRAWS_PER_BLOCK", 160)
    assert p_value(first, second, [str(i) for i in range(20)], resamples=300) == before


def test_without_a_difference_p_values_are_uniform() -> None:
    rng = np.random.default_rng(7)
    found = []
    for _ in range(150):
        effects = np.repeat(rng.normal(size=20), 2)
        runs = [(effects + rng.normal(scale=0.5, size=40)).tolist() for _ in range(2)]
        found.append(p_value(*runs, [str(i // 2) for i in range(40)], resamples=200))
    assert 0.0 <= np.mean(np.array(found) <= 0.05) <= 0.12
    assert 0.4 <= np.mean(found) <= 0.6


def test_an_undefined_metric_has_no_p_value() -> None:
    nothing = mean_statistic([0.0, 0.0], [False, False])
    assert math.isnan(paired_test({"m": nothing}, {"m": nothing}, ["a", "b"], 10)["m"])


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="different metrics"):
        paired_test({"a": mean_statistic([1.0])}, {"b": mean_statistic([1.0])}, ["p"])
    with pytest.raises(ValueError, match="resamples=0"):
        p_value([1.0], [1.0], ["p"], resamples=0)


def test_holm_by_hand() -> None:
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": math.nan})
    assert [corrected[name] for name in "abc"] == pytest.approx([0.03, 0.06, 0.06])
    assert math.isnan(corrected["d"])
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_helps_keeps_the_order_and_stays_within_one(values: list[float]) -> None:
    given_values = dict(enumerate(values))
    corrected = holm(given_values)
    assert all(value <= corrected[key] <= 1 for key, value in given_values.items())
    order = sorted(given_values, key=lambda key: given_values[key])
    assert [corrected[key] for key in order] == sorted(corrected.values())
    assert corrected[order[0]] == min(1.0, len(values) * given_values[order[0]])
