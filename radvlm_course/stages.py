"""The stages of the method, one function each: what the command line and the notebooks call.

::

    curate ──▶ base ──▶ sft ──┬─▶ cold_start ──────┐
                              ├─▶ grpo_grounding ──┤
                              └─▶ grpo_reports ────┴─▶ evaluate

A stage reads the folder of the stage before it and writes its own (see :mod:`radvlm_course.runs`).
A finished stage is not repeated; a killed one resumes. ``base`` exists only for the tiny model: it
makes the tokenizer and the vision tower that a real Qwen3-VL brings along. ``cold_start`` teaches the
thinking mode; a GRPO stage starts from it if its settings say ``thinking``, and from elsewhere if they
name a ``start``.

Started by ``accelerate launch``, the stages that train with TRL (``sft``, ``cold_start``, GRPO) run in all processes;
the others run in the main process alone, which also opens the run, writes its files and decides what is finished
(:mod:`radvlm_course.processes`).
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radvlm_course.models.unsloth import prepare_engine
from radvlm_course.processes import from_main, main_process, process_count, sharding, wait_for_all
from radvlm_course.profile_checks import GRPO_STAGES, STARTS
from radvlm_course.profiles import ColdStartSettings, Profile, load_profile
from radvlm_course.readiness import check_profile, check_ready
from radvlm_course.records import Example, Study, read_jsonl, write_jsonl
from radvlm_course.runs import Run, RunError, append_jsonl
from radvlm_course.services import check_services
from radvlm_course.settings import plain_values

if TYPE_CHECKING:
    from transformers import Trainer

    from radvlm_course.models.loading import LoadedModel

__all__ = ["STAGE_ORDER", "Course", "open_course"]

STAGE_ORDER = ("curate", "base", "sft", "cold_start", "grpo_grounding", "grpo_reports", "evaluate")
EARLY = "sft_early"
THINKING = "cold_start_thinking"  # the cold start's model, asked to think
IN_ALL_PROCESSES = ("sft", "cold_start", *GRPO_STAGES)  # of a launcher; the other stages in one of them
_NEEDS = {
    "curate": (),
    "base": ("curate",),
    "sft": ("base",),
    "cold_start": ("sft",),
    "grpo_grounding": ("sft",),
    "grpo_reports": ("sft",),
    "evaluate": ("sft", "cold_start", "grpo_grounding", "grpo_reports"),
}


@dataclasses.dataclass(frozen=True)
class Course:
    """One run of the course under one profile."""

    profile: Profile
    run: Run
    progress: bool = True

    def ensure(self, stage: str) -> Path:
        """Run a stage, and whatever it needs first, unless finished. Returns its folder.

        Under a launcher every process makes the call.

        Raises:
            ValueError: there is no such stage, or the profile has no settings for it.
            RunError: the run folder holds other settings, or this machine lacks what the profile needs.
            OtherProcessFailed: another process of the launcher failed.
        """
        if stage not in _NEEDS:
            raise ValueError(f"expected a stage among {', '.join(STAGE_ORDER)}; found {stage!r}")
        if stage == "cold_start":
            self.cold_start_settings()
        if not self.unfinished([stage]):
            return self.run.folder / stage
        check_ready(self.profile)
        for needed in self._needed(stage):
            if needed in self.stages():
                self.ensure(needed)
        if stage in GRPO_STAGES:
            check_services(self.profile, [stage])
        if stage not in IN_ALL_PROCESSES:
            from_main(f"stage {stage}", lambda: self._run(stage))
        else:
            self._run(stage)
        return self.run.folder / stage

    def unfinished(self, stages: Sequence[str]) -> list[str]:
        """Those of the stages that have not finished; what the main process sees counts for all."""
        return from_main("what has finished", lambda: [stage for stage in stages if not self.run.is_finished(stage)])

    def _run(self, stage: str) -> None:
        started = time.perf_counter()
        summary = _STAGES[stage](self)
        summary["seconds"] = round(time.perf_counter() - started, 1)
        wait_for_all(f"the end of stage {stage}")
        from_main(f"the end of stage {stage}", lambda: self.run.finish(stage, summary))

    def check(self) -> None:
        """Find what is wrong with the profile before hours are spent (:mod:`radvlm_course.readiness`).

        Raises:
            ProfileError: a setting that the installed version does not have, or a reward or option that we have not.
        """
        check_profile(self.profile)

    def stages(self) -> tuple[str, ...]:
        """The stages that this run has: without reports in the source there is no GRPO on reports, and a cold start
        only where the profile has settings for it."""
        absent = set() if self.profile.cold_start is not None else {"cold_start"}
        if from_main("whether there are reports", self._has_no_reports):
            absent.add("grpo_reports")
        return tuple(stage for stage in STAGE_ORDER if stage not in absent)

    def _has_no_reports(self) -> bool:
        return self.run.is_finished("curate") and not self.examples("train", "report_generation")

    def grpo_start(self) -> str:
        """The model that cold start and GRPO start from: ``sft``, or ``sft_early`` where the profile keeps one."""
        return EARLY if self.profile.sft.has_early_model() else "sft"

    def start_of(self, stage: str) -> str:
        """What a GRPO stage starts from: a stage of this run, a folder, or a name on the hub."""
        settings = getattr(self.profile, stage)
        if settings.start == "base" and self.profile.model.name_or_path is not None:
            return self.profile.model.name_or_path
        return settings.start or ("cold_start" if settings.thinking else self.grpo_start())

    def cold_start_settings(self) -> ColdStartSettings:
        """The profile's section. Raises ValueError if it has none."""
        if self.profile.cold_start is None:
            raise ValueError(f"profile {self.profile.name!r} has no section cold_start: add it, or leave the stage out")
        return self.profile.cold_start

    def _needed(self, stage: str) -> tuple[str, ...]:
        start = getattr(getattr(self.profile, stage, None), "start", None)
        if start is not None:
            return ("curate",) if "/" in start else ("sft" if start == EARLY else start,)
        return (*_NEEDS[stage], *(("cold_start",) if self._thinks(stage) else ()))

    def _thinks(self, stage: str) -> bool:
        """Whether a GRPO stage asks for thoughts, and so starts from the cold start's model if no other is named."""
        return getattr(getattr(self.profile, stage, None), "thinking", False)

    def examples(self, split: str, task: str | None = None) -> list[Example]:
        """The curated examples of a split, of one task or of all."""
        path = self.ensure("curate") / f"{split}.jsonl"
        return [example for example in read_jsonl(path, Example) if task in (None, example.task)]

    def studies(self, split: str) -> Iterator[Study]:
        """The studies of a split, of all the profile's datasets, whatever their mixture takes of them."""
        from radvlm_course.curation import studies_of

        return studies_of(self.profile.curate, split)


