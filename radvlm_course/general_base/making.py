"""Make the general-domain base: pictures, vision pre-training, fine-tuning, a check, and the record of it all.

Sizes, optimizers and learning rates are those of the laptop profile's own stages; only the data and the number of
steps differ. Its folder::

    pictures/      what it saw
    vision/        tokenizer, processor and the model after vision pre-training; metrics.jsonl
    sft/           checkpoints and metrics.jsonl
    held_out/      predictions and scores on pictures that it was not trained on
    model/         the finished model in half precision, with made.json

A part that is finished is not made again, so the same command resumes a killed one.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from radvlm_course.evaluation.baselines.priors import mean_box
from radvlm_course.evaluation.predict import predict
from radvlm_course.evaluation.predictions import read_predictions
from radvlm_course.evaluation.score import score
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.general_base.corpus import (
    Amounts,
    Pictures,
    about_shapes,
    course_texts,
    examples,
    radiology_studies,
    write_pictures,
)
from radvlm_course.general_base.shipped import MADE, digests
from radvlm_course.models.loading import load_model
from radvlm_course.models.processor import build_processor
from radvlm_course.models.tiny import TinySettings, build_tiny_model
from radvlm_course.models.tokenizer import train_tokenizer
from radvlm_course.profiles import Profile
from radvlm_course.records import Example, Study
from radvlm_course.runs import append_jsonl
from radvlm_course.thinking.modes import mode_rate
from radvlm_course.training.sft import run_sft
from radvlm_course.training.vision_pretraining import VisionPretrainingSettings, pretrain_vision

__all__ = ["GeneralBaseSettings", "make_general_base"]

_PACKAGES = ("torch", "transformers", "trl", "tokenizers", "safetensors", "numpy", "pillow")


@dataclass(frozen=True)
class GeneralBaseSettings:
    """Attributes: ``seed`` draws everything; ``vision_steps`` and ``sft_steps`` are optimizer steps of the profile's
    batch sizes; ``amounts`` says how much data there is.
    """

    seed: int = 0
    vision_steps: int = 2600
    sft_steps: int = 1500
    amounts: Amounts = field(default_factory=Amounts)

    def __post_init__(self) -> None:
        if self.seed < 0 or min(self.vision_steps, self.sft_steps) < 1:
            raise ValueError(f"expected a seed of at least 0 and at least one step of each, found {self}")


def make_general_base(
    output: Path, profile: Profile, settings: GeneralBaseSettings, command: str, progress: bool = True
) -> Path:
    """Make the model on one thread. Returns its folder, ``output/model``.

    Args:
        profile: a profile that builds a tiny model.
        command: what to record as having made it.

    Raises:
        ValueError: the profile builds no tiny model, or ``output`` holds a base of other settings.
    """
    if profile.vision_pretraining is None or profile.cold_start is None:
        raise ValueError(f"profile {profile.name!r}: expected the sections vision_pretraining and cold_start")
    _keep_settings(output, profile, settings)
    _silence(progress)
    with _one_thread():
        started = time.process_time()
        pictures = write_pictures(output / "pictures", settings.amounts, _picture_size(profile), settings.seed)
        films = radiology_studies(settings.amounts.films)
        learned = examples(pictures, [film.report for film in films], settings.amounts, settings.seed)
        seconds = {"data": round(time.process_time() - started, 1)}
        making: dict[str, Callable[[], dict[str, Any]]] = {
            "vision": lambda: _vision(output / "vision", profile, settings, pictures, films, learned),
            "sft": lambda: _sft(output, profile, settings, learned, progress),
            "held_out": lambda: _held_out(output, profile, settings, pictures),
        }
        parts = {name: _once(output / name, work) for name, work in making.items()}
    seconds |= {name: part.pop("seconds") for name, part in parts.items()}
    made = {
        "command": command,
        "seed": settings.seed,
        "settings": dataclasses.asdict(settings),
        "profile": profile.name,
        "architecture": {"image_size": profile.model.image_size, **profile.model.tiny},
        **parts,
        "processor_seconds": seconds,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "sha256": digests(output / "model"),
    }
    _write_json(output / "model" / MADE, made)
    return output / "model"


def _picture_size(profile: Profile) -> int:
    """Side of the pictures in pixels. Raises ValueError if the profile gives none."""
    if profile.model.image_size is None:
        raise ValueError(f"profile {profile.name!r}: expected model.image_size, the side of the tiny model's pictures")
    return profile.model.image_size


def _vision(
    folder: Path,
    profile: Profile,
    settings: GeneralBaseSettings,
    pictures: Pictures,
    films: Sequence[Study],
    learned: Sequence[Example],
) -> dict[str, Any]:
    """Tokenizer, processor, fresh weights, and a vision tower that sees shapes."""
    own = (text for example in learned for text in (example.question, example.answer, example.thought) if text)
    tokenizer = train_tokenizer([*own, *course_texts(films, settings.seed)])
    tiny = TinySettings(image_size=_picture_size(profile), **profile.model.tiny)
    processor = build_processor(tokenizer, tiny.image_size, tiny.patch_size)
    model = build_tiny_model(tokenizer, tiny, settings.seed)
    assert profile.vision_pretraining is not None  # make_general_base
    options = VisionPretrainingSettings(
        **{**dataclasses.asdict(profile.vision_pretraining), "steps": settings.vision_steps}
    )
    (folder / "metrics.jsonl").unlink(missing_ok=True)
    last = pretrain_vision(
        model,
        processor,
        pictures.train,
        options,
        settings.seed,
        lambda row: append_jsonl(folder / "metrics.jsonl", [row]),
    )
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    return {"parameters": model.num_parameters(), "vocabulary": len(tokenizer), **last}


def _sft(
    output: Path, profile: Profile, settings: GeneralBaseSettings, learned: Sequence[Example], progress: bool
) -> dict[str, Any]:
    loaded = load_model(output / "vision" / "model", encode_once=profile.sft.freeze_vision)
    options = {
        **profile.sft.trainer,
        "max_steps": settings.sft_steps,
        "save_steps": max(1, settings.sft_steps // 2),
        "disable_tqdm": not progress,
    }
    run_sft(
        loaded.model,
        loaded.processor,
        learned,
        output / "sft",
        options,
        settings.seed,
        freeze_vision=profile.sft.freeze_vision,
        muon_learning_rate=profile.sft.muon_learning_rate,
    )
    loaded.model.half().save_pretrained(output / "model")
    loaded.processor.save_pretrained(output / "model")
    return {"examples": len(learned), "with_a_thought": sum(bool(example.thought) for example in learned)}


def _held_out(output: Path, profile: Profile, settings: GeneralBaseSettings, pictures: Pictures) -> dict[str, Any]:
    """What the finished model, as it is shipped, says of pictures that it was not trained on."""
    asked = list(about_shapes(pictures.test, settings.seed))
    loaded = load_model(output / "model")
    assert profile.cold_start is not None  # make_general_base
    limits = {False: profile.evaluate.max_new_tokens, True: profile.cold_start.max_thinking_tokens}
    batch = profile.evaluate.batch_size
    found: dict[str, Any] = {}
    for thinks, limit in limits.items():
        mode = "thinking" if thinks else "direct"
        file = output / "held_out" / f"{mode}.jsonl"
        predict(loaded, asked, file, f"general_base, {mode}", batch, limit, thinks, progress=False)
        predictions = list(read_predictions(file))
        tasks = score(asked, predictions, labeller=None).tasks
        found[mode] = {
            "soft_f1": _plain(tasks["abnormality_grounding"]["soft_f1"]),
            "gleu_of_captions": _plain(tasks["report_generation"]["gleu"]),
            "kept_to_the_mode": round(mode_rate(predictions, thinks).rate, 4),
        }
    boxed = [example for example in asked if example.boxes]
    train = about_shapes(pictures.train, settings.seed)
    prior = score(boxed, mean_box(train, boxed)).tasks["abnormality_grounding"]["soft_f1"]
    return {**found, "prior_mean_box": {"soft_f1": _plain(prior)}}


def _plain(interval: Interval) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in interval.to_dict().items()}


def _once(folder: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a part left when it finished; it is made now unless it has. Its seconds are the processor's."""
    done = folder / "done.json"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        started = time.process_time()
        summary = work()
        _write_json(done, {**summary, "seconds": round(time.process_time() - started, 1)})
    return json.loads(done.read_text(encoding="utf-8"))


def _keep_settings(output: Path, profile: Profile, settings: GeneralBaseSettings) -> None:
    path, values = output / "settings.json", {"settings": dataclasses.asdict(settings), "profile": profile.to_dict()}
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(values)):
        raise ValueError(f"{output} holds a base of other settings: remove it, or choose another --output")
    output.mkdir(parents=True, exist_ok=True)
    _write_json(path, values)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The order of sums, and so the weights, depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _silence(progress: bool) -> None:
    if not progress:
        from transformers.utils import logging

        logging.disable_progress_bar()


def _write_json(path: Path, values: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
