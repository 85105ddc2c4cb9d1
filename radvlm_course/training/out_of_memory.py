"""When a GPU is full: which setting to lower, and by how much, instead of a traceback alone.

The advice is computed (:mod:`radvlm_course.models.memory`), setting by setting, for the stage that ran out. Batches are
changed so that the numbers still agree: fewer completions at once, as many micro-batches more, the same update.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from radvlm_course.models.memory import GIB, LARGE_FILM, StageMemory, film_of, pixel_limit, stage_memory
from radvlm_course.models.token_budget import film_tokens
from radvlm_course.profile_checks import GRPO_STAGES
from radvlm_course.profiles import Profile, ProfileError
from radvlm_course.records import Example
from radvlm_course.runs import RunError

__all__ = ["Lever", "OutOfMemory", "advice", "advise_when_full", "levers"]


class OutOfMemory(RunError):
    """The GPU was full; the message says which settings to lower."""


@dataclasses.dataclass(frozen=True)
class Lever:
    """Settings that take less memory.

    Attributes:
        changes: dotted key -> value.
        peaks: phase -> bytes, computed with the changes.
    """

    changes: dict[str, Any]
    peaks: dict[str, int]

    def __str__(self) -> str:
        return " ".join(f"--set {key}={_shown(value)}" for key, value in self.changes.items())


@contextmanager
def advise_when_full(profile: Profile, stage: str, examples: Sequence[Example] = ()) -> Iterator[None]:
    """Around a stage's training: turns ``torch.OutOfMemoryError`` into :class:`OutOfMemory` with advice.

    Args:
        examples: what is trained on; the token budget of the largest film among the first thousand is shown.

    Raises:
        OutOfMemory: from the error, which stays in the traceback.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(advice(profile, stage, largest_film(examples), str(error))) from error


def advice(profile: Profile, stage: str, film: tuple[int, int] | None = None, error: str = "") -> str:
    """The message: what the stage takes by the computation, the film's tokens, and what to lower.

    Args:
        film: (width, height) in pixels of the film in question; an ordinary radiograph if None.
        error: torch's own message; its first sentences are repeated.
    """
    lines = [f"out of memory in stage {stage} of profile {profile.name!r}"]
    if error:
        lines.append(f"  torch: {error.splitlines()[0][:300]}")
    lines.append("  " + _film_line(profile, stage, film or LARGE_FILM))
    try:
        memory = stage_memory(profile, stage, film=film or LARGE_FILM)
    except ProfileError as unknown:
        return "\n".join([*lines, f"  what to lower cannot be computed: {unknown}"])
    lines += [f"  {line}" for line in _memory_lines(memory, profile)]
    found = levers(profile, stage, film or LARGE_FILM)
    if found:
        phases = " ".join(f"{phase:>9}" for phase in memory.peaks)
        lines.append(
            "  lower one of these or several; computed with it, in GB (the smallest findings need the pixels most):"
        )
        lines.append(f"    {phases}")
        lines.append(f"    {_peaks(memory.peaks)}  as it is")
        lines += [f"    {_peaks(lever.peaks)}  {lever}" for lever in found]
    else:
        lines.append("  nothing is left to lower: take a profile for a smaller card (python -m radvlm_course profiles)")
    lines.append(
        "  a run's settings are fixed: choose another --run name, or delete the stage's folder, to change them"
    )
    return "\n".join(lines)


def levers(profile: Profile, stage: str, film: tuple[int, int] = LARGE_FILM) -> list[Lever]:
    """Every change that takes less memory in some phase, first the one that lowers the largest most."""
    before = stage_memory(profile, stage, film=film).peaks
    found = []
    for changes in _candidates(profile, stage):
        peaks = stage_memory(_changed(profile, changes), stage, film=film).peaks
        if any(peaks[phase] < before[phase] for phase in before):
            found.append(Lever(changes, peaks))
    return sorted(found, key=lambda lever: (max(lever.peaks.values()), sum(lever.peaks.values())))