def open_course(
    profile: str | os.PathLike[str] | Profile = "laptop",
    name: str = "course",
    overrides: dict[str, Any] | None = None,
    root: str | os.PathLike[str] = "runs",
    progress: bool = True,
) -> Course:
    """Open a run, new or old, under a profile.

    Under a launcher every process makes the call; the main process makes the folder, and shows progress.

    Raises:
        ProfileError: the profile does not exist or holds an unknown key.
        RunError: the run was made with other settings.
    """
    loaded = profile if isinstance(profile, Profile) else load_profile(profile, overrides)
    prepare_engine(loaded.model)
    settings = loaded.to_dict()
    from_main("opening the run", lambda: str(Run(name, settings, root).folder))
    return Course(loaded, Run(name, settings, root), progress and main_process())


def _curate(course: Course) -> dict[str, Any]:
    from radvlm_course.curation import curate

    settings = course.profile.curate
    folder = course.run.begin("curate", dataclasses.asdict(settings))
    card = curate(settings, folder, course.progress)
    return {"pairs": {split: card.total(split) for split in card.examples}}


def _base(course: Course) -> dict[str, Any]:
    from radvlm_course.models.processor import build_processor
    from radvlm_course.models.tiny import TinySettings, build_tiny_model
    from radvlm_course.models.tokenizer import train_tokenizer
    from radvlm_course.thinking.phantom_teacher import add_thoughts
    from radvlm_course.training.vision_pretraining import VisionPretrainingSettings, pretrain_vision

    profile = course.profile
    if profile.model.name_or_path is not None:
        return {"start": profile.model.name_or_path}
    assert profile.model.image_size is not None  # of a tiny model (radvlm_course.model_settings)
    tiny = TinySettings(image_size=profile.model.image_size, **profile.model.tiny)
    if profile.vision_pretraining is None:
        raise RunError(f"profile {profile.name!r} builds a tiny model but has no section vision_pretraining: add it")
    settings = VisionPretrainingSettings(**dataclasses.asdict(profile.vision_pretraining))
    folder = course.run.begin("base", {"tiny": vars(tiny), "vision_pretraining": vars(settings), "seed": profile.seed})
    examples = course.examples("train")
    studies = list(course.studies("train"))
    texts = [text for example in examples for text in (example.question, example.answer)]
    if profile.cold_start is not None and profile.cold_start.traces == "phantom":  # words that Qwen's tokenizer knows
        texts += [example.thought for example in add_thoughts(studies, examples, profile.seed)]
    tokenizer = train_tokenizer(texts)
    processor = build_processor(tokenizer, tiny.image_size, tiny.patch_size)
    model = build_tiny_model(tokenizer, tiny, profile.seed)
    (folder / "metrics.jsonl").unlink(missing_ok=True)
    bar = _bar(course, settings.steps, "vision pre-training")

    def log(row: dict[str, float]) -> None:
        append_jsonl(folder / "metrics.jsonl", [row])
        bar.update(int(row["step"]) - bar.n)

    boxed = [study for study in studies if study.structures or study.abnormalities]
    if profile.curate.source is None:  # a film that another dataset tests on was left out, and must be here too
        kept = {example.image_path for example in examples}
        boxed = [study for study in boxed if study.image_path in kept]
    last = pretrain_vision(model, processor, boxed, settings, profile.seed, log)
    bar.close()
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    return {"parameters": model.num_parameters(), **last}


