"""Bootstrap intervals by patient, for any metric that is a function of sums.

Two films of one patient are not two independent observations, so what is drawn with replacement are
patients, each with all of their examples (a cluster bootstrap), and the interval is the 2.5 to 97.5
percentile of 2,000 resamples, as in the paper's scripts (which draw single items).

A metric is given as *counts*: an array with one row for each example, and a function of the counts' sums.
A mean has the columns (value, 1); mAP@0.5 has true positives, predictions and truths of each label; F1 has
its three counts. So every resample is one weighted sum, and 2,000 of them are one matrix product. All
metrics of one task share the same resamples, and two runs on the same examples do too (a paired
bootstrap), which is what makes their difference sharp.

Counts are first rounded to multiples of 2**-30 (about 1e-9): sums of such numbers are exact in floating
point, hence the same on every machine, with any number of threads. Tests of significance are in
:mod:`radvlm_course.evaluation.significance`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radvlm_course.evaluation.patient_sums import Clusters, PatientSums

__all__ = [
    "CountStatistic",
    "Interval",
    "bootstrap",
    "f1",
    "mean_statistic",
    "paired_bootstrap",
    "ratio",
    "split_statistics",
]

_DRAWS_PER_BLOCK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval.

    Attributes:
        value: the metric on the examples themselves; nan where it is undefined (nothing to average).
        low, high: percentile bounds; nan with fewer than two patients.
        n: examples that the metric is about; patients: the clusters they come from.
        level: coverage of the interval, 0.95 by default.
    """

    value: float
    low: float
    high: float
    n: int
    patients: int
    level: float = 0.95

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; undefined numbers become None."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        clean = {key: None if math.isnan(value) else value for key, value in values.items()}
        return {**clean, "n": self.n, "patients": self.patients, "level": self.level}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Interval:
        """The inverse of :meth:`to_dict`."""
        numbers = {key: math.nan if values[key] is None else float(values[key]) for key in ("value", "low", "high")}
        return cls(**numbers, n=int(values["n"]), patients=int(values["patients"]), level=float(values["level"]))

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class CountStatistic:
    """A metric as a function of summed counts.

    Metrics of the same examples should share one array of counts (the same object): it is then summed once.

    Attributes:
        counts: float array of shape (n_examples, k).
        function: sums of shape (..., n_groups * k) -> values of shape (...); nan where undefined.
        n: how many of the examples the metric is about (None: all of them).
        groups: the group of each example, 0 to n_groups - 1, shape (n_examples,); None puts all into one. The sums
            of group g are the columns g * k to (g + 1) * k.
        n_groups: how many groups there are.
    """

    counts: np.ndarray
    function: Callable[[np.ndarray], np.ndarray]
    n: int | None = None
    groups: np.ndarray | None = None
    n_groups: int = 1

    @property
    def value(self) -> float:
        """The metric on all the examples; nan where it is undefined."""
        groups = np.zeros(len(self.counts), dtype=np.int64) if self.groups is None else self.groups
        sums = np.zeros((self.n_groups, self.counts.shape[1]))
        np.add.at(sums, groups, self.counts)
        return float(self.function(sums.ravel()))


def split_statistics(
    statistics: Mapping[str, CountStatistic], first: int
) -> tuple[dict[str, CountStatistic], dict[str, CountStatistic]]:
    """The same metrics of the first examples alone and of the rest alone; those that share counts go on to."""
    sides = []
    for rows in (slice(None, first), slice(first, None)):
        arrays = {
            id(array): array[rows]
            for item in statistics.values()
            for array in (item.counts, item.groups)
            if array is not None
        }
        sides.append(
            {
                name: CountStatistic(
                    arrays[id(item.counts)],
                    item.function,
                    groups=None if item.groups is None else arrays[id(item.groups)],
                    n_groups=item.n_groups,
                )
                for name, item in statistics.items()
            }
        )
    return sides[0], sides[1]


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Element-wise quotient; nan where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(denominator), np.nan), where=denominator != 0)


