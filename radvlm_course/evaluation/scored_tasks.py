"""Which metrics belong to which task: the table between the door (:mod:`~radvlm_course.evaluation.score`) and them.

A task has rows (one dict an example), statistics of rows, and statistics of parts of them: labels, and box sizes. What
a language model judged elsewhere (GREEN, a judge of conversations) comes in as *judgements* and becomes one more
metric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from radvlm_course.evaluation import classification, grounding, reports
from radvlm_course.evaluation.statistics import CountStatistic, mean_statistic
from radvlm_course.records import TASKS, Example
from radvlm_course.rewards.base import BOX_TASKS

__all__ = [
    "CLASSIFICATION_TASK",
    "REPORT_TASK",
    "Judgements",
    "TaskScorer",
    "counts_of",
    "part_statistics",
    "task_statistics",
]

Row = dict[str, Any]
Judgements = Mapping[str, Mapping[str, float | None]]
"""Name of a metric -> example id -> value; None where the judge's answer could not be read."""

CLASSIFICATION_TASK = "abnormality_classification"
REPORT_TASK = "report_generation"
_OWN_METRICS = (*BOX_TASKS, CLASSIFICATION_TASK, REPORT_TASK)


class TaskScorer:
    """Makes the rows of examples, task by task.

    Args:
        reporter: scores reports.
        judgements: see :data:`Judgements`.

    Raises:
        ValueError: a judgement's name is that of another column.
    """

    def __init__(self, reporter: reports.ReportScorer, judgements: Judgements | None = None) -> None:
        self._reporter, self._judgements = reporter, dict(judgements or {})

    def is_scored(self, task: str, examples: Sequence[Example]) -> bool:
        """Whether a task has a metric: of its own, or a judgement of one of its examples."""
        return task in _OWN_METRICS or any(self._covers(name, examples) for name in self._judgements)

    def rows(self, task: str, responses: Sequence[str | None], examples: Sequence[Example]) -> list[Row]:
        """The rows of one task's examples.

        Raises:
            ValueError: a judgement has some of the examples but not all; names one that it lacks.
        """
        if task in BOX_TASKS:
            rows = grounding.score_responses(responses, examples)
        elif task == REPORT_TASK:
            rows = self._reporter.score_responses(responses, examples)
        elif task == CLASSIFICATION_TASK:
            vocabulary = classification.vocabulary_of(examples)
            pairs = zip(responses, examples, strict=True)
            rows = [classification.score_response(response, example, vocabulary) for response, example in pairs]
        else:
            rows = [{"characters": len(text), "words": len(text.split())} for text in (r or "" for r in responses)]
        for name in self._judgements:
            if self._covers(name, examples):
                self._add_judgement(name, rows, examples)
        return rows

    def _covers(self, name: str, examples: Sequence[Example]) -> bool:
        return any(example.id in self._judgements[name] for example in examples)

    def _add_judgement(self, name: str, rows: list[Row], examples: Sequence[Example]) -> None:
        values = self._judgements[name]
        lacking = [example.id for example in examples if example.id not in values]
        if lacking:
            raise ValueError(
                f"{name}: {len(lacking)} of {len(examples)} examples of {examples[0].task} are not judged, for example "
                f"{lacking[0]!r}: judge all of them"
            )
        for row, example in zip(rows, examples, strict=True):
            if name in row:
                raise ValueError(f"the judgement {name!r} has the name of another column: call it differently")
            row[name] = values[example.id]
            row.setdefault("judged", []).append(name)


def task_statistics(task: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, CountStatistic]:
    """The metrics of rows of one task."""
    if task in BOX_TASKS:
        own = grounding.statistics(rows)
    elif task == REPORT_TASK:
        own = reports.statistics(rows)
    elif task == CLASSIFICATION_TASK:
        own = classification.statistics(rows)
    else:
        own = {name: mean_statistic([float(row[name]) for row in rows]) for name in ("characters", "words")}
    for name in sorted({name for row in rows for name in row.get("judged", ())}):
        values = [row.get(name) for row in rows]
        defined = [value is not None for value in values]
        own[name] = mean_statistic([0.0 if value is None else float(value) for value in values], defined)
    return own


def part_statistics(task: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, CountStatistic]]]:
    """Metrics of parts of the rows: ``labels`` and ``sizes`` -> part -> metric -> statistic."""
    if task in BOX_TASKS:
        return {"labels": grounding.label_statistics(rows), "sizes": grounding.size_statistics(rows)}
    if task == REPORT_TASK:
        return {"labels": reports.finding_statistics(rows), "sizes": {}}
    if task == CLASSIFICATION_TASK:
        return {"labels": classification.label_statistics(rows), "sizes": {}}
    return {"labels": {}, "sizes": {}}


def counts_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """What the rows of a task are made of, and what went wrong; of grounding also every empty case."""
    counts = {
        "examples": len(rows),
        "patients": len({row["patient_id"] for row in rows}),
        "without_response": sum(not row["answered"] for row in rows),
        "cut_off_at_length": sum(row["finish_reason"] == "length" for row in rows),
    }
    if rows and "n_true" in rows[0]:
        counts |= _box_cases(rows)
    judged = Counter(name for row in rows for name in row.get("judged", ()) if row[name] is None)
    return counts | {f"{name}_unreadable": number for name, number in sorted(judged.items())}


def _box_cases(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    empty = [row for row in rows if not row["n_true"]]
    return {
        "malformed_boxes": sum(row["n_malformed"] for row in rows),
        "nothing_to_find": len(empty),
        "nothing_to_find_and_said_so": sum(row["correct"] for row in empty),
        "nothing_to_find_but_boxes_written": sum(row["n_predicted"] > 0 for row in empty),
        "boxes_to_find_but_none_written": sum(row["n_true"] > 0 and not row["n_predicted"] for row in rows),
        "paper_reader_stops": sum(row["paper_reader_stops"] for row in rows),
    }


def ordered(tasks: Sequence[str]) -> list[str]:
    """Tasks in the order of tables: boxes, classification, reports, then the rest."""
    order = [*_OWN_METRICS, *(task for task in TASKS if task not in _OWN_METRICS)]
    return sorted(set(tasks), key=order.index)
