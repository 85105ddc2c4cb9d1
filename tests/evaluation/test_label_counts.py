"""Counts of label sets, and the measures of their sums."""

import numpy as np
import pytest

from radvlm_course.evaluation.label_counts import MEASURES, label_counts, macro, micro, of_label

COUNTS = label_counts([["a"], ["a", "b"], []], [["a"], ["b"], ["b"]], ("a", "b", "c"))
SUMS = COUNTS.sum(axis=0)


def test_counts_are_hits_predicted_and_true_of_each_label() -> None:
    assert COUNTS.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0, 0]]


def test_micro_macro_and_labels_by_hand() -> None:
    f1 = MEASURES["f1"]
    assert micro(f1)(SUMS) == pytest.approx(2 * 2 / (3 + 3))
    assert macro(f1)(SUMS) == pytest.approx((2 / 3 + 2 / 3) / 2)  # c has no value
    assert macro(f1, empty_as_zero=True)(SUMS) == pytest.approx((2 / 3 + 2 / 3) / 3)
    assert of_label(MEASURES["recall"], 1)(SUMS) == 0.5
    assert np.isnan(of_label(f1, 2)(SUMS))


def test_many_sums_at_once() -> None:
    both = np.stack([SUMS, 2 * SUMS])
    assert micro(MEASURES["precision"])(both) == pytest.approx([2 / 3, 2 / 3])


def test_a_label_outside_the_vocabulary_is_an_error() -> None:
    with pytest.raises(KeyError):
        label_counts([["z"]], [[]], ("a",))