def _sft(course: Course) -> dict[str, Any]:
    from radvlm_course.training.out_of_memory import advise_when_full
    from radvlm_course.training.sft import run_sft

    profile = course.profile
    folder = _begin(course, "sft", {"sft": dataclasses.asdict(profile.sft), "seed": profile.seed})
    examples = course.examples("train")
    _silence_progress(course)
    start = profile.model.name_or_path or _model_of(course, "base")
    options = {**profile.sft.trainer, "disable_tqdm": not course.progress}
    with advise_when_full(profile, "sft", examples):
        encode_once = profile.sft.freeze_vision and _may_remember_films(True)
        loaded = _load(course, start, encode_once, max_pixels=profile.sft.max_pixels)
        trainer = run_sft(
            loaded.model,
            loaded.processor,
            examples,
            folder,
            options,
            profile.seed,
            freeze_vision=profile.sft.freeze_vision,
            muon_learning_rate=profile.sft.muon_learning_rate,
        )
        _save(loaded, folder, trainer)
    step = profile.sft.early_step
    if step is not None and profile.sft.has_early_model():
        from_main("the early model", lambda: _keep_early(course, folder / f"checkpoint-{step}", step))
    return {"start": start, "examples": len(examples)}


def _cold_start(course: Course) -> dict[str, Any]:
    from radvlm_course.thinking.cold_start import mix_with_direct
    from radvlm_course.training.out_of_memory import advise_when_full
    from radvlm_course.training.sft import run_sft

    profile, settings = course.profile, course.cold_start_settings()
    folder = _begin(course, "cold_start", {"cold_start": dataclasses.asdict(settings), "seed": profile.seed})
    direct = course.examples("train")
    from_main("thoughts", lambda: _write_traces(course, settings.traces, direct, folder))
    traces = list(read_jsonl(folder / "traces.jsonl", Example))
    examples = mix_with_direct(traces, direct, settings.direct_share, profile.seed)
    _silence_progress(course)
    start = _model_of(course, course.grpo_start())
    with advise_when_full(profile, "cold_start", examples):
        loaded = _load(course, start, encode_once=settings.freeze_vision and _may_remember_films(True))
        trainer = run_sft(
            loaded.model,
            loaded.processor,
            examples,
            folder,
            {**settings.trainer, "disable_tqdm": not course.progress},
            profile.seed,
            freeze_vision=settings.freeze_vision,
            muon_learning_rate=settings.muon_learning_rate,
        )
        _save(loaded, folder, trainer)
    return {"start": start, "traces": len(traces), "examples": len(examples)}


def _write_traces(course: Course, origin: str, examples: list[Example], folder: Path) -> None:
    """Examples with a thought: written now by the teacher of phantoms, or read from where another teacher's lie."""
    if origin != "phantom":
        write_jsonl(list(read_jsonl(origin, Example)), folder / "traces.jsonl")
        return
    from radvlm_course.thinking.phantom_teacher import add_thoughts

    traces = list(add_thoughts(course.studies("train"), examples, course.profile.seed))
    write_jsonl(traces, folder / "traces.jsonl")


def _keep_early(course: Course, checkpoint: Path, step: int) -> None:
    """Leave a checkpoint of the stage as a model of its own, in a folder like a stage's."""
    early = _load(course, checkpoint, encode_once=False)
    _write(early, course.run.stage_folder(EARLY))
    course.run.finish(EARLY, {"step": step})


