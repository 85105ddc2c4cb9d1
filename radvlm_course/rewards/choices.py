"""Which rewards a training is paid by, with weights and options, as a profile writes them.

Three forms, from short to complete::

    reward: gleu
    reward: {radcliq: 1, thinking_format: 0.1}
    reward:
      radcliq: {weight: 1.0, radgraph_model: radgraph}
      served: {name: remote, weight: 0.5, url: "http://127.0.0.1:9400", reward: bertscore, on_failure: wait}

``weight`` and ``name`` are read here, everything else is an option of the reward. ``name`` is the registered name where
the key is not: so a reward can stand there twice, with different options under different keys. A key of one's own is
also the name in logs and rollouts.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from radvlm_course.rewards import get_reward, reward_entry, reward_names
from radvlm_course.rewards.base import Reward
from radvlm_course.settings import close_matches

__all__ = ["RewardChoice", "RewardSetting", "build_rewards", "check_choices", "read_choices"]

RewardSetting = str | Sequence[str] | Mapping[str, float | Mapping[str, Any]]
"""A name, several names of weight 1, or names with weights or with weight and options."""


@dataclass(frozen=True)
class RewardChoice:
    """One reward of a training.

    Attributes:
        key: as the profile calls it.
        name: in the registry (:func:`radvlm_course.rewards.reward_names`).
        weight: in the sum that the advantage is made of; finite.
        options: what the reward is built with.
    """

    key: str
    name: str
    weight: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Reward:
        """The reward, with its models loaded; raises as :func:`~radvlm_course.rewards.get_reward` does."""
        return get_reward(self.name, **self.options)


def read_choices(setting: RewardSetting) -> tuple[RewardChoice, ...]:
    """Read one of the forms above; names and options are not looked up.

    Raises:
        ValueError: no reward, one named twice, a weight that is no finite number, or another form; says which.
    """
    entries: Mapping[str, Any]
    if isinstance(setting, str):
        entries = {setting: 1.0}
    elif isinstance(setting, Mapping):
        entries = setting
    else:
        names = list(setting)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the reward {twice[0]!r} is named twice: give each once, with its weight")
        entries = dict.fromkeys(names, 1.0)
    if not entries:
        raise ValueError("expected at least one reward, found none")
    return tuple(_choice(key, value) for key, value in entries.items())


def check_choices(choices: Sequence[RewardChoice]) -> None:
    """Look up names and options without building anything; training calls it before hours are spent.

    Raises:
        ValueError: no such reward, or a reward that has no such option or lacks one; lists those that it has.
    """
    for choice in choices:
        if choice.name not in reward_names():
            raise ValueError(
                f"{choice.key}: unknown reward {choice.name!r}{close_matches(choice.name, reward_names())}: "
                f"expected one of {', '.join(reward_names())}"
            )
        _check_options(choice)


def build_rewards(choices: Sequence[RewardChoice]) -> list[tuple[str, Reward]]:
    """Build all rewards, each with the name under which it is logged.

    That is the reward's own name (of a remote reward: the name of the reward that is served), or the key where the
    profile gives it a name of its own.

    Raises:
        ValueError: two would be logged under one name; and as :func:`check_choices`.
    """
    check_choices(choices)
    built: dict[str, Reward] = {}
    for choice in choices:
        reward = choice.build()
        label = reward.name if choice.key == choice.name else choice.key
        if label in built:
            raise ValueError(
                f"two rewards would be logged as {label!r}: give one of them a key of its own, "
                f"for example 'second: {{name: {choice.name}, ...}}'"
            )
        built[label] = reward
    return list(built.items())


def _choice(key: str, value: Any) -> RewardChoice:
    if not isinstance(value, Mapping):
        return RewardChoice(key, key, _weight(f"{key} (a weight, or a section with weight and options)", value))
    options = dict(value)
    weight, name = options.pop("weight", 1.0), options.pop("name", key)
    if not isinstance(name, str):
        raise ValueError(f"{key}.name must be the name of a reward, found {name!r}")
    if wrong := [option for option in options if not isinstance(option, str)]:
        raise ValueError(f"{key}: expected names of options, found {wrong[0]!r}")
    return RewardChoice(key, name, _weight(f"{key}.weight", weight), options)


def _weight(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{where} must be a finite number, found {value!r}")
    return float(value)


def _check_options(choice: RewardChoice) -> None:
    target, fixed = reward_entry(choice.name)
    module, _, attribute = target.partition(":")
    signature = inspect.signature(getattr(importlib.import_module(module), attribute))
    known = [name for name in signature.parameters if name not in fixed]
    open_ended = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in signature.parameters.values())
    for option in choice.options:
        if option not in known and not open_ended:
            raise ValueError(
                f"{choice.key}: the reward {choice.name!r} has no option {option!r}{close_matches(option, known)}: "
                f"expected some of {', '.join(['weight', *known])}"
            )
    for name in known:
        parameter = signature.parameters[name]
        needed = parameter.default is parameter.empty and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        if needed and name not in choice.options:
            raise ValueError(f"{choice.key}: the reward {choice.name!r} needs the option {name!r}: add it")
