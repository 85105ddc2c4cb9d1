"""Precision, recall and F1 of sets of labels, as functions of counts: shared by classification and reports.

The counts of an example are (hits, predicted, true) of each label, shape (n_examples, 3 n_labels). *Micro* pools the
counts of all labels; *macro* is the mean of each label's value. A label that nobody has in truth or prediction has no
value: the macro average leaves it out, or counts it 0 as scikit-learn's report and the paper's tables do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from radvlm_course.evaluation.statistics import f1, ratio

__all__ = ["MEASURES", "label_counts", "macro", "micro", "of_label"]

Measure = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
SumsFunction = Callable[[np.ndarray], np.ndarray]

MEASURES: dict[str, Measure] = {
    "precision": lambda hits, predicted, true: ratio(hits, predicted),
    "recall": lambda hits, predicted, true: ratio(hits, true),
    "f1": f1,
}
"""(hits, predicted, true) -> value, 0 to 1; nan where it is undefined."""


def label_counts(
    predicted: Sequence[Collection[Any]], true: Sequence[Collection[Any]], vocabulary: Sequence[Any]
) -> np.ndarray:
    """The counts of examples.

    Args:
        predicted, true: the labels of each example, all of them in the vocabulary.
    """
    place = {label: index for index, label in enumerate(vocabulary)}
    table = np.zeros((len(true), len(vocabulary), 3))
    for index, (named, right) in enumerate(zip(predicted, true, strict=True)):
        for column, labels in enumerate((set(named) & set(right), named, right)):
            table[index, [place[label] for label in labels], column] = 1.0
    return table.reshape(len(true), -1)


def _table(sums: np.ndarray) -> np.ndarray:
    return sums.reshape(*sums.shape[:-1], -1, 3)


def micro(measure: Measure) -> SumsFunction:
    """A measure of the counts pooled over labels."""

    def value(sums: np.ndarray) -> np.ndarray:
        pooled = _table(sums).sum(axis=-2)
        return measure(pooled[..., 0], pooled[..., 1], pooled[..., 2])

    return value


def macro(measure: Measure, empty_as_zero: bool = False) -> SumsFunction:
    """The mean of a measure over labels.

    Args:
        empty_as_zero: count labels without a value as 0 instead of leaving them out.
    """

    def value(sums: np.ndarray) -> np.ndarray:
        table = _table(sums)
        values = measure(table[..., 0], table[..., 1], table[..., 2])
        defined = ~np.isnan(values)
        total = np.where(defined, values, 0.0).sum(axis=-1)
        return ratio(total, np.full(total.shape, values.shape[-1]) if empty_as_zero else defined.sum(axis=-1))

    return value


def of_label(measure: Measure, place: int) -> SumsFunction:
    """A measure of one label, by its place in the vocabulary."""

    def value(sums: np.ndarray) -> np.ndarray:
        table = _table(sums)
        return measure(table[..., place, 0], table[..., place, 1], table[..., place, 2])

    return value
