"""One arm of an experiment: a GRPO training from a model of the run, looked at on the way, scored at the end.

Everything but what an arm names is the profile's: two arms that differ in one field differ in nothing else. The seed
draws the order of the prompts and the sampling, so arms of one seed and one set of tasks see the same prompts.

An arm's folder is named after what it is, not after the experiment that asked for it: two experiments that want the
same training share it::

    metrics.jsonl, completions/     what the trainer logged (radvlm_course.runs reads both)
    model/                          the trained model
    watched/step-<n>/               scores on validation films during training; step 0 is the start
    test/                           predictions.jsonl, scores.json, per_example.jsonl
    done.json                       written last: a folder with it is not trained again
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radvlm_course.evaluation.predictions import read_predictions
from radvlm_course.evaluation.score import Scores, load_scores, score
from radvlm_course.records import Example

if TYPE_CHECKING:
    from radvlm_course.models.loading import LoadedModel
    from radvlm_course.profiles import GrpoSettings
    from radvlm_course.stages import Course

__all__ = [
    "GENERAL_BASE",
    "GROUNDING",
    "REPORTS",
    "Arm",
    "Budget",
    "run_arm",
    "score_start",
    "start_folder",
    "trainer_options",
    "watched_scores",
]

GROUNDING, REPORTS = "abnormality_grounding", "report_generation"
GENERAL_BASE = "general_base"  # the model that comes with the package (radvlm_course.general_base)


@dataclass(frozen=True)
class Budget:
    """How much an experiment may take.

    Attributes:
        steps: GRPO steps of an arm.
        seeds: of the trainings.
        test_examples, watched_examples: most examples of a task that are asked at the end, and each time on the way.
        watches: how often on the way, at equal distances.
    """

    steps: int = 40
    seeds: tuple[int, ...] = (0, 1, 2)
    test_examples: int = 250
    watched_examples: int = 100
    watches: int = 2

    def __post_init__(self) -> None:
        counts = (self.steps, len(self.seeds), self.test_examples, self.watched_examples)
        if min(counts) < 1 or self.watches < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"expected a step, different seeds, examples and watches of at least 0, found {self}")


@dataclass(frozen=True)
class Arm:
    """One training.

    Attributes:
        name: within its experiment.
        start: the model it starts from: a stage of the run, :data:`GENERAL_BASE`, or a folder.
        tasks: whose prompts it is trained on.
        reward: as a profile writes it (:mod:`radvlm_course.rewards.choices`).
        thinking: ask for a thought before the answer.
        trainer: fields of ``trl.GRPOConfig`` that differ from the profile's.
    """

    name: str
    start: str
    tasks: tuple[str, ...]
    reward: str | dict[str, Any]
    thinking: bool = False
    trainer: dict[str, Any] = field(default_factory=dict)

    def folder_name(self, seed: int, steps: int) -> str:
        """Everything but the name, as in ``sft-early-abnormality-grounding-soft-f1-40-steps-seed-0``: in letters that
        every file system takes."""
        reward = self.reward if isinstance(self.reward, str) else " ".join(self.reward)
        mode = "thinking" if self.thinking else ""
        trainer = " ".join(f"{name} {value}" for name, value in self.trainer.items())
        start = Path(self.start).name
        return _slug(f"{start} {' '.join(self.tasks)} {reward} {mode} {trainer} {steps} steps seed {seed}")


def run_arm(course: Course, arm: Arm, seed: int, budget: Budget, root: Path) -> Path:
    """Train, watch and score one arm, or go on where it stopped. Returns its folder.

    Raises:
        ValueError: the run has no prompts of the arm's tasks, or the folder holds an arm of other settings.
    """
    folder = root / arm.folder_name(seed, budget.steps)
    settings = _settings(arm, seed, budget)
    _keep(folder / "arm.json", settings)
    if (folder / "done.json").exists():
        return folder
    started = time.perf_counter()
    loaded = _trained(course, arm, seed, budget, folder)
    _score(course, loaded, arm.thinking, budget, folder)
    _watch(course, arm, budget, folder)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    _write_json(folder / "done.json", {**settings, "seconds": round(time.perf_counter() - started, 1)})
    return folder


def score_start(course: Course, start: str, thinking: bool, budget: Budget, root: Path) -> Path:
    """Score a model before its training as arms are scored. Returns the folder of ``test`` and ``watched/step-0``.

    Raises:
        ValueError: the folder holds scores over another number of examples.
    """
    folder = start_folder(root, start, thinking)
    asked = {"test_examples": budget.test_examples, "watched_examples": budget.watched_examples}
    _keep(folder / "start.json", {"start": start, "thinking": thinking, **asked})
    if not (folder / "done.json").exists():
        loaded = _load(course, _model_of(course, start))
        _score(course, loaded, thinking, budget, folder)
        _score_watched(course, loaded, thinking, budget, folder / "watched" / "step-0", (GROUNDING, REPORTS))
        _write_json(folder / "done.json", {"start": start, "thinking": thinking})
    return folder


def start_folder(root: Path, start: str, thinking: bool) -> Path:
    """Where the scores of a model before training lie."""
    return root / "starts" / f"{_slug(start)}-{'thinking' if thinking else 'direct'}"


def watched_scores(folder: Path) -> dict[int, Scores]:
    """Step -> scores on the watched films."""
    found = {int(path.parent.name.partition("-")[2]): path.parent for path in folder.glob("watched/step-*/scores.json")}
    return {step: load_scores(found[step]) for step in sorted(found)}


def trainer_options(settings: GrpoSettings, arm: Arm, budget: Budget, thinking_tokens: int) -> dict[str, Any]:
    """The fields of ``trl.GRPOConfig`` that an arm is trained with: the profile's, the budget's, its own."""
    group, updates = settings.trainer.get("num_generations", 8), settings.trainer.get("steps_per_generation", 1)
    options = {
        "per_device_train_batch_size": settings.prompts_per_step * group // updates,
        **settings.trainer,
        "max_steps": budget.steps,
        "save_steps": max(1, budget.steps // (budget.watches + 1)),
        "disable_tqdm": True,
    }
    if arm.thinking:
        options["max_completion_length"] = thinking_tokens
    return {**options, **arm.trainer}


def _trained(course: Course, arm: Arm, seed: int, budget: Budget, folder: Path) -> LoadedModel:
    """The arm's model, trained now unless it is there."""
    if (folder / "model" / "config.json").exists() and (folder / "trained.json").exists():
        return _load(course, folder / "model")
    from radvlm_course.training.grpo import run_grpo

    profile = course.profile
    settings = profile.grpo_reports if arm.tasks == (REPORTS,) else profile.grpo_grounding
    examples = [example for task in arm.tasks for example in course.examples("train", task)]
    tokens = profile.cold_start.max_thinking_tokens if profile.cold_start else profile.evaluate.max_new_tokens
    loaded = _load(course, _model_of(course, arm.start))
    run_grpo(
        loaded.model,
        loaded.processor,
        examples,
        arm.reward,
        folder,
        trainer_options(settings, arm, budget, tokens),
        seed,
        freeze_vision=settings.freeze_vision,
        thinking=arm.thinking,
        muon_learning_rate=settings.muon_learning_rate,
    )
    loaded.model.save_pretrained(folder / "model")
    loaded.processor.save_pretrained(folder / "model")
    _write_json(folder / "trained.json", {"steps": budget.steps})
    return loaded


