"""The results table: models down, metrics across, each cell with its interval.

One table, three ways out: Markdown for the README and notebooks, CSV in long form (one line a number) for
any other tool, and plain dicts.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radvlm_course.evaluation.score import Scores
from radvlm_course.evaluation.statistics import Interval

__all__ = [
    "LOWER_IS_BETTER",
    "METRIC_TITLES",
    "WITHOUT_DIRECTION",
    "ResultRow",
    "Table",
    "difference_table",
    "escaped",
    "interval_text",
    "label_table",
    "results_table",
]

METRIC_TITLES = {
    "map50": "mAP@0.5",
    "map50_paper": "mAP@0.5 (paper-compatible)",
    "soft_f1": "soft-F1",
    "iou": "IoU",
    "iou_paper": "IoU (paper-compatible)",
    "recall50": "recall@0.5",
    "precision50": "precision@0.5",
    "accuracy50": "accuracy@0.5",
    "average_precision50": "AP@0.5",
    "gleu": "GLEU",
    "rouge_l": "ROUGE-L",
    "bleu": "BLEU",
    "bleu_paper": "BLEU (paper-compatible)",
    "bertscore": "BERTScore",
    "bertscore_paper": "BERTScore (paper-compatible)",
    "chexbert_all_micro": "CheXbert F1 (micro)",
    "chexbert_all_macro": "CheXbert F1 (macro)",
    "chexbert_all_macro_paper": "CheXbert F1 (macro, paper-compatible)",
    "chexbert_5_micro": "CheXbert F1 of 5 (micro)",
    "chexbert_5_macro": "CheXbert F1 of 5 (macro)",
    "chexbert_5_macro_paper": "CheXbert F1 of 5 (macro, paper-compatible)",
    "radgraph_simple": "RadGraph F1 (simple)",
    "radgraph_simple_paper": "RadGraph F1 (simple, paper-compatible)",
    "radgraph_partial": "RadGraph F1 (partial)",
    "radgraph_partial_paper": "RadGraph F1 (partial, paper-compatible)",
    "radgraph_complete": "RadGraph F1 (complete)",
    "radgraph_complete_paper": "RadGraph F1 (complete, paper-compatible)",
    "radcliq": "RadCliQ",
    "radcliq_paper": "RadCliQ (paper-compatible)",
    "green": "GREEN",
    "judge": "judge, 0 to 10",
    "observation_f1_micro": "observation F1 (micro)",
    "observation_f1_macro": "observation F1 (macro)",
    "observation_f1_5_micro": "observation F1 of 5 (micro)",
    "observation_f1_5_macro": "observation F1 of 5 (macro)",
    "finding_f1": "finding F1",
    "finding_f1_micro": "finding F1 (micro)",
    "finding_f1_macro": "finding F1 (macro)",
    "finding_side_f1_micro": "finding and side F1 (micro)",
    "finding_side_f1_macro": "finding and side F1 (macro)",
    "findings_exact": "all findings right",
    "f1_micro": "F1 (micro)",
    "f1_macro": "F1 (macro)",
    "f1_micro_paper": "F1 (micro, paper-compatible)",
    "f1_macro_paper": "F1 (macro, paper-compatible)",
    "exact": "all labels right",
    "characters": "mean characters",
    "words": "mean words",
    "recall": "recall",
    "precision": "precision",
}
"""How tables write a metric; the order is that of the columns. A metric that is not here is shown last, by its key."""

LOWER_IS_BETTER = ("radcliq", "radcliq_paper")
WITHOUT_DIRECTION = ("characters", "words")
"""Neither more nor less is better; of all other metrics, higher is."""


@dataclass(frozen=True)
class ResultRow:
    """One line of a table: a model (or a label) on a task, with its metrics."""

    name: str
    task: str
    n: int
    metrics: dict[str, Interval]


@dataclass(frozen=True)
class Table:
    """Results, ready to be written.

    Attributes:
        rows: the lines, in the order shown.
        first_column: heading of the names.
        signed: write a sign, for differences.
    """

    rows: tuple[ResultRow, ...]
    first_column: str = "model"
    signed: bool = False

    def to_markdown(self, metrics: Sequence[str] | None = None, intervals: bool = True) -> str:
        """One Markdown table for each task, with the examples' number and 95% intervals in brackets.

        Args:
            metrics: which columns, in this order; None shows all.
            intervals: write the intervals.
        """
        blocks = []
        for task in dict.fromkeys(row.task for row in self.rows):
            rows = [row for row in self.rows if row.task == task]
            shown = [name for name in metrics or _all_metrics(rows) if any(name in row.metrics for row in rows)]
            lines = [[self.first_column, "n", *(METRIC_TITLES.get(name, name) for name in shown)]]
            lines += [[row.name, str(row.n), *(self._cell(row, name, intervals) for name in shown)] for row in rows]
            lines.insert(1, ["---"] + ["---:"] * (len(shown) + 1))
            table = "\n".join("| " + " | ".join(escaped(cell) for cell in line) + " |" for line in lines)
            blocks.append(f"**{task.replace('_', ' ')}**\n\n{table}\n")
        return "\n".join(blocks)

    def to_csv(self) -> str:
        """Long form: one line for each number, with its interval, n and patients."""
        text = io.StringIO()
        columns = [self.first_column, "task", "metric", "value", "low", "high", "n", "patients", "level"]
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        for entry in self.to_dicts():
            writer.writerow({self.first_column: entry.pop("name"), **entry})
        return text.getvalue()

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each number: name, task, metric, value, low, high, n, patients, level."""
        return [
            {"name": row.name, "task": row.task, "metric": name, **interval.to_dict()}
            for row in self.rows
            for name, interval in row.metrics.items()
        ]

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.to_markdown()

    def _cell(self, row: ResultRow, name: str, intervals: bool) -> str:
        return interval_text(name, row.metrics.get(name), row.n, intervals, self.signed)


