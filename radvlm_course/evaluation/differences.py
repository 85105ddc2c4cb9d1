"""The paired differences that the evaluation stage wrote, read back.

``differences.json`` holds, for each pair of models ("after - before"), task and metric, the paired
difference with its bootstrap interval by patient (:func:`radvlm_course.evaluation.score.compare`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from radvlm_course.evaluation.statistics import Interval

__all__ = ["read_differences"]

Differences = dict[str, dict[str, dict[str, Interval]]]


def read_differences(folder: str | os.PathLike[str], model: str | None = None) -> Differences:
    """Pair of models -> task -> metric -> difference with its interval.

    Args:
        folder: of the evaluation stage.
        model: keep only the pairs whose first model is this one; None keeps all.

    Raises:
        FileNotFoundError: the stage has not been run.
        ValueError: no pair begins with ``model``; lists the pairs that are there.
    """
    path = Path(folder) / "differences.json"
    if not path.exists():
        raise FileNotFoundError(f"expected the evaluation's differences at {path}: run the stage 'evaluate' first")
    values = json.loads(path.read_text(encoding="utf-8"))
    chosen = {name: tasks for name, tasks in values.items() if model in (None, name.split(" - ")[0])}
    if model is not None and not chosen:
        raise ValueError(f"no comparison of {model!r} in {path}; there are: {', '.join(values) or 'none'}")
    return {
        name: {
            task: {metric: Interval.from_dict(interval) for metric, interval in metrics.items()}
            for task, metrics in tasks.items()
        }
        for name, tasks in chosen.items()
    }
