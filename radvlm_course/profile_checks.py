"""Settings of a profile that must agree with each other, and with the number of processes that run it. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from radvlm_course.records import TASKS
from radvlm_course.settings import ProfileError, close_matches

if TYPE_CHECKING:
    from radvlm_course.processes import Sharding
    from radvlm_course.profiles import Profile

__all__ = [
    "GRPO_STAGES",
    "STAGES",
    "check_batches",
    "check_sharing",
    "check_starts",
    "check_vision",
    "updates_per_generation",
]

GRPO_STAGES = ("grpo_grounding", "grpo_reports")
STAGES = ("sft", *GRPO_STAGES)
STARTS = ("base", "sft", "sft_early", "cold_start")


def check_vision(profile: Profile, source: str) -> None:
    """An adapter says for all stages whether the vision tower is trained; the stages must say the same.

    Raises:
        ProfileError: names the stage that disagrees.
    """
    adapter = profile.model.adapter
    if adapter is None:
        return
    for stage in STAGES:
        frozen = getattr(profile, stage).freeze_vision
        if frozen != (adapter.vision == "frozen"):
            raise ProfileError(
                f"{source}: {stage}.freeze_vision is {str(frozen).lower()} and model.adapter.vision is "
                f"{adapter.vision!r}: expected them to say the same"
            )


def check_starts(profile: Profile, source: str) -> None:
    """A GRPO stage starts from a stage that leaves a model, or from elsewhere, and trains on tasks that exist.

    Raises:
        ProfileError: names the stage and what it may be.
    """
    for stage in GRPO_STAGES:
        settings = getattr(profile, stage)
        if settings.start is not None and "/" not in settings.start and settings.start not in STARTS:
            raise ProfileError(
                f"{source}: {stage}.start is {settings.start!r}{close_matches(settings.start, STARTS)}: expected a "
                f"stage of {', '.join(STARTS)}, a folder like ./{settings.start}, or a name on the hub"
            )
        for task in settings.tasks or ():
            if task not in TASKS:
                raise ProfileError(
                    f"{source}: {stage}.tasks names {task!r}{close_matches(task, TASKS)}: expected some of "
                    f"{', '.join(TASKS)}"
                )


def check_batches(profile: Profile, processes: int, source: str) -> None:
    """What a GRPO stage generates must be what it trains on, in whole groups.

    A generation is ``prompts_per_step`` times ``num_generations`` completions. TRL makes
    ``per_device_train_batch_size`` times the processes times ``steps_per_generation`` of them, and one update of every
    ``gradient_accumulation_steps`` micro-batches. A stage that does not give ``per_device_train_batch_size`` is given
    one that fits (:mod:`radvlm_course.stages`), if its completions can be shared out evenly.

    Raises:
        ProfileError: names the stage, both numbers and the values that would fit.
    """
    for stage in GRPO_STAGES:
        settings = getattr(profile, stage)
        trainer = settings.trainer
        rollouts = settings.prompts_per_step * trainer.get("num_generations", 8)
        micro_batches, accumulated = _micro_batches(trainer)
        if "per_device_train_batch_size" not in trainer:
            if rollouts % (processes * micro_batches):
                raise ProfileError(
                    f"{source}: {stage} generates {settings.prompts_per_step} x {trainer.get('num_generations', 8)} = "
                    f"{rollouts} completions, which {processes} processes cannot share evenly in {micro_batches} "
                    "micro-batches: change prompts_per_step or the number of processes"
                )
            continue
        each = trainer["per_device_train_batch_size"] * processes
        if each * micro_batches != rollouts:
            fitting = f"{rollouts // each}" if each and rollouts % each == 0 else "none; change the batch size"
            raise ProfileError(
                f"{source}: {stage} generates {settings.prompts_per_step} x {trainer.get('num_generations', 8)} "
                f"= {rollouts} completions, and trains on {trainer['per_device_train_batch_size']} x {processes} "
                f"processes x {micro_batches} micro-batches = {each * micro_batches}: expected equal numbers "
                f"({stage}.trainer.steps_per_generation that fits: {fitting})"
            )
        if micro_batches % accumulated:
            raise ProfileError(
                f"{source}: {stage}.trainer.steps_per_generation ({micro_batches}) must be a multiple of "
                f"gradient_accumulation_steps ({accumulated}), so that every update uses completions of one generation"
            )


def check_sharing(profile: Profile, sharing: Sharding, one_process_loads: bool, source: str) -> None:
    """What cannot be trained where weights or optimiser are shared out among processes.

    Args:
        sharing: what the launcher shares out (:func:`radvlm_course.processes.sharding`).
        one_process_loads: FSDP's ``cpu_ram_efficient_loading``: only the first process of a machine reads weights.

    Raises:
        ProfileError: names the setting and what to do.
    """
    if sharing == "none":
        return
    for stage in ("sft", "cold_start", *GRPO_STAGES):
        if getattr(getattr(profile, stage), "muon_learning_rate", None) is not None:
            raise ProfileError(
                f"{source}: {stage}.muon_learning_rate is set, and Muon needs whole matrices, which FSDP and DeepSpeed "
                f"share out: set it to null, or launch with configs/accelerate/ddp.yaml"
            )
    if sharing in ("fsdp", "zero3") and profile.sft.early_step is not None and profile.sft.has_early_model():
        raise ProfileError(
            f"{source}: sft.early_step is {profile.sft.early_step}, and a checkpoint of shared-out weights is no model "
            "folder: set it to null, or launch with configs/accelerate/ddp.yaml"
        )
    if sharing == "fsdp" and one_process_loads and profile.model.adapter is None:
        for stage in GRPO_STAGES:
            if getattr(profile, stage).trainer.get("beta", 0.0):
                raise ProfileError(
                    f"{source}: {stage} has a reference model (beta is not 0), and the launcher's file says "
                    "fsdp_cpu_ram_efficient_loading: true. TRL does not hand the reference's weights on to the "
                    "processes that did not read them, so most of it would be zeros: set it to false, as in "
                    "configs/accelerate/fsdp2.yaml"
                )


def updates_per_generation(trainer: Mapping[str, Any]) -> int:
    """Optimiser updates that share one generation; the paper makes four."""
    micro_batches, accumulated = _micro_batches(trainer)
    return micro_batches // accumulated


def _micro_batches(trainer: Mapping[str, Any]) -> tuple[int, int]:
    accumulated: int = trainer.get("gradient_accumulation_steps", 1)
    return trainer.get("steps_per_generation", accumulated), accumulated
