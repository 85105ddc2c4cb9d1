"""Rewards: what a completion earns, one module per reward, found by name.

A reward is a callable ``reward(completions, examples) -> list[float]`` (:mod:`radvlm_course.rewards.base`
has the contract). The registry below holds addresses, not objects: a reward's module, and the models it
loads, are imported when :func:`get_reward` builds it and never before, so listing the names costs nothing.

To add a reward: write one module with a subclass of :class:`~radvlm_course.rewards.base.Reward` and add
one line to ``_REGISTRY`` (or call :func:`register_reward` from a notebook).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

from radvlm_course.rewards.base import Reward, RewardError

__all__ = ["Reward", "RewardError", "get_reward", "register_reward", "reward_entry", "reward_names"]


@dataclass(frozen=True)
class _Entry:
    """Where a reward is built: ``package.module:attribute`` and options that its name fixes."""

    target: str
    options: dict[str, Any] = field(default_factory=dict)


_REGISTRY: dict[str, _Entry] = {
    "soft_f1": _Entry("radvlm_course.rewards.soft_f1:SoftF1"),
    "soft_f1_published": _Entry("radvlm_course.rewards.soft_f1:SoftF1", {"variant": "published"}),
    "gleu": _Entry("radvlm_course.rewards.gleu:Gleu"),
    "bleu": _Entry("radvlm_course.rewards.bleu:Bleu"),
    "rouge_1": _Entry("radvlm_course.rewards.rouge:Rouge", {"kind": "1"}),
    "rouge_2": _Entry("radvlm_course.rewards.rouge:Rouge", {"kind": "2"}),
    "rouge_l": _Entry("radvlm_course.rewards.rouge:Rouge", {"kind": "l"}),
    "radcliq": _Entry("radvlm_course.rewards.radcliq:RadCliQ"),
    "radgraph": _Entry("radvlm_course.rewards.radgraph:RadGraph"),
    "bertscore": _Entry("radvlm_course.rewards.bertscore:BertScore"),
    "chexbert": _Entry("radvlm_course.rewards.chexbert:CheXbert"),
    "fact_precision": _Entry("radvlm_course.rewards.facts:FactReward", {"kind": "precision"}),
    "fact_recall": _Entry("radvlm_course.rewards.facts:FactReward", {"kind": "recall"}),
    "fact_f1": _Entry("radvlm_course.rewards.facts:FactReward", {"kind": "f1"}),
    "thinking_format": _Entry("radvlm_course.rewards.thinking_format:ThinkingFormat"),
    "remote": _Entry("radvlm_course.rewards.service.client:RemoteReward"),
}


def reward_names() -> tuple[str, ...]:
    """The registered names, sorted. Builds and imports nothing."""
    return tuple(sorted(_REGISTRY))


def reward_entry(name: str) -> tuple[str, dict[str, Any]]:
    """Where a reward is built (``package.module:attribute``) and the options that its name fixes; imports nothing.

    Raises:
        ValueError: no reward has that name; lists the names that exist.
    """
    if name not in _REGISTRY:
        raise ValueError(f"unknown reward {name!r}: expected one of {', '.join(reward_names())}")
    return _REGISTRY[name].target, dict(_REGISTRY[name].options)


def register_reward(name: str, target: str, **options: Any) -> None:
    """Add a reward to the registry for this process.

    Args:
        name: how configurations and :func:`get_reward` call it.
        target: ``package.module:attribute``, a class or function that builds a
            :class:`~radvlm_course.rewards.base.Reward`; imported at the first use.
        options: keyword arguments that this name fixes.

    Raises:
        ValueError: the name is taken, or the target has no colon.
    """
    if name in _REGISTRY:
        raise ValueError(f"the reward name {name!r} is taken by {_REGISTRY[name].target}: choose another name")
    if target.count(":") != 1:
        raise ValueError(f"expected a target 'package.module:attribute' for reward {name!r}, found {target!r}")
    _REGISTRY[name] = _Entry(target, options)


def get_reward(name: str, **options: Any) -> Reward:
    """Build a reward, importing its module (and loading its models) now.

    Args:
        name: one of :func:`reward_names`.
        options: passed to the reward, for example ``variant="published"`` for ``soft_f1``.

    Raises:
        ValueError: no reward has that name; lists the names that exist.
        TypeError: the reward has no such option; names the reward and the option.
    """
    target, fixed = reward_entry(name)
    module, _, attribute = target.partition(":")
    build = getattr(importlib.import_module(module), attribute)
    try:
        reward = build(**{**fixed, **options})
    except TypeError as error:
        raise TypeError(f"reward {name!r} cannot be built with options {options}: {error}") from error
    if not isinstance(reward, Reward):
        raise TypeError(f"{target} built a {type(reward).__name__} for {name!r}, expected a Reward")
    return reward
