"""The evaluation stage: every model of a run and the priors, on the same held-out examples.

``predictions/<model>.jsonl`` (resumable), ``scores/<model>/``, ``differences.json`` (paired, each
model against the one that GRPO started from) and ``results.md``. The priors answer without
looking at the film: whatever they score is what a model gets for free. COCO's tool is asked as well
(:mod:`~radvlm_course.evaluation.coco`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from radvlm_course.evaluation.baselines import priors
from radvlm_course.evaluation.box_tables import box_tables
from radvlm_course.evaluation.predictions import Prediction, PredictionWriter, read_predictions
from radvlm_course.evaluation.reports import phantom_labeller
from radvlm_course.evaluation.score import REPORT_TASK, Scores, compare, score
from radvlm_course.evaluation.tables import difference_table, results_table
from radvlm_course.records import Example
from radvlm_course.rewards.base import BOX_TASKS

__all__ = ["evaluate_models", "prior_scores"]

_COLUMNS = ("map50", "map50_paper", "soft_f1", "gleu", "rouge_l", "finding_f1_micro", "finding_side_f1_micro", "words")


def evaluate_models(
    models: Mapping[str, Path],
    reference: str,
    train: Sequence[Example],
    test: Sequence[Example],
    folder: Path,
    batch_size: int,
    max_new_tokens: int,
    max_pixels: int | None,
    seed: int,
    progress: bool = True,
    thinking: Collection[str] = (),
    max_thinking_tokens: int = 0,
) -> dict[str, Any]:
    """Predict, score and compare; returns the headline numbers.

    Args:
        models: name -> model folder.
        reference: the model that the others are compared with, if it is among them.
        train: what the priors are made of. test: what everybody is asked.
        max_new_tokens: limit of a completion; how many were cut off is counted in the scores.
        thinking: names of the models that are asked to think. max_thinking_tokens: their limit.
    """
    scores = prior_scores(train, test, folder, seed)
    for name, path in models.items():
        file = folder / "predictions" / f"{name}.jsonl"
        limit = max_thinking_tokens if name in thinking else max_new_tokens
        _predict(name, path, test, file, batch_size, limit, max_pixels, name in thinking, progress)
        scores[name] = score(test, read_predictions(file), coco=True, seed=seed)
        scores[name].write(folder / "scores" / name)
    others = [name for name in models if name != reference and reference in models]
    differences = {f"{name} - {reference}": compare(scores[reference], scores[name], seed=seed) for name in others}
    _write_results(scores, differences, folder)
    return {name: _headline(item) for name, item in scores.items()}


def prior_scores(train: Sequence[Example], test: Sequence[Example], folder: Path, seed: int) -> dict[str, Scores]:
    """Scores of the answers that need no film: mean boxes, constant reports."""
    box_tasks = _of_tasks(train, BOX_TASKS), _of_tasks(test, BOX_TASKS)
    report_tasks = _of_tasks(train, (REPORT_TASK,)), _of_tasks(test, (REPORT_TASK,))
    answers: dict[str, tuple[Sequence[Example], Iterable[Prediction]]] = {}
    if all(box_tasks):
        answers["prior: mean box"] = box_tasks[1], priors.mean_box(*box_tasks)
        answers["prior: commonest side"] = box_tasks[1], priors.commonest_side_box(*box_tasks)
    if all(report_tasks):
        answers["prior: constant report"] = report_tasks[1], priors.constant_report(*report_tasks)
        if all(example.source == "phantom" for example in (*report_tasks[0], *report_tasks[1])):
            answers["prior: commonest findings"] = (
                report_tasks[1],
                priors.commonest_findings(*report_tasks, labeller=phantom_labeller()),
            )
    scores = {}
    for name, (asked, predictions) in answers.items():
        slug = name.replace(": ", "_").replace(" ", "_")
        file = folder / "predictions" / f"{slug}.jsonl"
        file.unlink(missing_ok=True)
        with PredictionWriter(file) as writer:
            for prediction in predictions:
                writer.write(prediction)
        scores[name] = score(asked, read_predictions(file), coco=True, seed=seed)
        scores[name].write(folder / "scores" / slug)
    return scores


def _of_tasks(examples: Sequence[Example], tasks: Sequence[str]) -> list[Example]:
    return [example for example in examples if example.task in tasks]


def _predict(
    name: str,
    path: Path,
    test: Sequence[Example],
    file: Path,
    batch_size: int,
    max_new_tokens: int,
    max_pixels: int | None,
    thinking: bool,
    progress: bool,
) -> None:
    from radvlm_course.evaluation.predict import predict
    from radvlm_course.models.loading import load_model, on_gpu

    loaded = on_gpu(load_model(path, max_pixels=max_pixels))
    predict(loaded, test, file, name, batch_size, max_new_tokens, thinking, progress)


def _headline(scores: Scores) -> dict[str, float]:
    return {
        f"{task}/{metric}": interval.value
        for task, metrics in scores.tasks.items()
        for metric, interval in metrics.items()
        if metric in _COLUMNS and interval.value == interval.value
    }


def _write_results(scores: Mapping[str, Scores], differences: Mapping[str, Any], folder: Path) -> None:
    plain = {
        name: {
            task: {metric: interval.to_dict() for metric, interval in metrics.items()} for task, metrics in by.items()
        }
        for name, by in differences.items()
    }
    (folder / "differences.json").write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    text = results_table(scores).to_markdown(_COLUMNS)
    if differences:
        text += "\nPaired differences, 95% intervals by patient\n\n" + difference_table(differences).to_markdown(
            _COLUMNS
        )
    if more := box_tables(scores):
        text += f"\n{more}"
    (folder / "results.md").write_text(text, encoding="utf-8")