def f1(true_positives: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """2 TP / (predicted + true), 0 to 1; nan where both sides are empty."""
    return ratio(2 * true_positives, predicted + true)


def mean_statistic(
    values: Sequence[float] | np.ndarray, among: Sequence[bool] | np.ndarray | None = None
) -> CountStatistic:
    """The mean of one value an example, over all examples or ``among`` some of them."""
    column = np.asarray(values, dtype=np.float64)
    mask = np.ones(len(column)) if among is None else np.asarray(among, dtype=np.float64)
    counts = np.stack([np.where(mask > 0, column, 0.0), mask], axis=1)
    return CountStatistic(counts, lambda sums: ratio(sums[..., 0], sums[..., 1]), int(mask.sum()))


def bootstrap(
    statistics: Mapping[str, CountStatistic],
    patients: Sequence[str],
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of several metrics of the same examples, by patient.

    Args:
        statistics: name -> metric; all with one row for each example.
        patients: the patient of each example.
        resamples: how often patients are drawn. seed: of the draws; the same for the same number of patients.
        level: coverage.

    Raises:
        ValueError: a metric's rows and the patients differ in number, a count is not finite, or an option
            is out of range.
    """
    clusters = Clusters.of(patients)
    sums = PatientSums(statistics, clusters)
    (draws,) = _resampled([sums], clusters.n, resamples, seed, level)
    return {name: _interval(item, sums.total(name), draws[name], clusters, level) for name, item in statistics.items()}


def paired_bootstrap(
    first: Mapping[str, CountStatistic],
    second: Mapping[str, CountStatistic],
    patients: Sequence[str],
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Intervals of ``second - first`` for two runs on the same examples, in the same order.

    An interval above zero says that ``second`` is better beyond what a new draw of patients explains (for a
    metric whose direction is up).

    Raises:
        ValueError: as :func:`bootstrap`, or the two runs have different metrics.
    """
    if set(first) != set(second):
        raise ValueError(f"the two runs have different metrics: {sorted(set(first) ^ set(second))}")
    clusters = Clusters.of(patients)
    sides = [PatientSums({name: side[name] for name in first}, clusters) for side in (first, second)]
    before, after = _resampled(sides, clusters.n, resamples, seed, level)
    result = {}
    for name, item in first.items():
        difference = sides[1].total(name) - sides[0].total(name)
        result[name] = _interval(item, difference, after[name] - before[name], clusters, level)
    return result


def _resampled(
    sides: Sequence[PatientSums], patients: int, resamples: int, seed: int, level: float
) -> list[dict[str, np.ndarray]]:
    """Each metric of each run in the same resamples: name -> shape (resamples,)."""
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"expected resamples >= 1 and 0 < level < 1, found {resamples} and {level}")
    found: list[list[dict[str, np.ndarray]]] = [[] for _ in sides]
    for weights in _weights(patients, resamples, seed):
        for sums, values in zip(sides, found, strict=True):
            values.append(sums.resampled(weights))
    return [{name: np.concatenate([part[name] for part in values]) for name in values[0]} for values in found]


def _weights(patients: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each patient was drawn, in blocks of shape (some resamples, patients)."""
    generator = np.random.default_rng(seed)
    block = max(1, _DRAWS_PER_BLOCK // max(patients, 1))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = generator.integers(0, max(patients, 1), size=(rows, patients))
        flat = (drawn + np.arange(rows)[:, None] * patients).ravel()
        yield np.bincount(flat, minlength=rows * patients).reshape(rows, patients).astype(np.float64)


def _interval(item: CountStatistic, value: float, draws: np.ndarray, clusters: Clusters, level: float) -> Interval:
    n = len(clusters.index) if item.n is None else item.n
    defined = draws[~np.isnan(draws)]
    low = high = math.nan
    if clusters.n > 1 and len(defined) and not math.isnan(value):
        low, high = (float(bound) for bound in np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]))
    return Interval(value, low, high, n, clusters.n, level)