def _grpo(course: Course, stage: str, task: str) -> dict[str, Any]:
    from radvlm_course.training.grpo import run_grpo
    from radvlm_course.training.out_of_memory import advise_when_full

    profile = course.profile
    settings = getattr(profile, stage)
    folder = _begin(course, stage, {stage: plain_values(settings), "seed": profile.seed})
    examples = [example for each in settings.tasks or (task,) for example in course.examples("train", each)]
    _silence_progress(course)
    named = course.start_of(stage)
    start = _model_of(course, named) if named in STARTS else named
    rollouts = settings.prompts_per_step * settings.trainer.get("num_generations", 8)
    updates = settings.trainer.get("steps_per_generation", 1)
    options = {
        "per_device_train_batch_size": rollouts // (updates * process_count()),
        **settings.trainer,
        "disable_tqdm": not course.progress,
    }
    with advise_when_full(profile, stage, examples):
        encode_once = settings.encode_once and _may_remember_films(settings.freeze_vision)
        loaded = _load(course, start, encode_once)
        trainer = run_grpo(
            loaded.model,
            loaded.processor,
            examples,
            settings.reward,
            folder,
            options,
            profile.seed,
            freeze_vision=settings.freeze_vision,
            thinking=settings.thinking,
            muon_learning_rate=settings.muon_learning_rate,
        )
        _save(loaded, folder, trainer)
    return {"start": start, "prompts": len(examples)}


def _evaluate(course: Course) -> dict[str, Any]:
    from radvlm_course.evaluation.run import evaluate_models
    from radvlm_course.viz.run_pictures import save_run_pictures

    profile = course.profile
    folder = course.run.begin("evaluate", {"evaluate": dataclasses.asdict(profile.evaluate), "seed": profile.seed})
    test = _at_most(course.examples("test"), profile.evaluate.max_examples)
    models = {
        name: course.run.model_folder(name)
        for name in (EARLY, "sft", "cold_start", "grpo_grounding", "grpo_reports")
        if course.run.is_finished(name)
    }
    thinking = [name for name in models if course._thinks(name)]
    if "cold_start" in models:
        models[THINKING] = models["cold_start"]
        thinking.append(THINKING)
    summary = evaluate_models(
        models,
        reference=course.grpo_start(),
        train=course.examples("train"),
        test=test,
        folder=folder,
        batch_size=profile.evaluate.batch_size,
        max_new_tokens=profile.evaluate.max_new_tokens,
        thinking=thinking,
        max_thinking_tokens=profile.cold_start.max_thinking_tokens if profile.cold_start else 0,
        max_pixels=profile.model.max_pixels,
        seed=profile.seed,
        progress=course.progress,
    )
    save_run_pictures(course.run.folder, test, sorted(models, key=lambda name: name != course.grpo_start()))
    return summary


def _at_most(examples: list[Example], count: int | None) -> list[Example]:
    """The first ``count`` examples of each task, all of them if None."""
    seen: Counter[str] = Counter()
    kept = []
    for example in examples:
        seen[example.task] += 1
        if count is None or seen[example.task] <= count:
            kept.append(example)
    return kept


def _load(course: Course, path: str | Path, encode_once: bool, max_pixels: int | None = None) -> LoadedModel:
    from radvlm_course.models.loading import load_for_training

    return load_for_training(path, course.profile.model, encode_once, max_pixels, course.profile.seed)


def _begin(course: Course, stage: str, settings: dict[str, Any]) -> Path:
    """The folder of a stage that all processes run, begun by one."""
    return Path(from_main(f"the beginning of stage {stage}", lambda: str(course.run.begin(stage, settings))))


def _model_of(course: Course, stage: str) -> str:
    """The finished model of a stage, as the main process finds it."""
    return from_main(f"the model of stage {stage}", lambda: str(course.run.model_folder(stage)))


def _may_remember_films(frozen: bool) -> bool:
    """Whether the vision tower may pass over films that it has seen: not where its weights are put together for every
    pass, which all processes must then make."""
    return not frozen or sharding() in ("none", "zero2")


def _save(loaded: LoadedModel, folder: Path, trainer: Trainer) -> None:
    """Leave what was trained in the stage's folder: put together in all processes, written by one."""
    from radvlm_course.training.sharding import forget_deepspeed, whole_weights

    weights = whole_weights(trainer)
    forget_deepspeed()
    from_main(f"the model in {folder}", lambda: _write(loaded, folder, weights))


def _write(loaded: LoadedModel, folder: Path, weights: dict[str, Any] | None = None) -> None:
    from radvlm_course.models.adapters import save_trained

    save_trained(loaded.model, folder / "model", weights)
    loaded.processor.save_pretrained(folder / "model")


def _bar(course: Course, total: int, text: str) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=text, disable=not course.progress)


def _silence_progress(course: Course) -> None:
    if not course.progress:
        from transformers.utils import logging

        logging.disable_progress_bar()


_STAGES: dict[str, Callable[[Course], dict[str, Any]]] = {
    "curate": _curate,
    "base": _base,
    "sft": _sft,
    "cold_start": _cold_start,
    "grpo_grounding": lambda course: _grpo(course, "grpo_grounding", "abnormality_grounding"),
    "grpo_reports": lambda course: _grpo(course, "grpo_reports", "report_generation"),
    "evaluate": _evaluate,
}
