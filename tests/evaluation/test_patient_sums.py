"""Sums within patients: shared counts, groups, exactness, and two runs with answers swapped."""

import numpy as np
import pytest

from radvlm_course.evaluation.patient_sums import Clusters, PatientSums, swapped
from radvlm_course.evaluation.statistics import CountStatistic, mean_statistic, ratio

PATIENTS = ["b", "a", "b", "c"]


def test_patients_are_numbered_in_the_order_of_their_names() -> None:
    clusters = Clusters.of(PATIENTS)
    assert clusters.index.tolist() == [1, 0, 1, 2]
    assert clusters.n == 3


def test_a_total_is_the_metric_on_all_examples_and_weights_repeat_patients() -> None:
    sums = PatientSums({"mean": mean_statistic([1.0, 2.0, 3.0, 4.0])}, Clusters.of(PATIENTS))
    assert sums.total("mean") == 2.5
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])  # patients a, b, c
    found = sums.resampled(weights)["mean"]
    assert found[:2].tolist() == [2.5, 2.0]
    assert np.isnan(found[2])


def test_groups_keep_their_own_columns() -> None:
    counts = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    groups = np.array([0, 1, 0, 1])

    def share(place: int) -> CountStatistic:
        return CountStatistic(
            counts, lambda sums: ratio(sums[..., 2 * place], sums[..., 2 * place + 1]), None, groups, 2
        )

    both = CountStatistic(counts, lambda sums: sums[..., 0] + sums[..., 2], None, groups, 2)
    sums = PatientSums({"first": share(0), "second": share(1), "hits": both}, Clusters.of(PATIENTS))
    assert [sums.total(name) for name in ("first", "second", "hits")] == [0.5, 0.5, 2.0]
    only_b = sums.resampled(np.array([[0.0, 1.0, 0.0]]))
    assert only_b["first"].tolist() == [0.5]
    assert np.isnan(only_b["second"][0])  # patient b has nothing of the second group


def test_swapping_everybody_turns_the_difference_around_and_nobody_leaves_it() -> None:
    first, second = ({"m": mean_statistic(values)} for values in ([1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]))
    clusters = Clusters.of(PATIENTS)
    sides = PatientSums(first, clusters), PatientSums(second, clusters)
    swaps = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    assert swapped(*sides, swaps)["m"].tolist() == [0.25, -0.25, 0.75]  # b alone swapped: (3 + 1 + 0) / 4 - (0 + 1) / 4


def test_the_order_of_examples_does_not_change_a_bit() -> None:
    values = np.random.default_rng(0).random(50)
    patients = [f"p{i % 7}" for i in range(50)]
    order = np.random.default_rng(1).permutation(50)
    one = PatientSums({"m": mean_statistic(values)}, Clusters.of(patients))
    other = PatientSums({"m": mean_statistic(values[order])}, Clusters.of([patients[i] for i in order]))
    weights = np.random.default_rng(2).integers(0, 3, (5, 7)).astype(float)
    assert one.resampled(weights)["m"].tolist() == other.resampled(weights)["m"].tolist()


def test_wrong_counts_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"m: expected counts of shape \(4, k\), found \(2, 2\)"):
        PatientSums({"m": mean_statistic([1.0, 2.0])}, Clusters.of(PATIENTS))
    with pytest.raises(ValueError, match="infinity in row 2"):
        PatientSums({"m": mean_statistic([1.0, 2.0, float("inf"), 0.0])}, Clusters.of(PATIENTS))
