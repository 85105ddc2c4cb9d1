"""From examples and predictions to scores: one row an example, and every metric with its interval.

The only door to the metrics: whatever wrote the predictions (a checkpoint, a prior, another project's
model), :func:`score` gives the same rows and the same table. ``per_example.jsonl`` holds the rows, from which
:func:`compare` computes paired differences between two runs and pictures find the best and worst cases;
``scores.json`` holds the metrics. Both are equal to the byte for equal inputs.

A missing prediction is an error, never a zero and never left out: a table over the examples that happened to
be answered would flatter a run that was killed.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radvlm_course.evaluation import grounding, reports
from radvlm_course.evaluation.predictions import Prediction, PredictionError
from radvlm_course.evaluation.statistics import CountStatistic, Interval, bootstrap, paired_bootstrap
from radvlm_course.records import Example
from radvlm_course.rewards.base import BOX_TASKS

__all__ = ["Scores", "compare", "load_scores", "score"]

REPORT_TASK = "report_generation"
SCORED_TASKS = (*BOX_TASKS, REPORT_TASK)
PHANTOM_SOURCE = "phantom"

Row = dict[str, Any]


@dataclass(frozen=True)
class Scores:
    """How one model did on one set of examples.

    Attributes:
        model: the name that its predictions carry.
        rows: one dict for each scored example: ``example_id``, ``task``, ``patient_id``, ``finish_reason``,
            ``answered`` and the task's metrics (``grounding.score_response``, ``reports.score_response``).
        tasks: task -> metric -> interval.
        labels: task -> label or finding -> metric -> interval.
        counts: task -> how many examples, without a response, cut off at the length limit, malformed boxes.
        unscored: task -> how many examples belong to tasks without a metric here.
        settings: resamples, seed and level of the intervals.
    """

    model: str
    rows: tuple[Row, ...]
    tasks: dict[str, dict[str, Interval]]
    labels: dict[str, dict[str, dict[str, Interval]]]
    counts: dict[str, dict[str, int]]
    unscored: dict[str, int]
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """All but the rows, JSON-ready; undefined numbers are None."""
        tasks = {task: _plain(metrics) for task, metrics in self.tasks.items()}
        labels = {
            task: {label: _plain(metrics) for label, metrics in table.items()} for task, table in self.labels.items()
        }
        return {
            "model": self.model,
            "settings": self.settings,
            "tasks": tasks,
            "labels": labels,
            "counts": self.counts,
            "unscored": self.unscored,
        }

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``scores.json`` and ``per_example.jsonl`` into a folder; each appears whole or not at all."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows)
        _replace(target / "per_example.jsonl", lines)
        _replace(
            target / "scores.json", json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        )
        return target / "scores.json"


def score(
    examples: Iterable[Example],
    predictions: Iterable[Prediction],
    *,
    labeller: reports.Labeller | Literal["auto"] | None = "auto",
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Scores:
    """Score one model's predictions on a set of examples.

    Args:
        examples: what was asked.
        predictions: one for each example, in any order.
        labeller: reads the findings of reports; ``auto`` takes the phantoms' labeller if every report
            example comes from the phantoms and none otherwise; None leaves the finding metrics out.
        resamples, seed, level: of the bootstrap intervals, by patient. An example without a patient id counts
            as a patient of its own.

    Raises:
        PredictionError: predictions are missing, doubled, of unknown examples or of two models; says how many
            and names some.
        ValueError: two examples share an id, or there is none.
    """
    asked = _by_id(examples)
    answers, model = _matched(asked, predictions)
    scored = [example for example in asked.values() if example.task in SCORED_TASKS]
    unscored = dict(sorted(Counter(e.task for e in asked.values() if e.task not in SCORED_TASKS).items()))
    if unscored:
        warnings.warn(f"no metric for {unscored}: these examples are counted, not scored", stacklevel=2)
    reporter = reports.ReportScorer(_labeller(labeller, scored))
    rows = [_row(example, answers[example.id], reporter) for example in scored]
    options = {"resamples": resamples, "seed": seed, "level": level}
    tasks, labels, counts = {}, {}, {}
    for task in [name for name in SCORED_TASKS if any(row["task"] == name for row in rows)]:
        mine = [row for row in rows if row["task"] == task]
        tasks[task], labels[task] = _intervals(task, mine, options)
        counts[task] = _counts(mine)
    return Scores(model, tuple(rows), tasks, labels, counts, unscored, options)


def compare(
    before: Scores, after: Scores, *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> dict[str, dict[str, Interval]]:
    """Paired differences ``after - before`` of two runs on the same examples: task -> metric -> interval.

    Raises:
        ValueError: the two were not scored on the same examples; says how they differ.
    """
    first = {row["example_id"]: row for row in before.rows}
    second = {row["example_id"]: row for row in after.rows}
    if set(first) != set(second):
        only = [sorted(set(a) - set(b)) for a, b in ((first, second), (second, first))]
        raise ValueError(
            f"a paired comparison needs the same examples: {len(only[0])} only in {before.model!r} {only[0][:3]}, "
            f"{len(only[1])} only in {after.model!r} {only[1][:3]}"
        )
    result = {}
    present = {row["task"] for row in before.rows}
    for task in [name for name in SCORED_TASKS if name in present]:
        ids = [identifier for identifier, row in first.items() if row["task"] == task]
        both = [first[identifier] for identifier in ids] + [second[identifier] for identifier in ids]
        joint = _statistics(task, both)  # over both runs, so that labels have the same columns
        low, high = (
            {name: CountStatistic(item.counts[part], item.function) for name, item in joint.items()}
            for part in (slice(None, len(ids)), slice(len(ids), None))
        )
        patients = [first[identifier]["patient_id"] for identifier in ids]
        result[task] = paired_bootstrap(low, high, patients, resamples, seed, level)
    return result


def load_scores(folder: str | os.PathLike[str]) -> Scores:
    """Read back what :meth:`Scores.write` wrote."""
    source = Path(folder)
    values = json.loads((source / "scores.json").read_text(encoding="utf-8"))
    with open(source / "per_example.jsonl", encoding="utf-8", newline="\n") as file:
        rows = tuple(json.loads(line) for line in file)
    tasks = {task: _intervals_from(metrics) for task, metrics in values["tasks"].items()}
    labels = {
        task: {label: _intervals_from(metrics) for label, metrics in table.items()}
        for task, table in values["labels"].items()
    }
    return Scores(values["model"], rows, tasks, labels, values["counts"], values["unscored"], values["settings"])


def _by_id(examples: Iterable[Example]) -> dict[str, Example]:
    asked: dict[str, Example] = {}
    for example in examples:
        if example.id in asked:
            raise ValueError(f"two examples share the id {example.id!r}: ids must be unique within a set")
        asked[example.id] = example
    if not asked:
        raise ValueError("expected at least one example to score, found none")
    return asked


def _matched(asked: Mapping[str, Example], predictions: Iterable[Prediction]) -> tuple[dict[str, Prediction], str]:
    answers: dict[str, Prediction] = {}
    for prediction in predictions:
        if prediction.example_id not in asked:
            raise PredictionError(
                f"a prediction answers example {prediction.example_id!r}, which is not among the {len(asked)} to score"
            )
        if prediction.example_id in answers:
            raise PredictionError(f"two predictions answer example {prediction.example_id!r}")
        answers[prediction.example_id] = prediction
    if missing := [identifier for identifier in asked if identifier not in answers]:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise PredictionError(
            f"{len(missing)} of {len(asked)} examples have no prediction: {shown}. Predict again (it resumes after the "
            "ones that are there), or score only the examples that were asked"
        )
    models = sorted({prediction.model for prediction in answers.values()})
    if len(models) > 1:
        raise PredictionError(f"expected predictions of one model, found {', '.join(models)}: score each alone")
    return answers, models[0]


def _labeller(choice: reports.Labeller | str | None, examples: Sequence[Example]) -> reports.Labeller | None:
    if choice is None or callable(choice):
        return choice
    if choice != "auto":
        raise ValueError(f"labeller: expected a function, None or 'auto', found {choice!r}")
    sources = {example.source for example in examples if example.task == REPORT_TASK}
    return reports.phantom_labeller() if sources == {PHANTOM_SOURCE} else None


def _row(example: Example, prediction: Prediction, reporter: reports.ReportScorer) -> Row:
    response = prediction.response
    row: Row = {
        "example_id": example.id,
        "task": example.task,
        "patient_id": example.patient_id or f"example {example.id}",
        "finish_reason": prediction.finish_reason,
        "answered": bool(response and response.strip()),
    }
    judge: Callable[[str | None, Example], Row]
    judge = reporter.score_response if example.task == REPORT_TASK else grounding.score_response
    return row | judge(response, example)


def _statistics(task: str, rows: Sequence[Row]) -> dict[str, CountStatistic]:
    return reports.statistics(rows) if task == REPORT_TASK else grounding.statistics(rows)


def _intervals(
    task: str, rows: Sequence[Row], options: Mapping[str, Any]
) -> tuple[dict[str, Interval], dict[str, dict[str, Interval]]]:
    """Metrics of the task and of each label, all from the same resamples."""
    by_label = reports.finding_statistics(rows) if task == REPORT_TASK else grounding.label_statistics(rows)
    whole = _statistics(task, rows)
    keyed = {("", name): item for name, item in whole.items()}
    keyed |= {(label, name): item for label, table in by_label.items() for name, item in table.items()}
    names = {f"{label}\t{name}": item for (label, name), item in keyed.items()}
    found = bootstrap(names, [row["patient_id"] for row in rows], **options)
    labels = {label: {name: found[f"{label}\t{name}"] for name in table} for label, table in by_label.items()}
    return {name: found[f"\t{name}"] for name in whole}, labels


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    return {
        "examples": len(rows),
        "patients": len({row["patient_id"] for row in rows}),
        "without_response": sum(not row["answered"] for row in rows),
        "cut_off_at_length": sum(row["finish_reason"] == "length" for row in rows),
        "malformed_boxes": sum(row.get("n_malformed", 0) for row in rows),
    }


def _plain(metrics: Mapping[str, Interval]) -> dict[str, Any]:
    return {name: interval.to_dict() for name, interval in metrics.items()}


def _intervals_from(metrics: Mapping[str, Any]) -> dict[str, Interval]:
    return {name: Interval.from_dict(values) for name, values in metrics.items()}


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n", errors="backslashreplace")
    partial.replace(path)
