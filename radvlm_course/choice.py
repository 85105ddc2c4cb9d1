"""Which profile fits a machine: the largest whose memory and GPUs are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from radvlm_course.machine import Gpu, Machine

if TYPE_CHECKING:
    from radvlm_course.doctor import Tier
    from radvlm_course.profiles import Requirements

__all__ = ["TOLERANCE", "Choice", "choose_profile", "lacking"]

# Cards and machines show a little less than is printed on them.
TOLERANCE = 0.93


@dataclass(frozen=True)
class Choice:
    """``profile``: its name. ``because``: what of the machine decided. ``warnings``: what will be slow or is unused."""

    profile: str
    because: str
    warnings: tuple[str, ...] = ()


def lacking(needs: Requirements, machine: Machine, disk: bool = True) -> list[str]:
    """What the machine lacks, in words; empty if it has all. ``disk``: count free disk, which data and weights that
    are already there have used up."""
    found = []
    if machine.memory_gb < needs.memory_gb * TOLERANCE:
        found.append(f"{needs.memory_gb:g} GB of memory")
    if disk and machine.disk_gb < needs.disk_gb:
        found.append(f"{needs.disk_gb:g} GB of free disk")
    large_enough = [gpu for gpu in machine.gpus if gpu.memory_gb >= needs.gpu_memory_gb * TOLERANCE]
    if len(large_enough) < needs.gpus:
        found.append(f"{needs.gpus} GPU{'s' if needs.gpus > 1 else ''} of {needs.gpu_memory_gb:g} GB")
    return found


def choose_profile(machine: Machine, tiers: Sequence[Tier] | None = None) -> Choice:
    """The largest tier that has a profile and fits, by memory and GPUs that torch can use.

    Args:
        tiers: smallest first; those of the course if None.
    """
    from radvlm_course.profiles import available_profiles

    if tiers is None:
        from radvlm_course.doctor import load_tiers

        tiers = load_tiers()
    usable = Machine(machine.memory_gb, machine.disk_gb, tuple(gpu for gpu in machine.gpus if gpu.usable))
    with_profile = [tier for tier in tiers if tier.name in available_profiles()]
    fitting = [tier for tier in with_profile if not lacking(tier.requires, usable, disk=False)]
    chosen = fitting[-1] if fitting else with_profile[0]
    return Choice(chosen.name, _because(usable.gpus, machine), tuple(_warnings(usable.gpus, chosen)))


def _because(usable: Sequence[Gpu], machine: Machine) -> str:
    if not usable:
        return "there is a GPU that torch cannot use" if machine.gpus else "there is no GPU"
    names = sorted({f"{gpu.name}, {gpu.memory_gb:.0f} GB" for gpu in usable})
    return f"there {'is' if len(usable) == 1 else 'are'} {len(usable)} x {' and '.join(names)}"


def _warnings(usable: Sequence[Gpu], tier: Tier) -> list[str]:
    found = []
    if tier.requires.gpus and any(not gpu.has_bfloat16 for gpu in usable):
        found.append("the GPU has no bfloat16 arithmetic and emulates it, several times slower")
    if 1 == tier.requires.gpus < len(usable):
        found.append("one of the GPUs is used")
    return found