def largest_film(examples: Sequence[Example], look_at: int = 1000) -> tuple[int, int] | None:
    """(width, height) of the largest film among the first examples; None if none can be read."""
    from PIL import Image

    sizes = []
    for path in dict.fromkeys(example.image_path for example in examples[:look_at]):
        try:
            with Image.open(path) as image:
                sizes.append(image.size)
        except OSError:  # training says what is wrong with a film; here it is only not the largest
            continue
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _candidates(profile: Profile, stage: str) -> Iterator[dict[str, Any]]:
    trainer = getattr(profile, stage).trainer
    batch = trainer.get("per_device_train_batch_size", 1)
    steps = f"{stage}.trainer.gradient_accumulation_steps", f"{stage}.trainer.steps_per_generation"
    if batch > 1 and batch % 2 == 0:
        changes = {f"{stage}.trainer.per_device_train_batch_size": batch // 2}
        changes[steps[0]] = 2 * trainer.get("gradient_accumulation_steps", 1)
        if stage in GRPO_STAGES:
            changes[steps[1]] = 2 * trainer.get("steps_per_generation", trainer.get("gradient_accumulation_steps", 1))
        yield changes
    if stage in GRPO_STAGES:
        yield from _generation_candidates(profile, stage, steps)
    if not trainer.get("gradient_checkpointing", True):
        yield {f"{stage}.trainer.gradient_checkpointing": True}
    key = f"{stage}.max_pixels" if getattr(getattr(profile, stage), "max_pixels", None) else "model.max_pixels"
    pixels = pixel_limit(profile, stage)
    if pixels >= 2 * 256 * 256:
        yield {key: pixels // 2}
    adapter = profile.model.adapter
    if adapter is not None and adapter.rank >= 16:
        yield {"model.adapter.rank": adapter.rank // 2, "model.adapter.alpha": max(adapter.alpha // 2, 1)}


def _generation_candidates(profile: Profile, stage: str, steps: tuple[str, str]) -> Iterator[dict[str, Any]]:
    settings = getattr(profile, stage)
    trainer = settings.trainer
    length = trainer["max_completion_length"]
    if length >= 128:
        yield {f"{stage}.trainer.max_completion_length": length // 2}
    micro_batches = trainer.get("steps_per_generation", trainer.get("gradient_accumulation_steps", 1))
    accumulated = trainer.get("gradient_accumulation_steps", 1)
    if settings.prompts_per_step % 2 == 0 and micro_batches % 2 == 0 and accumulated % 2 == 0:
        yield {
            f"{stage}.prompts_per_step": settings.prompts_per_step // 2,
            steps[0]: accumulated // 2,
            steps[1]: micro_batches // 2,
        }
    if trainer.get("use_vllm") and trainer.get("vllm_mode", "colocate") == "colocate":
        share = trainer.get("vllm_gpu_memory_utilization", 0.3)
        yield {f"{stage}.trainer.vllm_gpu_memory_utilization": round(share - 0.1, 2)}
        if not trainer.get("vllm_enable_sleep_mode"):
            yield {f"{stage}.trainer.vllm_enable_sleep_mode": True}


def _changed(profile: Profile, changes: dict[str, Any]) -> Profile:
    """The profile with some values replaced, unchecked."""
    for dotted, value in changes.items():
        profile = _replaced(profile, dotted.split("."), value)
    return profile


def _replaced(settings: Any, keys: list[str], value: Any) -> Any:
    if isinstance(settings, dict):
        copied = copy.copy(settings)
        copied[keys[0]] = _replaced(copied.get(keys[0]), keys[1:], value) if keys[1:] else value
        return copied
    inner = _replaced(getattr(settings, keys[0]), keys[1:], value) if keys[1:] else value
    return dataclasses.replace(settings, **{keys[0]: inner})


def _film_line(profile: Profile, stage: str, film: tuple[int, int]) -> str:
    return (
        f"a film of {film[0]} x {film[1]} pixels is {film_of(profile, stage, film).tokens:,} visual tokens under "
        f"max_pixels {pixel_limit(profile, stage):,} ({film_tokens(film).tokens:,} without a limit)"
    )


def _memory_lines(memory: StageMemory, profile: Profile) -> list[str]:
    phase = memory.largest_phase()
    parts = {**memory.permanent, **memory.phases[phase]}
    largest = sorted(parts.items(), key=lambda part: -part[1])[:5]
    card = f" of {profile.requires.gpu_memory_gb:g} GB" if profile.requires.gpu_memory_gb else ""
    return [
        f"computed: {memory.peak / GIB:.1f} GB{card} while {phase}; most of it "
        + ", ".join(f"{name} {size / GIB:.1f}" for name, size in largest),
        "if that is well below the card, something else is on it (nvidia-smi)",
    ]


def _peaks(peaks: dict[str, int]) -> str:
    return " ".join(f"{size / GIB:9.1f}" for size in peaks.values())


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
