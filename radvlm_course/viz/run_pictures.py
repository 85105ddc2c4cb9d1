"""The pictures that the evaluation stage leaves in a run folder, from files alone.

``grounding.png`` (held-out films before and after RL), ``films.png`` (the truth on the films),
``results_*.png`` (every model and prior with intervals) and the curves of each trained stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from radvlm_course.boxes import Box, parse_boxes
from radvlm_course.evaluation.predictions import read_predictions
from radvlm_course.evaluation.score import load_scores
from radvlm_course.records import Example
from radvlm_course.rewards.base import BOX_TASKS
from radvlm_course.viz.boxes import before_after, gallery
from radvlm_course.viz.curves import grpo_curves, sft_curves
from radvlm_course.viz.tables import dot_plot

__all__ = ["pick_evenly", "save_run_pictures"]

_METRICS = {
    "abnormality_grounding": ("map50", "map50_paper", "soft_f1"),
    "report_generation": ("gleu", "rouge_l", "finding_f1_micro", "finding_side_f1_micro"),
}


def pick_evenly(examples: Sequence[Example], count: int) -> list[Example]:
    """``count`` grounding examples with boxes, in turn from each label and from different films where possible.

    The choice depends on the examples alone, so every run over them shows the same films.
    """
    by_label: dict[str, list[Example]] = {}
    for example in examples:
        if example.task in BOX_TASKS and example.boxes and example.labels:
            by_label.setdefault(example.labels[0], []).append(example)
    queues = [by_label[label] for label in sorted(by_label)]
    chosen: list[Example] = []
    while len(chosen) < count and any(queues):
        for queue in [queue for queue in queues if queue]:
            shown = {example.image_path for example in chosen}
            fresh = next((example for example in queue if example.image_path not in shown), queue[0])
            queue.remove(fresh)
            chosen.append(fresh)
    return chosen[:count]


def save_run_pictures(run_folder: Path, test: Sequence[Example], models: Sequence[str], count: int = 8) -> list[Path]:
    """Draw and save; returns the files, in ``run_folder/evaluate/pictures``.

    Args:
        run_folder: a run whose evaluation has been scored.
        test: the examples that the predictions answer.
        models: names of predictions files, the first is the reference.
    """
    folder = run_folder / "evaluate" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure] = {}
    chosen = pick_evenly([e for e in test if e.task == "abnormality_grounding"], count)
    if chosen:
        films, truth = [e.image_path for e in chosen], [e.boxes for e in chosen]
        names = [e.labels[0] for e in chosen]
        figures["films"] = gallery(films, names, truth=truth)
        answers = {name: _boxes(run_folder, name, chosen) for name in models}
        if "sft" in models:
            figures["sft"] = gallery(films, names, truth=truth, predictions=answers["sft"])
        after = next((name for name in ("grpo_grounding", *models[1:]) if name in models[1:]), None)
        if after is not None:
            pair = (models[0], after)
            figures["grounding"] = before_after(films, truth, answers[pair[0]], answers[after], names, names=pair)
        else:
            figures["grounding"] = gallery(films, names, truth=truth, predictions=answers[models[0]])
    figures |= _results(run_folder / "evaluate" / "scores")
    for stage in ("sft", "grpo_grounding", "grpo_reports"):
        if (run_folder / stage / "metrics.jsonl").exists():
            draw = grpo_curves if stage.startswith("grpo") else sft_curves
            figures[f"curves_{stage}"] = draw(run_folder / stage, title=stage)
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight")
        paths.append(path)
    return paths


def _boxes(run_folder: Path, model: str, examples: Sequence[Example]) -> list[list[Box]]:
    answers = {p.example_id: p for p in read_predictions(run_folder / "evaluate" / "predictions" / f"{model}.jsonl")}
    return [parse_boxes(answers[example.id].response or "") for example in examples]


def _results(folder: Path) -> dict[str, Figure]:
    scores = [load_scores(path.parent) for path in sorted(folder.glob("*/scores.json"))]
    figures = {}
    for task, metrics in _METRICS.items():
        results = {item.model: item.tasks[task] for item in scores if task in item.tasks}
        shown = [name for name in metrics if any(name in result for result in results.values())]
        if results and shown:
            priors = [name for name in results if name.startswith("prior")]
            figures[f"results_{task}"] = dot_plot(results, shown, title=task.replace("_", " "), baselines=priors)
    return figures
