"""From a reward of this course to a reward function of TRL's ``GRPOTrainer``.

TRL calls a reward function with the completions (strings, or message lists for conversational prompts) and
every other column of the dataset, repeated for each rollout. The adapter does the three things between that
and :class:`~radvlm_course.rewards.base.Reward`: it turns messages into text, takes the thought off (unless the
reward judges it too), and looks up the examples by the ``example_id`` column. No TRL import: the function is plain
Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from radvlm_course.chat import completion_text, split_thought
from radvlm_course.records import Example
from radvlm_course.rewards.base import Reward, RewardError

__all__ = ["as_trl_reward"]


def as_trl_reward(
    reward: Reward,
    examples: Mapping[str, Example],
    thinking: bool = False,
    log_example_id: bool = False,
    name: str | None = None,
) -> Callable[..., list[float | None]]:
    """A TRL reward function that scores completions with ``reward``.

    A completion without a response (``thinking`` and no ``</think>``, or blank) earns
    ``reward.empty_value``. An example of a task that the reward does not judge gets ``None``, which TRL
    leaves out of the sum, so rewards for several tasks can run side by side.

    Args:
        reward: what to score with.
        examples: every example of the training set by its id.
        thinking: the model was asked to think before it answers.
        log_example_id: also hand the ids to TRL's completions log, so that a rollout on disk can be traced to
            its film. One reward function of a trainer does this, not each.
        name: what to log it under; the reward's own name by default.

    Returns:
        A function of that name, under which TRL logs it.

    Raises:
        RewardError: the reward cannot judge one of the examples of its tasks, or judges none of the examples;
            found here, before the first training step.
    """
    _check_all(reward, examples)

    def trl_reward(
        completions: Sequence[Any], example_id: Sequence[str] | None = None, **columns: Any
    ) -> list[float | None]:
        ids = _checked_ids(reward, completions, example_id, columns)
        if log_example_id and columns.get("log_extra") is not None:
            columns["log_extra"]("example_id", list(ids))
        chosen = [_look_up(identifier, examples, reward) for identifier in ids]
        texts = [_judged_text(*pair, reward, thinking) for pair in zip(completions, chosen, strict=True)]
        mine = [index for index, example in enumerate(chosen) if example.task in reward.tasks]
        values: list[float | None] = [None] * len(completions)
        scored = reward([texts[index] for index in mine], [chosen[index] for index in mine])
        for index, value in zip(mine, scored, strict=True):
            values[index] = value
        return values

    trl_reward.__name__ = trl_reward.__qualname__ = name or reward.name
    return trl_reward


def _judged_text(completion: Any, example: Example, reward: Reward, thinking: bool) -> str:
    """What the reward judges of a completion: all of it, or its response; blank if it has none."""
    try:
        text = completion_text(completion)
    except TypeError as error:
        raise TypeError(f"{reward.name}: the completion for example {example.id!r}: {error}") from error
    return text if reward.judges == "completion" else split_thought(text, thinking).response or ""


def _check_all(reward: Reward, examples: Mapping[str, Example]) -> None:
    judged = [example for example in examples.values() if example.task in reward.tasks]
    if not judged:
        found = ", ".join(sorted({example.task for example in examples.values()})) or "no example at all"
        raise RewardError(f"{reward.name} judges {', '.join(reward.tasks)}; the training set has {found}")
    for example in judged:
        reward.check_example(example)


def _checked_ids(
    reward: Reward, completions: Sequence[Any], example_id: Sequence[str] | None, columns: Mapping[str, Any]
) -> Sequence[str]:
    if example_id is None:
        found = ", ".join(sorted(columns)) or "none"
        raise RewardError(f"{reward.name}: expected the dataset column 'example_id', found {found}")
    if len(example_id) != len(completions):
        raise RewardError(f"{reward.name}: {len(completions)} completions but {len(example_id)} example ids")
    return example_id


def _look_up(identifier: str, examples: Mapping[str, Example], reward: Reward) -> Example:
    try:
        return examples[identifier]
    except KeyError:
        raise RewardError(
            f"{reward.name}: the dataset has example_id {identifier!r}, which is not among the "
            f"{len(examples)} examples given to as_trl_reward"
        ) from None
