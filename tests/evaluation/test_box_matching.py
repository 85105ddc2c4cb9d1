"""Definitions of one sample: the largest matching, the best of several, sizes, the paper's mean IoU."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box
from radvlm_course.evaluation.box_matching import (
    average_iou_of_sample,
    average_precision_of_sample,
    matched_pairs,
    partner_ious,
    size_of,
    true_positives,
)


@pytest.mark.parametrize(
    ("ious", "expected"),
    [([[0.1], [0.9]], 0.5), ([[0.9], [0.1]], 1.0), ([[0.9, 0.0]], 0.5)],
    ids=["wrong, right", "right, wrong", "one of two"],
)
def test_the_check_values_of_the_papers_average_precision(ious: list[list[float]], expected: float) -> None:
    assert average_precision_of_sample(np.array(ious)) == expected


def test_the_check_value_of_the_papers_mean_iou() -> None:
    assert average_iou_of_sample(np.eye(2)) == 0.5
    assert math.isnan(average_iou_of_sample(np.zeros((0, 2))))


def test_of_several_largest_matchings_the_one_of_greatest_iou_is_taken() -> None:
    rows, columns = matched_pairs(np.array([[0.6, 0.0], [0.9, 0.0]]))
    assert (rows.tolist(), columns.tolist()) == ([1], [0])
    rows, columns = matched_pairs(np.array([[0.9, 0.6], [0.8, 0.0]]))  # one pair more outweighs the 0.9
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_no_other_matching_has_more_pairs_or_more_iou(n: int, m: int, seed: int) -> None:
    import itertools

    ious = np.random.default_rng(seed).random((n, m))
    wide = ious if n <= m else ious.T
    tried = [wide[np.arange(len(wide)), list(p)] for p in itertools.permutations(range(wide.shape[1]), len(wide))]
    assert true_positives(ious) == max(int((values >= 0.5).sum()) for values in tried)
    assert partner_ious(ious) == pytest.approx(max(values.sum() for values in tried))


@pytest.mark.parametrize(
    ("side", "size"),
    [(0.05, "small"), (0.0999, "small"), (0.1, "medium"), (0.29, "medium"), (0.3, "large"), (0.9, "large")],
)
def test_sizes_are_shares_of_the_film(side: float, size: str) -> None:
    assert size_of(Box(0.0, 0.0, side, side)) == size
