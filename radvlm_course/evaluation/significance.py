"""Is the difference of two models more than chance, and does that survive having looked at many differences?

:func:`paired_test` swaps the two models' answers patient by patient, at random, and counts how often the difference
is as large as the one observed (a permutation test, two-sided). Where twenty differences are tested, one comes out
"significant" by chance: :func:`holm` corrects the p-values of a family of tests.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from radvlm_course.evaluation.patient_sums import Clusters, PatientSums, swapped
from radvlm_course.evaluation.statistics import CountStatistic

__all__ = ["holm", "paired_test"]

Name = TypeVar("Name")
_DRAWS_PER_BLOCK = 4_000_000
_TIE = 1e-12  # differences this close to the observed one are equal to it but for rounding


def paired_test(
    first: Mapping[str, CountStatistic],
    second: Mapping[str, CountStatistic],
    patients: Sequence[str],
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, float]:
    """p-values of "the two runs do not differ", by permutation within patients.

    If they do not, it is chance which of the two gave which answers, so both answers of a patient may be swapped. The
    p-value is the share of random swaps (the observed one counted as one of them) with a difference as large as the
    observed one; it is never below 1 / (resamples + 1). With few patients it cannot be small: n patients have 2**n
    swaps.

    Args:
        first, second: the metrics of two runs on the same examples, in the same order and with the same groups.
        patients: the patient of each example.
        resamples: random swaps. seed: of the swaps.

    Returns:
        Name -> p-value, 0 to 1; nan where a metric is undefined. A swap that makes it undefined counts as large.

    Raises:
        ValueError: the runs have different metrics, or rows that are not one an example.
    """
    if set(first) != set(second):
        raise ValueError(f"the two runs have different metrics: {sorted(set(first) ^ set(second))}")
    if resamples < 1:
        raise ValueError(f"expected at least one random swap, found resamples={resamples}")
    clusters = Clusters.of(patients)
    before, after = (PatientSums({name: side[name] for name in first}, clusters) for side in (first, second))
    observed = {name: abs(after.total(name) - before.total(name)) for name in first}
    large = dict.fromkeys(first, 0)
    for swaps in _swaps(clusters.n, resamples, seed):
        for name, difference in swapped(before, after, swaps).items():
            large[name] += int((~(np.abs(difference) < observed[name] - _TIE)).sum())
    return {
        name: math.nan if math.isnan(value) else (1 + large[name]) / (1 + resamples) for name, value in observed.items()
    }


def _swaps(patients: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Which patients' answers are swapped, 0 or 1, in blocks of shape (some resamples, patients)."""
    generator = np.random.default_rng(seed)
    block = max(1, _DRAWS_PER_BLOCK // max(patients, 1))
    for start in range(0, resamples, block):
        yield generator.integers(0, 2, size=(min(block, resamples - start), patients)).astype(np.float64)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """p-values corrected for being the best of many (Holm 1979): the chance of any false alarm in the family.

    The smallest is multiplied by the number of tests, the next by one less, and so on; none is below the one before
    it. Undefined ones (nan) stay so and are not counted.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    defined = sorted((p, index) for index, p in enumerate(p_values.values()) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for place, (p, index) in enumerate(defined):
        highest = max(highest, min(1.0, p * (len(defined) - place)))
        corrected[index] = highest
    return dict(zip(p_values, corrected, strict=True))
