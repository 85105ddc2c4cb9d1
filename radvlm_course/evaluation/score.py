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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from radvlm_course.boxes import parse_boxes
from radvlm_course.chat import THINK_END
from radvlm_course.evaluation import reports
from radvlm_course.evaluation.clinical import ClinicalScorer
from radvlm_course.evaluation.grounding import label_of
from radvlm_course.evaluation.predictions import Prediction, PredictionError, read_predictions
from radvlm_course.evaluation.scored_tasks import (
    REPORT_TASK,
    Judgements,
    TaskScorer,
    counts_of,
    ordered,
    part_statistics,
    task_statistics,
)
from radvlm_course.evaluation.statistics import Interval, bootstrap, paired_bootstrap, split_statistics
from radvlm_course.records import Example
from radvlm_course.rewards.base import BOX_TASKS

__all__ = ["Scores", "compare", "load_scores", "score", "score_file"]

PHANTOM_SOURCE = "phantom"

Row = dict[str, Any]


@dataclass(frozen=True)
class Scores:
    """How one model did on one set of examples.

    Attributes:
        model: the name that its predictions carry.
        rows: one dict for each scored example: ``example_id``, ``task``, ``patient_id``, ``finish_reason``,
            ``answered`` and the task's columns (``grounding.score_responses``, ``reports.ReportScorer``,
            ``classification.score_response``).
        tasks: task -> metric -> interval.
        labels: task -> label or finding -> metric -> interval.
        counts: task -> how many examples, without a response, cut off at the length limit, malformed boxes, and so on
            (``scored_tasks.counts_of``).
        unscored: task -> how many examples belong to tasks without a metric here.
        settings: resamples, seed and level of the intervals.
        sizes: task -> size of the true boxes -> metric -> interval.
        coco: task -> what COCO's tool says (``coco.coco_table``); empty if it was not asked.
    """

    model: str
    rows: tuple[Row, ...]
    tasks: dict[str, dict[str, Interval]]
    labels: dict[str, dict[str, dict[str, Interval]]]
    counts: dict[str, dict[str, int]]
    unscored: dict[str, int]
    settings: dict[str, Any]
    sizes: dict[str, dict[str, dict[str, Interval]]] = field(default_factory=dict)
    coco: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All but the rows, JSON-ready; undefined numbers are None."""
        tasks = {task: _plain(metrics) for task, metrics in self.tasks.items()}
        return {
            "model": self.model,
            "settings": self.settings,
            "tasks": tasks,
            "labels": {
                task: {part: _plain(item) for part, item in table.items()} for task, table in self.labels.items()
            },
            "sizes": {task: {part: _plain(item) for part, item in table.items()} for task, table in self.sizes.items()},
            "coco": self.coco,
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
    clinical: ClinicalScorer | None = None,
    judgements: Judgements | None = None,
    coco: bool = False,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Scores:
    """Score one model's predictions on a set of examples.

    Args:
        examples: what was asked.
        predictions: one for each example, in any order.
        labeller: reads the findings of reports; ``auto`` takes the phantoms' labeller if every report
            example comes from the phantoms, and reads the fourteen observations by rules otherwise; None leaves the
            finding metrics out.
        clinical: metrics of reports that need models; None leaves them out.
        judgements: what a language model judged: name -> example id -> value, as ``green`` and ``judge`` write it.
        coco: also ask COCO's tool about boxes (seconds for thousands of examples, no intervals).
        resamples, seed, level: of the bootstrap intervals, by patient. An example without a patient id counts
            as a patient of its own.

    Raises:
        PredictionError: predictions are missing, doubled, of unknown examples or of two models, or a response still
            has its thought; says how many and names some.
        ValueError: two examples share an id, or there is none; or a judgement does not fit the examples.
    """
    asked = _by_id(examples)
    answers, model = _matched(asked, predictions)
    by_task: dict[str, list[Example]] = {}
    for example in asked.values():
        by_task.setdefault(example.task, []).append(example)
    scorer = TaskScorer(_reporter(labeller, by_task.get(REPORT_TASK, []), clinical), judgements)
    scored = {task: some for task, some in by_task.items() if scorer.is_scored(task, some)}
    unscored = dict(sorted(Counter(e.task for e in asked.values() if e.task not in scored).items()))
    if unscored:
        warnings.warn(f"no metric for {unscored}: these examples are counted, not scored", stacklevel=2)
    rows: dict[str, Row] = {}
    for task, some in scored.items():
        made = scorer.rows(task, [answers[example.id].response for example in some], some)
        rows |= {e.id: _base_row(e, answers[e.id]) | row for e, row in zip(some, made, strict=True)}
    options = {"resamples": resamples, "seed": seed, "level": level}
    found: dict[str, dict[str, Any]] = {"tasks": {}, "labels": {}, "sizes": {}, "counts": {}, "coco": {}}
    for task in ordered(list(scored)):
        mine = [rows[example.id] for example in scored[task]]
        found["tasks"][task], parts = _intervals(task, mine, options)
        found["labels"][task], found["counts"][task] = parts["labels"], counts_of(mine)
        if task in BOX_TASKS:
            found["sizes"][task] = parts["sizes"]
            if coco:
                found["coco"][task] = _coco(scored[task], answers)
    kept = tuple(rows[identifier] for identifier in asked if identifier in rows)
    return Scores(model=model, rows=kept, unscored=unscored, settings=options, **found)


def score_file(examples: Iterable[Example], path: str | os.PathLike[str], **options: Any) -> Scores:
    """Score a file of predictions; ``options`` are those of :func:`score`.

    Raises:
        PredictionError: as :func:`score`, and for a line that is corrupt, doubled or foreign; names the line.
    """
    asked = list(examples)
    return score(asked, read_predictions(path, {example.id for example in asked}), **options)


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
    for task in ordered([row["task"] for row in before.rows]):
        ids = [identifier for identifier, row in first.items() if row["task"] == task]
        both = [first[identifier] for identifier in ids] + [second[identifier] for identifier in ids]
        low, high = split_statistics(task_statistics(task, both), len(ids))  # of both, so that labels are the same
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
    return Scores(
        model=values["model"],
        rows=rows,
        tasks=tasks,
        labels=_parts_from(values["labels"]),
        counts=values["counts"],
        unscored=values["unscored"],
        settings=values["settings"],
        sizes=_parts_from(values.get("sizes", {})),
        coco=values.get("coco", {}),
    )


def _parts_from(tables: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Interval]]]:
    return {task: {part: _intervals_from(metrics) for part, metrics in table.items()} for task, table in tables.items()}


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
    for identifier, prediction in answers.items():
        if THINK_END in (prediction.response or ""):
            raise PredictionError(
                f"the response to example {identifier!r} still has its thought (a {THINK_END}): what is scored is what "
                "follows it. Write predictions with Prediction.from_completion(..., thinking=True)"
            )
    models = sorted({prediction.model for prediction in answers.values()})
    if len(models) > 1:
        raise PredictionError(f"expected predictions of one model, found {', '.join(models)}: score each alone")
    return answers, models[0]


def _reporter(
    choice: reports.Labeller | str | None, examples: Sequence[Example], clinical: ClinicalScorer | None
) -> reports.ReportScorer:
    if choice is None or callable(choice):
        return reports.ReportScorer(choice, clinical_scorer=clinical)
    if choice != "auto":
        raise ValueError(f"labeller: expected a function, None or 'auto', found {choice!r}")
    phantoms = {example.source for example in examples} == {PHANTOM_SOURCE}
    return reports.ReportScorer(reports.phantom_labeller() if phantoms else None, not phantoms, clinical)


def _base_row(example: Example, prediction: Prediction) -> Row:
    return {
        "example_id": example.id,
        "task": example.task,
        "patient_id": example.patient_id or f"example {example.id}",
        "finish_reason": prediction.finish_reason,
        "answered": bool(prediction.response and prediction.response.strip()),
    }


def _intervals(
    task: str, rows: Sequence[Row], options: Mapping[str, Any]
) -> tuple[dict[str, Interval], dict[str, dict[str, dict[str, Interval]]]]:
    """Metrics of the task and of each of its parts, all from the same resamples."""
    whole, parts = task_statistics(task, rows), part_statistics(task, rows)
    keyed = {("", "", name): item for name, item in whole.items()}
    for kind, table in parts.items():
        keyed |= {(kind, part, name): item for part, metrics in table.items() for name, item in metrics.items()}
    found = bootstrap({"\t".join(key): item for key, item in keyed.items()}, [r["patient_id"] for r in rows], **options)
    intervals: dict[str, dict[str, dict[str, Interval]]] = {
        kind: {part: {name: found[f"{kind}\t{part}\t{name}"] for name in metrics} for part, metrics in table.items()}
        for kind, table in parts.items()
    }
    return {name: found[f"\t\t{name}"] for name in whole}, intervals


def _coco(examples: Sequence[Example], answers: Mapping[str, Prediction]) -> dict[str, Any]:
    from radvlm_course.evaluation.coco import coco_table

    by_id = sorted(examples, key=lambda example: example.id)
    predicted = [parse_boxes(answers[example.id].response or "") for example in by_id]
    return coco_table(predicted, [example.boxes for example in by_id], [label_of(example) for example in by_id])


def _plain(metrics: Mapping[str, Interval]) -> dict[str, Any]:
    return {name: interval.to_dict() for name, interval in metrics.items()}


def _intervals_from(metrics: Mapping[str, Any]) -> dict[str, Interval]:
    return {name: Interval.from_dict(values) for name, values in metrics.items()}


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n", errors="backslashreplace")
    partial.replace(path)
