"""Checks of notebook 00: tiers, the reward of a missing box, and what an advantage compares with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from radvlm_course.doctor import load_tiers, shortfalls
from radvlm_course.exercises import Check
from radvlm_course.machine import Gpu, Machine

__all__ = ["CHECKS", "REWARDS", "WORKSTATION"]

# Exercise 00.1: a machine with much of one thing and too little of another.
WORKSTATION = Machine(memory_gb=64, disk_gb=80, gpus=(Gpu("a card of 24 GB", 24),))
# Exercise 00.3: the rewards of one group.
REWARDS = (0.9, 0.7, 0.8, 0.8)


def largest_tier(answer: Any) -> str | None:
    """The name of the largest tier that fits ``WORKSTATION``."""
    tiers = {tier.name: tier for tier in load_tiers()}
    if answer not in tiers:
        return f"Give the name of a tier as text: one of {', '.join(tiers)}."
    if lacking := shortfalls(tiers[answer], WORKSTATION):
        return f"For {answer} this machine lacks {' and '.join(lacking)}."
    fitting = [name for name, tier in tiers.items() if not shortfalls(tier, WORKSTATION)]
    if answer != fitting[-1]:
        return f"{answer} fits, but it is not the largest that does: go on down the table, column by column."
    return None


def missing_box(answer: Any) -> str | None:
    """soft-F1 of one predicted box with IoU 0.6, where there are two true boxes: 0.4."""
    if not isinstance(answer, int | float) or isinstance(answer, bool) or not math.isfinite(answer):
        return "Give one number between 0 and 1."
    if math.isclose(answer, 2 * 0.6 / (1 + 2), abs_tol=0.005):
        return None
    if math.isclose(answer, 0.6, abs_tol=0.005):
        return "That is the IoU of the matched pair alone; the box that was not found has to cost something."
    if math.isclose(answer, 0.3, abs_tol=0.005):
        return "That divides by the true boxes only. The formula divides by predicted and true boxes together."
    if math.isclose(answer, 0.2, abs_tol=0.005):
        return "The summed IoU counts twice in the numerator, once for each side."
    return "soft-F1 = 2 x summed IoU / (predicted + true): put in 0.6, 1 and 2."


def more_likely(answer: Any) -> str | None:
    """Positions, from 0, of the rollouts of ``REWARDS`` that GRPO makes more likely."""
    if not isinstance(answer, Sequence) or isinstance(answer, str):
        return "Give a list of positions, counted from 0, for example [0, 2]."
    mean = math.fsum(REWARDS) / len(REWARDS)
    right = {index for index, reward in enumerate(REWARDS) if reward > mean + 1e-9}
    found = set(answer)
    if found == right:
        return None
    if any(position not in range(len(REWARDS)) for position in found):
        return f"There are {len(REWARDS)} rollouts; their positions are 0 to {len(REWARDS) - 1}."
    if found == set(range(len(REWARDS))):
        return "All rewards are high, but an advantage compares with the group's own mean."
    if equal := [index for index in found - right if math.isclose(REWARDS[index], mean)]:
        return f"Rollout {equal[0]} earned exactly the mean of its group: its advantage is 0."
    if found - right:
        return f"Rollout {min(found - right)} earned less than the mean of its group, which is {mean:.2f}."
    return f"One is missing: which rollouts earned more than the group's mean, {mean:.2f}?"


CHECKS: dict[str, Check] = {"00.1": largest_tier, "00.2": missing_box, "00.3": more_likely}
