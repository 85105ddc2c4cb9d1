"""The leaderboard: models in the order of a metric, with how sure that order is.

Every number stands with its interval and the examples behind it, and the first column says from which to which place
the intervals let a model stand (:mod:`radvlm_course.evaluation.ranks`). The order of the lines is that of the values,
which is not a claim: the places are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from radvlm_course.evaluation.ranks import RankRange, rank_ranges
from radvlm_course.evaluation.score import Scores
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.evaluation.tables import LOWER_IS_BETTER, METRIC_TITLES, WITHOUT_DIRECTION, escaped, interval_text

__all__ = ["SHOWN", "Entry", "Leaderboard", "leaderboard", "leaderboards"]


SHOWN = {
    "map50": ("map50", "map50_paper", "soft_f1", "recall50", "precision50"),
    "radcliq": ("radcliq", "chexbert_all_micro", "radgraph_partial", "bertscore", "gleu", "rouge_l", "words"),
    "gleu": ("gleu", "rouge_l", "finding_f1_micro", "finding_side_f1_micro", "observation_f1_micro", "words"),
    "f1_macro": ("f1_macro", "f1_micro", "f1_macro_paper", "f1_micro_paper", "exact"),
    "judge": ("judge", "words"),
}
"""Which metric orders a task (the first that it has), and the columns beside it."""


@dataclass(frozen=True)
class Entry:
    """One model: its place (None if it has none), and its metrics on the task."""

    name: str
    place: RankRange | None
    metrics: dict[str, Interval]


@dataclass(frozen=True)
class Leaderboard:
    """Models on one task.

    Attributes:
        metrics: the first one decides the order and the places; the others are shown beside it.
        entries: the best first; those without a value of the first metric last.
    """

    task: str
    metrics: tuple[str, ...]
    entries: tuple[Entry, ...]

    def to_markdown(self) -> str:
        """A table with places, intervals, n and patients, and the rule of the places below it."""
        first = self.metrics[0]
        header = ["place", "model", *(title_with_direction(name) for name in self.metrics), "n", "patients"]
        lines = [header, ["---:", "---", *["---:"] * (len(self.metrics) + 2)]]
        for entry in self.entries:
            main = entry.metrics.get(first)
            n = main.n if main else 0
            cells = [interval_text(name, entry.metrics.get(name), n) for name in self.metrics]
            place = str(entry.place) if entry.place else "n/a"
            lines.append([place, escaped(entry.name), *cells, str(n), str(main.patients if main else 0)])
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        level = next((entry.metrics[first].level for entry in self.entries if first in entry.metrics), 0.95)
        note = (
            f"In brackets {level:.0%} intervals, by patient. Place: the ranks in {METRIC_TITLES.get(first, first)} "
            "that the intervals allow; a model stands before another only if its whole interval does."
        )
        return f"**{self.task.replace('_', ' ')}**\n\n{table}\n\n{note}\n"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def title_with_direction(metric: str) -> str:
    """The metric's title with the direction that is better."""
    title = METRIC_TITLES.get(metric, metric)
    if metric in WITHOUT_DIRECTION:
        return title
    return f"{title} \N{DOWNWARDS ARROW}" if metric in LOWER_IS_BETTER else f"{title} \N{UPWARDS ARROW}"


def leaderboard(scores: Sequence[Scores] | Mapping[str, Scores], task: str, metrics: Sequence[str]) -> Leaderboard:
    """Order models by the first of ``metrics`` on a task.

    Args:
        scores: of several models on the same examples; a mapping gives the names to show, else each model's own.
        metrics: at least one; the first needs a direction.

    Raises:
        ValueError: no metric is given, the first has no direction, no model was scored on the task, two have one name,
            or they were not scored on the same examples.
    """
    if not metrics or metrics[0] in WITHOUT_DIRECTION:
        raise ValueError(f"expected a first metric with a direction, found {list(metrics)}")
    named = list(scores.items()) if isinstance(scores, Mapping) else [(item.model, item) for item in scores]
    there = {name: item for name, item in named if task in item.tasks}
    if not there:
        raise ValueError(f"no model was scored on {task}")
    if len({name for name, _ in named}) < len(named):
        raise ValueError(f"expected different names, found {', '.join(name for name, _ in named)}")
    _check_same_examples(there, task)
    first = metrics[0]
    intervals = {name: item.tasks[task][first] for name, item in there.items() if first in item.tasks[task]}
    places = rank_ranges(intervals, "lower" if first in LOWER_IS_BETTER else "higher")

    def order(name: str) -> tuple[bool, float]:
        value = intervals[name].value if name in intervals else math.nan
        return math.isnan(value), value if first in LOWER_IS_BETTER else -value

    entries = [Entry(name, places.get(name), dict(there[name].tasks[task])) for name in sorted(there, key=order)]
    return Leaderboard(task, tuple(metrics), tuple(entries))


def leaderboards(scores: Sequence[Scores] | Mapping[str, Scores]) -> str:
    """One leaderboard for each task, as Markdown; tasks without a metric that ranks are left out.

    Args, raises: as :func:`leaderboard`.
    """
    items = list(scores.values()) if isinstance(scores, Mapping) else list(scores)
    blocks = []
    for task in dict.fromkeys(task for item in items for task in item.tasks):
        found = {metric for item in items for metric in item.tasks.get(task, {})}
        main = next((metric for metric in SHOWN if metric in found), None)
        if main is not None:
            blocks.append(leaderboard(scores, task, [name for name in SHOWN[main] if name in found]).to_markdown())
    return "\n".join(blocks)


def _check_same_examples(scores: Mapping[str, Scores], task: str) -> None:
    (first, reference), *others = scores.items()
    wanted = _examples(reference, task)
    for name, item in others:
        if _examples(item, task) != wanted:
            raise ValueError(
                f"{task}: {name!r} and {first!r} were not scored on the same examples: a place would mean nothing"
            )


def _examples(scores: Scores, task: str) -> frozenset[str]:
    return frozenset(row["example_id"] for row in scores.rows if row["task"] == task)
