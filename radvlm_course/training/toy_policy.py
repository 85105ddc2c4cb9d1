"""A policy small enough to watch: a few answers, one probability each, trained with the real GRPO loss.

The "model" is a row of logits, one for each of a handful of fixed answers; a completion is one token,
the number of the answer. Everything else is :mod:`radvlm_course.training.grpo_math`: a group is
sampled, its rewards become advantages, and one gradient step changes the probabilities. What takes
hours to see in a language model (a leash that holds, a leap that locks the policy in) takes a moment
here. Left out: text, films and every other thing that makes a policy hard to train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from radvlm_course.training.grpo_math import group_advantages, grpo_loss

__all__ = ["ToyRun", "train_toy_policy"]


@dataclass(frozen=True)
class ToyRun:
    """What happened to a toy policy.

    Attributes:
        probabilities: a row of one probability an answer, before the first step and after each.
        rewards: the mean reward of each step's group.
        groups_without_spread: steps whose group had equal rewards and so taught nothing.
    """

    probabilities: tuple[tuple[float, ...], ...]
    rewards: tuple[float, ...]
    groups_without_spread: int


def train_toy_policy(
    rewards: Sequence[float],
    steps: int = 60,
    group_size: int = 8,
    learning_rate: float = 0.3,
    kl_weight: float = 0.01,
    start: Sequence[float] | None = None,
    seed: int = 0,
) -> ToyRun:
    """Train a policy over fixed answers with plain gradient descent on the GRPO loss.

    Args:
        rewards: what each answer earns; higher is better.
        group_size: answers sampled at each step.
        kl_weight: of the leash (k3) to the probabilities at the start.
        start: probabilities to start from, all above 0; equal ones by default. Scaled to sum to 1.

    Raises:
        ValueError: fewer than two answers, or starting probabilities that do not fit them.
    """
    if len(rewards) < 2:
        raise ValueError(f"expected at least 2 answers to choose from, found {len(rewards)}")
    begin = list(start) if start is not None else [1.0] * len(rewards)
    if len(begin) != len(rewards) or min(begin) <= 0:
        raise ValueError(f"expected {len(rewards)} probabilities above 0, found {begin}")
    generator = torch.Generator().manual_seed(seed)
    logits = torch.tensor(begin, dtype=torch.float64).log().requires_grad_()
    values = torch.tensor(rewards, dtype=torch.float64)
    reference = torch.log_softmax(logits, dim=0).detach()
    history, earned, equal = [_probabilities(logits)], [], 0
    for _ in range(steps):
        answers = torch.multinomial(logits.detach().softmax(dim=0), group_size, replacement=True, generator=generator)
        group = values[answers]
        _step(logits, reference, answers, group, learning_rate, kl_weight)
        history.append(_probabilities(logits))
        earned.append(float(group.mean()))
        equal += bool((group == group[0]).all())
    return ToyRun(tuple(history), tuple(earned), equal)


def _step(
    logits: Tensor, reference: Tensor, answers: Tensor, group: Tensor, learning_rate: float, kl_weight: float
) -> None:
    """One update in place; a completion is one token, hence (group_size, 1) everywhere."""
    logps = torch.log_softmax(logits, dim=0)[answers].unsqueeze(1)
    advantages = group_advantages(group, len(group))
    mask = torch.ones_like(logps)
    loss, _ = grpo_loss(logps, logps.detach(), reference[answers].unsqueeze(1), advantages, mask, kl_weight=kl_weight)
    (gradient,) = torch.autograd.grad(loss, logits)
    with torch.no_grad():
        logits -= learning_rate * gradient


def _probabilities(logits: Tensor) -> tuple[float, ...]:
    return tuple(logits.detach().softmax(dim=0).tolist())
