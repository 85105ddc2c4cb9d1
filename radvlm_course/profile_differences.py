"""What each profile changes of the paper's numbers, and why.

A profile says its reasons in ``differs``: dotted key -> reason. ``grpo_*`` at the front of a key stands for both GRPO
stages. A section that one of the two profiles has and the other has not is one difference. No torch here.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from radvlm_course.profile_checks import GRPO_STAGES
from radvlm_course.profiles import Profile, load_profile

__all__ = ["Difference", "difference_table", "differences", "profile_table", "shown", "stale_reasons"]

BASELINE = "paper"
ABSENT = "-"
# Not settings of the method: what the profile is called, what it runs on, and what it is told for the laptop alone.
NOT_COMPARED = ("name", "description", "requires", "seed", "differs")


@dataclass(frozen=True)
class Difference:
    """One setting that is not the paper's; ``-`` where a profile does not have it; ``reason`` empty if not given."""

    key: str
    here: Any
    paper: Any
    reason: str


def differences(profile: Profile, baseline: Profile | None = None) -> list[Difference]:
    """Every setting of ``profile`` that is another in ``baseline`` (the profile ``paper`` if None), in its order."""
    paper = baseline or load_profile(BASELINE)
    found = _differing(_settings(profile), _settings(paper))
    return [Difference(key, here, there, _reason(profile, key)) for key, here, there in found]


def stale_reasons(profile: Profile, baseline: Profile | None = None) -> list[str]:
    """Keys in ``differs`` that name no setting that differs."""
    keys = [difference.key for difference in differences(profile, baseline)]
    return [pattern for pattern in profile.differs if not any(_matches(pattern, key) for key in keys)]


def difference_table(profile: Profile) -> str:
    """A Markdown table of :func:`differences`; what both GRPO stages share is one row."""
    found = differences(profile)
    if not found:
        return "The numbers are the paper's.\n"
    rows = [f"| {shown(row.key)} | {shown(row.here)} | {shown(row.paper)} | {row.reason} |" for row in _merged(found)]
    return "\n".join(["| setting | here | paper | why |", "| --- | --- | --- | --- |", *rows]) + "\n"


def profile_table(profiles: Mapping[str, Profile]) -> str:
    """A Markdown table, a row for each profile."""
    head = ("profile", "model", "weights", "adapter", "vision tower", "pixels", "SFT", "GRPO", "writes with", "data")
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for name, profile in profiles.items():
        cells = [f"`{name}`", *_model_cells(profile), _sft_cell(profile), _grpo_cell(profile)]
        cells += [_engine_cell(profile), profile.curate.mixture]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _model_cells(profile: Profile) -> list[str]:
    model = profile.model
    weights = model.quantisation.kind if model.quantisation else model.precision
    adapter = f"LoRA, rank {model.adapter.rank}" if model.adapter else "none, all weights"
    frozen = profile.grpo_reports.freeze_vision
    trained = "frozen" if frozen else "LoRA" if model.adapter else "trained"
    name = (model.name_or_path or "tiny Qwen3-VL").rpartition("/")[2]
    sft_pixels = profile.sft.max_pixels or model.max_pixels
    pixels = f"{model.max_pixels:,}" + (f", SFT {sft_pixels:,}" if sft_pixels != model.max_pixels else "")
    return [name, weights, adapter, f"{model.vision_precision()}, {trained}", pixels]


def _sft_cell(profile: Profile) -> str:
    trainer = profile.sft.trainer
    pairs = trainer["per_device_train_batch_size"] * trainer.get("gradient_accumulation_steps", 1)
    epochs = trainer.get("num_train_epochs", 3)
    length = f"{trainer['max_steps']} steps" if "max_steps" in trainer else f"{epochs} epoch{'s' if epochs > 1 else ''}"
    return f"{pairs * max(profile.requires.gpus, 1)} pairs, lr {trainer['learning_rate']:g}, {length}"


def _grpo_cell(profile: Profile) -> str:
    settings = profile.grpo_reports
    trainer = settings.trainer
    rates = {f"{getattr(profile, stage).trainer['learning_rate']:g}" for stage in GRPO_STAGES}
    return (
        f"{settings.prompts_per_step} x {trainer['num_generations']}, lr {' / '.join(sorted(rates))}, "
        f"up to {trainer['max_completion_length']} tokens"
    )


def _engine_cell(profile: Profile) -> str:
    trainer = profile.grpo_reports.trainer
    return f"vLLM, {trainer.get('vllm_mode', 'colocate')}" if trainer.get("use_vllm") else "transformers"


def _settings(profile: Profile) -> dict[str, Any]:
    import dataclasses

    return {key: value for key, value in dataclasses.asdict(profile).items() if key not in NOT_COMPARED}


def _differing(here: Any, there: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(here, Mapping) and isinstance(there, Mapping) and here and there:
        for key in [*here, *(key for key in there if key not in here)]:
            inner = f"{where}.{key}" if where else key
            yield from _differing(here.get(key, ABSENT), there.get(key, ABSENT), inner)
    elif here != there:
        yield where, here, there


def _reason(profile: Profile, key: str) -> str:
    return next((reason for pattern, reason in profile.differs.items() if _matches(pattern, key)), "")


def _matches(pattern: str, key: str) -> bool:
    return pattern == key or (pattern.startswith("grpo_*.") and fnmatch.fnmatchcase(key, pattern))


def _merged(found: list[Difference]) -> Iterator[Difference]:
    """Differences that both GRPO stages have alike, once, under ``grpo_*``."""
    first, second = GRPO_STAGES
    others = {(row.key, str(row.here), str(row.paper)) for row in found}
    for row in found:
        stage, _, rest = row.key.partition(".")
        twin = {first: second, second: first}.get(stage)
        if twin is None or (f"{twin}.{rest}", str(row.here), str(row.paper)) not in others:
            yield row
        elif stage == first:
            yield Difference(f"grpo_*.{rest}", row.here, row.paper, row.reason)


def shown(value: Any) -> str:
    """A setting's value as a cell of a table has it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value).replace("|", "\\|")
    )
