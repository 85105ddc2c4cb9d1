"""A group outside a trainer: completions of one prompt, scored, with their advantages.

The trainer does the same for every prompt of every step; here it is done once, for completions that
somebody wrote by hand or sampled a moment ago, so that the pictures of rollouts can show them.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence

import torch

from radvlm_course.records import Example
from radvlm_course.rewards import Reward, get_reward
from radvlm_course.runs import Rollout
from radvlm_course.training.grpo_math import group_advantages

__all__ = ["make_group", "quietly"]


def make_group(example: Example, completions: Sequence[str], reward: str | Reward, step: int = 0) -> list[Rollout]:
    """Score the completions of one prompt and compare them with each other, as a training step does.

    Args:
        example: the prompt with its ground truth.
        completions: at least two, without thoughts.
        reward: a registered name (``soft_f1``) or a reward.
        step: the number that pictures show; 0 for a group outside training.

    Raises:
        ValueError: fewer than two completions: one alone has nothing to be compared with.
        RewardError: the reward does not judge this example's task.
    """
    if len(completions) < 2:
        raise ValueError(f"expected a group of at least 2 completions to compare, found {len(completions)}")
    judge = get_reward(reward) if isinstance(reward, str) else reward
    values = judge(list(completions), [example] * len(completions))
    advantages = group_advantages(torch.tensor(values, dtype=torch.float64), len(values)).tolist()
    return [
        Rollout(step, example.id, completion, {judge.name: value}, value, advantage)
        for completion, value, advantage in zip(completions, values, advantages, strict=True)
    ]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep a trainer's log and progress bars out of a notebook. Errors pass through; metrics are files anyway."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