def interval_text(metric: str, interval: Interval | None, n: int, intervals: bool = True, signed: bool = False) -> str:
    """A number with its interval in brackets; n/a where it is undefined.

    Args:
        n: examples that the line is about; a number that rests on others says so.
        intervals: write the interval. signed: write a sign, for differences.
    """
    if interval is None or math.isnan(interval.value):
        return "n/a"
    digits = 1 if metric in WITHOUT_DIRECTION else 3
    sign = "+" if signed else ""
    text = f"{interval.value:{sign}.{digits}f}"
    if intervals and not math.isnan(interval.low):
        text += f" [{interval.low:{sign}.{digits}f}, {interval.high:{sign}.{digits}f}]"
    return text if interval.n == n else f"{text} (n = {interval.n})"


def _all_metrics(rows: Sequence[ResultRow]) -> list[str]:
    """Every metric that a row has: those with a title in their order, then the others as they come."""
    found = dict.fromkeys(name for row in rows for name in row.metrics)
    return [*(name for name in METRIC_TITLES if name in found), *(name for name in found if name not in METRIC_TITLES)]


def results_table(scores: Sequence[Scores] | Mapping[str, Scores], tasks: Sequence[str] | None = None) -> Table:
    """Models down, metrics across.

    Args:
        scores: scores of several models; a mapping gives the names to show, else each model's own.
        tasks: which tasks; None shows all.
    """
    named = list(scores.items()) if isinstance(scores, Mapping) else [(item.model, item) for item in scores]
    rows = [
        ResultRow(name, task, item.counts[task]["examples"], metrics)
        for name, item in named
        for task, metrics in item.tasks.items()
        if tasks is None or task in tasks
    ]
    return Table(tuple(sorted(rows, key=lambda row: tasks.index(row.task) if tasks else 0)))


def label_table(scores: Scores, task: str) -> Table:
    """The labels (or findings) of one model on one task; n is the examples with that label.

    Raises:
        ValueError: the task was not scored.
    """
    if task not in scores.labels:
        raise ValueError(f"task {task!r} was not scored; scored: {', '.join(scores.labels) or 'none'}")
    rows = [
        ResultRow(label, task, next(iter(metrics.values())).n, metrics)
        for label, metrics in scores.labels[task].items()
    ]
    return Table(tuple(rows), first_column="label")


def difference_table(comparisons: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> Table:
    """Paired differences, as :func:`radvlm_course.evaluation.score.compare` gives them, by name."""
    rows = [
        ResultRow(name, task, max((interval.n for interval in metrics.values()), default=0), dict(metrics))
        for name, comparison in comparisons.items()
        for task, metrics in comparison.items()
    ]
    return Table(tuple(rows), first_column="difference", signed=True)


def escaped(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
