"""What each stage does: read the folder of the one before it, work, leave its own.

:mod:`radvlm_course.stages` says when a stage runs and what it needs; the work itself is in the packages that these
functions call.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radvlm_course.processes import from_main, process_count, sharding
from radvlm_course.profile_checks import STARTS
from radvlm_course.records import Example, read_jsonl, write_jsonl
from radvlm_course.runs import RunError, append_jsonl
from radvlm_course.settings import plain_values

if TYPE_CHECKING:
    from transformers import Trainer

    from radvlm_course.models.loading import LoadedModel
    from radvlm_course.stages import Course

__all__ = ["EARLY", "STAGE_WORK"]

EARLY = "sft_early"
THINKING = "cold_start_thinking"  # the cold start's model, asked to think


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
        encode_once = profile.sft.freeze_vision and _towers_are_whole()
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
        loaded = _load(course, start, encode_once=settings.freeze_vision and _towers_are_whole())
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
        encode_once = settings.encode_once and (not settings.freeze_vision or _towers_are_whole())
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
    thinking = [name for name in models if course.thinks(name)]
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


def _towers_are_whole() -> bool:
    """Whether every process has all weights of the vision tower. A frozen one then passes over films that it has seen;
    where weights are put together for every pass, all processes must make each pass."""
    return sharding() in ("none", "zero2")


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


STAGE_WORK: dict[str, Callable[[Course], dict[str, Any]]] = {
    "curate": _curate,
    "base": _base,
    "sft": _sft,
    "cold_start": _cold_start,
    "grpo_grounding": lambda course: _grpo(course, "grpo_grounding", "abnormality_grounding"),
    "grpo_reports": lambda course: _grpo(course, "grpo_reports", "report_generation"),
    "evaluate": _evaluate,
}
