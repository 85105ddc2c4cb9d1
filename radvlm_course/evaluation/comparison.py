"""Several models against one on the same examples: differences, intervals, p-values, corrected for their number.

Each difference has a bootstrap interval by patient (:func:`radvlm_course.evaluation.score.compare`) and a p-value of
the permutation test by patient; the p-values of all differences in one call are one family and corrected together
(Holm). Compare few metrics, chosen before looking: every further one makes all others harder to show.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radvlm_course.evaluation.score import Scores, compare
from radvlm_course.evaluation.scored_tasks import ordered, task_statistics
from radvlm_course.evaluation.significance import holm, paired_test
from radvlm_course.evaluation.statistics import Interval, split_statistics
from radvlm_course.whole_files import write_whole

__all__ = ["Comparison", "compare_models", "write_comparisons"]


@dataclass(frozen=True)
class Comparison:
    """One metric of one task: a model minus the reference.

    Attributes:
        model, task, metric: what is compared.
        difference: in the metric's units, with its interval, n and patients.
        p_value: of "no difference", before correction; nan where the metric is undefined.
        p_corrected: after Holm's correction over the family.
        family: how many tests were corrected together.
    """

    model: str
    task: str
    metric: str
    difference: Interval
    p_value: float
    p_corrected: float
    family: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; undefined numbers are None."""
        p_values = {"p_value": self.p_value, "p_corrected": self.p_corrected}
        clean = {name: None if math.isnan(value) else value for name, value in p_values.items()}
        named = {"model": self.model, "task": self.task, "metric": self.metric}
        return {**named, **self.difference.to_dict(), **clean, "family": self.family}


def compare_models(
    scores: Mapping[str, Scores],
    reference: str,
    metrics: Sequence[str] | None = None,
    *,
    resamples: int = 2000,
    swaps: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> list[Comparison]:
    """Every other model minus the reference.

    Args:
        scores: name -> scores, all of the same examples.
        reference: one of the names.
        metrics: which metrics form the family; None takes all.
        resamples: of the intervals. swaps: of the tests. seed, level: as in ``score``.

    Raises:
        KeyError: there is no such reference.
        ValueError: the models were not scored on the same examples.
    """
    if reference not in scores:
        raise KeyError(f"expected the reference among {', '.join(scores)}; found {reference!r}")
    differences: dict[tuple[str, str, str], Interval] = {}
    p_values: dict[tuple[str, str, str], float] = {}
    for name, item in scores.items():
        if name == reference:
            continue
        found = compare(scores[reference], item, resamples=resamples, seed=seed, level=level)
        tested = _tested(scores[reference], item, swaps, seed)
        for task, by_metric in found.items():
            for metric, difference in by_metric.items():
                if metrics is None or metric in metrics:
                    differences[name, task, metric] = difference
                    p_values[name, task, metric] = tested[task][metric]
    corrected = holm(p_values)
    family = sum(not math.isnan(value) for value in p_values.values())
    return [
        Comparison(*key, difference, p_values[key], corrected[key], family) for key, difference in differences.items()
    ]


def _tested(before: Scores, after: Scores, swaps: int, seed: int) -> dict[str, dict[str, float]]:
    first, second = ({row["example_id"]: row for row in item.rows} for item in (before, after))
    result = {}
    for task in ordered([row["task"] for row in before.rows]):
        ids = [identifier for identifier, row in first.items() if row["task"] == task]
        joint = task_statistics(task, [first[i] for i in ids] + [second[i] for i in ids])
        low, high = split_statistics(joint, len(ids))
        result[task] = paired_test(low, high, [first[i]["patient_id"] for i in ids], swaps, seed)
    return result


def write_comparisons(comparisons: Sequence[Comparison], path: str | os.PathLike[str]) -> None:
    """Write them as one JSON list, whole or not at all."""
    text = json.dumps([item.to_dict() for item in comparisons], indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(Path(path), (text + "\n").encode())