def _score(course: Course, loaded: LoadedModel, thinking: bool, budget: Budget, folder: Path) -> None:
    """Predict and score the test films; every task that the experiments look at, whatever the training was on."""
    examples = _asked(course, "test", budget.test_examples, (GROUNDING, REPORTS))
    _predict_and_score(course, loaded, examples, thinking, folder / "test", folder.name)


def _watch(course: Course, arm: Arm, budget: Budget, folder: Path) -> None:
    """Score the checkpoints, and the end, on the watched films of the arm's own tasks."""
    steps = {int(path.name.partition("-")[2]): path for path in folder.glob("checkpoint-*")}
    for step, path in sorted({**steps, budget.steps: folder / "model"}.items()):
        target = folder / "watched" / f"step-{step}"
        if not (target / "scores.json").exists():
            _score_watched(course, _load(course, path), arm.thinking, budget, target, arm.tasks)


def _score_watched(
    course: Course, loaded: LoadedModel, thinking: bool, budget: Budget, target: Path, tasks: Sequence[str]
) -> None:
    examples = _asked(course, "validation", budget.watched_examples, tasks)
    _predict_and_score(course, loaded, examples, thinking, target, target.name)


def _predict_and_score(
    course: Course, loaded: LoadedModel, examples: Sequence[Example], thinking: bool, target: Path, name: str
) -> None:
    from radvlm_course.evaluation.predict import predict

    settings, cold_start = course.profile.evaluate, course.profile.cold_start
    limit = cold_start.max_thinking_tokens if thinking and cold_start else settings.max_new_tokens
    file = target / "predictions.jsonl"
    target.mkdir(parents=True, exist_ok=True)
    predict(loaded, examples, file, name, settings.batch_size, limit, thinking, progress=False)
    score(examples, read_predictions(file), seed=course.profile.seed).write(target)


def _asked(course: Course, split: str, most: int, tasks: Sequence[str]) -> list[Example]:
    return [example for task in tasks for example in course.examples(split, task)[:most]]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")


def _model_of(course: Course, start: str) -> Path:
    if start == GENERAL_BASE:
        from radvlm_course.general_base.shipped import shipped_base

        return shipped_base()
    return Path(start) if "/" in start else course.run.model_folder(start)


def _load(course: Course, path: Path) -> LoadedModel:
    from radvlm_course.models.loading import load_model

    return load_model(path, max_pixels=course.profile.model.max_pixels)


def _settings(arm: Arm, seed: int, budget: Budget) -> dict[str, Any]:
    """What makes an arm what it is; not its name, nor which other seeds there are."""
    own = {name: value for name, value in dataclasses.asdict(arm).items() if name != "name"}
    shared = {name: value for name, value in dataclasses.asdict(budget).items() if name != "seeds"}
    return json.loads(json.dumps({"arm": own, "seed": seed, "budget": shared}))


def _keep(path: Path, settings: dict[str, Any]) -> None:
    """Begin a folder with its settings, or hold them against those that it began with.

    Raises:
        ValueError: they differ; names the first that does.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_json(path, settings)
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    for name, value in settings.items():
        if found[name] != value:
            raise ValueError(
                f"{path.parent} holds a training with {name} {found[name]}, asked for {value}: remove the folder to "
                "train it anew"
            )


def _write_json(path: Path, values: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
