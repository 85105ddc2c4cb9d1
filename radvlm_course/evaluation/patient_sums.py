"""The counts of metrics, summed within patients: what the bootstrap and the tests of significance resample.

Metrics that share an array of counts are summed once, and of each group (a label) only the patients that have it are
kept, so that memory grows with the examples and not with examples times labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from radvlm_course.evaluation.statistics import CountStatistic

__all__ = ["Clusters", "PatientSums", "swapped"]

_GRAIN = 2.0**30


@dataclass(frozen=True)
class Clusters:
    """The patients of a set of examples.

    Attributes:
        index: the patient of each example, shape (n_examples,); patients are numbered in the order of their names.
        n: how many patients there are.
    """

    index: np.ndarray
    n: int

    @classmethod
    def of(cls, patients: Sequence[str]) -> Clusters:
        place = {name: number for number, name in enumerate(sorted({str(patient) for patient in patients}))}
        return cls(np.array([place[str(patient)] for patient in patients], dtype=np.int64), len(place))


class PatientSums:
    """Sums within patients of the counts of several metrics of the same examples.

    Raises:
        ValueError: a metric's rows are not one an example, or a count is not finite.
    """

    def __init__(self, statistics: Mapping[str, CountStatistic], clusters: Clusters) -> None:
        self.statistics = statistics
        self._keys = {name: (id(item.counts), id(item.groups)) for name, item in statistics.items()}
        self._tables: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}
        for name, item in statistics.items():
            if self._keys[name] not in self._tables:
                self._tables[self._keys[name]] = _by_patient(name, item, clusters)

    def total(self, name: str) -> float:
        """The metric on the examples themselves."""
        return float(self._apply(name, self._columns(name)))

    def resampled(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Each metric in each resample, shape (resamples,).

        Args:
            weights: how often each patient counts, shape (resamples, patients).
        """
        sums = {key: _weighted(tables, weights) for key, tables in self._tables.items()}
        return {name: self._apply(name, sums[self._keys[name]]) for name in self.statistics}

    def _columns(self, name: str) -> np.ndarray:
        return np.concatenate([table.sum(axis=0) for _, table in self._tables[self._keys[name]]])

    def _apply(self, name: str, sums: np.ndarray) -> np.ndarray:
        return np.asarray(self.statistics[name].function(sums), dtype=np.float64)


def swapped(first: PatientSums, second: PatientSums, swaps: np.ndarray) -> dict[str, np.ndarray]:
    """``second - first`` of each metric after some patients' answers have changed sides, shape (resamples,).

    Args:
        first, second: two runs on the same examples, with the same groups.
        swaps: 1 where a patient's answers are swapped, else 0; shape (resamples, patients).
    """
    moved: dict[tuple[tuple[int, int], tuple[int, int]], np.ndarray] = {}
    result = {}
    for name in first.statistics:
        keys = first._keys[name], second._keys[name]
        if keys not in moved:
            pairs = zip(first._tables[keys[0]], second._tables[keys[1]], strict=True)
            moved[keys] = _weighted([(index, after - before) for (index, before), (_, after) in pairs], swaps)
        low, high = first._columns(name) + moved[keys], second._columns(name) - moved[keys]
        result[name] = second._apply(name, high) - first._apply(name, low)
    return result


def _weighted(tables: list[tuple[np.ndarray, np.ndarray]], weights: np.ndarray) -> np.ndarray:
    """Sums with each patient counted so often, shape (resamples, groups * k)."""
    return np.concatenate([weights[:, index] @ table for index, table in tables], axis=1)


def _by_patient(name: str, item: CountStatistic, clusters: Clusters) -> list[tuple[np.ndarray, np.ndarray]]:
    """(patients, their sums) of each group."""
    counts = np.asarray(item.counts, dtype=np.float64)
    if counts.ndim != 2 or len(counts) != len(clusters.index):
        raise ValueError(f"{name}: expected counts of shape ({len(clusters.index)}, k), found {counts.shape}")
    if not (finite := np.isfinite(counts).all(axis=1)).all():
        bad = int(np.flatnonzero(~finite)[0])
        raise ValueError(f"{name}: expected finite counts, found nan or infinity in row {bad}")
    groups = np.zeros(len(counts), dtype=np.int64) if item.groups is None else item.groups
    exact = np.round(counts * _GRAIN) / _GRAIN  # sums of these are exact, whatever their order
    tables = []
    for group in range(item.n_groups):
        rows = np.flatnonzero(groups == group)
        index, place = np.unique(clusters.index[rows], return_inverse=True)
        sums = np.zeros((len(index), counts.shape[1]))
        np.add.at(sums, place, exact[rows])
        tables.append((index, sums))
    return tables
