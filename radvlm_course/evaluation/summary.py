"""Reading back what the evaluation stage wrote, and the two questions that a results table must answer.

Is the score more than a gift of the prior (:func:`against_prior`)? Is the difference more than a new draw of
patients would bring (:func:`verdict`)? Nothing is computed again here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.evaluation.score import Scores, load_scores
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.evaluation.tables import METRIC_TITLES

__all__ = ["AgainstPrior", "against_prior", "is_prior", "of_task", "read_scores", "verdict"]

_ORDER = ("base", "sft_early", "sft", "cold_start", "grpo_grounding", "grpo_reports")


def is_prior(name: str) -> bool:
    """Whether a name is that of a baseline that never looks at the film."""
    return name.startswith("prior")


def read_scores(folder: str | os.PathLike[str]) -> dict[str, Scores]:
    """The scores of every model of an evaluation: name -> scores, priors first, then in the order of training.

    Args:
        folder: the evaluation stage's folder.

    Raises:
        FileNotFoundError: it holds no scores.
    """
    folders = sorted(path.parent for path in Path(folder).glob("scores/*/scores.json"))
    if not folders:
        raise FileNotFoundError(f"expected scores in {Path(folder) / 'scores'}: run the stage evaluate first")
    found = {scores.model: scores for scores in map(load_scores, folders)}

    def place(name: str) -> tuple[int, str]:
        return (-1 if is_prior(name) else _ORDER.index(name) if name in _ORDER else len(_ORDER)), name

    return {name: found[name] for name in sorted(found, key=place)}


def of_task(scores: Mapping[str, Scores], task: str, metrics: Sequence[str]) -> dict[str, dict[str, Interval]]:
    """Name -> title of a metric -> interval, of those that were asked the task: what ``dot_plot`` draws.

    Raises:
        KeyError: a metric that the task does not have.
    """
    asked = {name: item.tasks[task] for name, item in scores.items() if task in item.tasks}
    return {name: {METRIC_TITLES.get(m, m): found[m] for m in metrics} for name, found in asked.items()}


@dataclass(frozen=True)
class AgainstPrior:
    """One label: what a model scores and what the best prior scores without a film.

    Attributes:
        prior_name: which prior is best on this label.
        gain: model minus prior, in the metric's units; higher is better.
    """

    label: str
    model: Interval
    prior: Interval
    prior_name: str

    @property
    def gain(self) -> float:
        return self.model.value - self.prior.value


def against_prior(scores: Mapping[str, Scores], model: str, task: str, metric: str) -> list[AgainstPrior]:
    """Each label's score of a model beside the best prior's, the smallest gain first.

    Args:
        scores: as :func:`read_scores` gives them.
        metric: a metric of the labels, such as ``soft_f1`` or ``finding_f1``.

    Raises:
        KeyError: the model or the task was not scored.
        ValueError: no prior was scored on the task.
    """
    priors = {name: item for name, item in scores.items() if is_prior(name) and task in item.labels}
    if not priors:
        raise ValueError(f"expected a prior scored on {task}, found {', '.join(scores) or 'nothing'}")
    rows = []
    for label, metrics in scores[model].labels[task].items():
        known = {name: item.labels[task][label][metric] for name, item in priors.items() if label in item.labels[task]}
        known = {name: interval for name, interval in known.items() if interval.value == interval.value}
        own = metrics[metric]
        if known and own.value == own.value:
            best = max(known, key=lambda name: known[name].value)
            rows.append(AgainstPrior(label, own, known[best], best))
    return sorted(rows, key=lambda row: row.gain)


def verdict(difference: Interval) -> str:
    """What the interval of a paired difference says, for a metric whose direction is up.

    >>> verdict(Interval(0.05, 0.02, 0.08, 100, 50))
    'better'
    >>> verdict(Interval(0.05, -0.02, 0.12, 100, 50))
    'not shown'
    """
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "not shown"
