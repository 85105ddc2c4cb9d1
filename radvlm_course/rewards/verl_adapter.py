"""From the rewards of this course to verl's custom reward function, one rollout or a batch at a time.

verl hands a reward function the decoded response and three things from the row of its Parquet file: the
``data_source``, the ``ground_truth`` of ``reward_model`` and ``extra_info``. This module reads them as
RadVLM-GRPO's files have them; :mod:`radvlm_course.instructions.verl_rows` writes such rows:

* ``data_source``: ``mimic_grpo`` are reports, ``mimic_grpo_reasoning`` reports of a model that thinks first. Other
  sources name their task as ``phantom/abnormality_grounding``, with ``_reasoning`` at the end if the model thinks.
  An ``extra_info`` with ``task`` or ``thinking`` goes before the name. A source that names no task is an error.
* ``ground_truth``: the answer as text, or a list of boxes in unit coordinates.
* ``extra_info``: ``id`` for messages, ``boxes`` with the unrounded boxes of an answer in text.

In verl's configuration::

    custom_reward_function:
      path: pkg://radvlm_course.rewards.verl_adapter   # or the path of this file
      name: compute_score                              # or compute_score_batch, for the reward manager "batch"
      reward_kwargs: {rewards: {radcliq: 1.0, rouge_l: 0.2}, service: "http://127.0.0.1:9400"}

(``reward.custom_reward_function`` in newer versions.) verl decodes with ``skip_special_tokens=True``; Qwen3-VL's
``</think>`` is not a special token and survives. A reward that fails raises: a verl manager that turns exceptions
into zeros must not be used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from radvlm_course.boxes import Box, BoxError, format_boxes, scan_boxes
from radvlm_course.chat import split_thought
from radvlm_course.instructions.verl_rows import REASONING, verl_row
from radvlm_course.records import TASKS, Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.base import BOX_TASKS, Reward, RewardError

__all__ = ["DEFAULT_REWARDS", "compute_score", "compute_score_batch", "verl_row"]

DEFAULT_REWARDS = {"report_generation": "radcliq", **dict.fromkeys(BOX_TASKS, "soft_f1")}

_REPORT_SOURCES = ("mimic_grpo",)

_Score = Callable[[Sequence[str], Sequence[Example]], list[float]]
_built: dict[str, tuple[Reward, _Score]] = {}
_building = threading.Lock()


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    rewards: str | Mapping[str, float] | None = None,
    reward_options: Mapping[str, Mapping[str, Any]] | None = None,
    service: str | Mapping[str, Any] | None = None,
    **verl_arguments: Any,
) -> dict[str, float]:
    """The reward of one rollout, in the arguments of verl's ``naive`` manager, which calls from several threads.

    One at a time is slow for a reward with a model: use a ``service``, which joins the calls into batches, or
    :func:`compute_score_batch`.

    Args:
        data_source, solution_str, ground_truth, extra_info: as verl passes them (see the module).
        rewards: a registered name, or names with weights; default: ``radcliq`` for reports, ``soft_f1`` for boxes.
        reward_options: options by reward.
        service: address of a reward service, or all options of
            :class:`~radvlm_course.rewards.service.client.RemoteReward` but the reward.
        verl_arguments: ``reward_router_address`` and ``reward_model_tokenizer``, which some managers add; not used.

    Returns:
        ``score``, the weighted sum, higher is better; and, where ``rewards`` is given, each reward by its name
        before weighting. A reward that does not judge the row's task is nan there and left out of the sum.

    Raises:
        RewardError: the row is not of the form above, no reward judges it, or a scorer failed; names the example.
    """
    return compute_score_batch(
        [data_source],
        [solution_str],
        [ground_truth],
        [extra_info],
        rewards=rewards,
        reward_options=reward_options,
        service=service,
        **verl_arguments,
    )[0]


def compute_score_batch(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[Any],
    extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
    *,
    rewards: str | Mapping[str, float] | None = None,
    reward_options: Mapping[str, Mapping[str, Any]] | None = None,
    service: str | Mapping[str, Any] | None = None,
    **verl_arguments: Any,
) -> list[dict[str, float]]:
    """The rewards of many rollouts, in the arguments of verl's ``batch`` manager; see :func:`compute_score`.

    Lists or numpy arrays of objects, all of the same length. Every row has the same keys, as verl requires.
    """
    _check_verl_arguments(verl_arguments)
    infos = [None] * len(solution_strs) if extra_infos is None else extra_infos
    rows = [_Row(*row) for row in _zipped(data_sources, solution_strs, ground_truths, infos)]
    if rewards is None:
        return _default_scores(rows, reward_options or {}, service)
    weights = {rewards: 1.0} if isinstance(rewards, str) else {name: float(rewards[name]) for name in rewards}
    if not weights:
        raise ValueError("expected rewards with weights such as {'radcliq': 1.0}, found none")
    values = {name: _values(name, rows, reward_options or {}, service) for name in weights}
    return [_composed(row, {name: values[name][index] for name in weights}, weights) for index, row in enumerate(rows)]


class _Row:
    """One rollout as the rewards see it: what the model wrote, its response and an example."""

    def __init__(self, data_source: Any, solution: Any, ground_truth: Any, extra_info: Any) -> None:
        info = dict(extra_info) if extra_info is not None else {}
        name = str(data_source)
        identifier = str(info.get("id") or f"{name} row {info.get('index', '?')}")
        base = name.removesuffix(REASONING)
        self.task = str(info.get("task") or ("report_generation" if base in _REPORT_SOURCES else base.split("/")[-1]))
        if self.task not in TASKS:
            raise RewardError(
                f"example {identifier!r}: the data_source {name!r} names no task: expected mimic_grpo, "
                f"mimic_grpo_reasoning, SOURCE/TASK, or an extra_info with a task; tasks: {', '.join(TASKS)}"
            )
        thinking = info.get("thinking")
        if thinking is not None and not isinstance(thinking, (bool, np.bool_)):
            raise RewardError(f"example {identifier!r}: expected extra_info thinking true or false, found {thinking!r}")
        if not isinstance(solution, str):
            raise RewardError(f"example {identifier!r}: expected the response as text, found {solution!r:.80}")
        thinks = name.endswith(REASONING) if thinking is None else bool(thinking)
        self.completion = solution
        self.response = split_thought(solution, thinks).response or ""
        answer, boxes = _truth(identifier, self.task, ground_truth, info.get("boxes"))
        self.example = Example(identifier, self.task, "", str(info.get("question", "")), answer, boxes)


def _truth(identifier: str, task: str, ground_truth: Any, unrounded: Any) -> tuple[str, tuple[Box, ...]]:
    """The answer and its boxes; boxes that are given as numbers go before those in the text."""
    if isinstance(ground_truth, str):
        if unrounded is not None:
            return ground_truth, _boxes(identifier, unrounded)
        return ground_truth, tuple(scan_boxes(ground_truth)[0]) if task in BOX_TASKS else ()
    if task in BOX_TASKS and isinstance(ground_truth, (list, tuple, np.ndarray)):
        boxes = _boxes(identifier, ground_truth)
        return format_boxes(boxes) if boxes else "", boxes
    expected = "the answer as text" + (" or a list of boxes" if task in BOX_TASKS else "")
    raise RewardError(f"example {identifier!r}: expected the ground_truth as {expected}, found {ground_truth!r:.80}")


def _boxes(identifier: str, values: Any) -> tuple[Box, ...]:
    try:
        return tuple(Box(*(float(corner) for corner in box)) for box in values)
    except (BoxError, TypeError, ValueError) as error:
        raise RewardError(
            f"example {identifier!r}: expected boxes as lists of four unit coordinates, found {values!r:.80}: {error}"
        ) from error


def _check_verl_arguments(arguments: Mapping[str, Any]) -> None:
    known = {"reward_router_address", "reward_model_tokenizer"}
    if unknown := sorted(set(arguments) - known):
        raise ValueError(
            f"unknown argument {', '.join(unknown)} in reward_kwargs: expected rewards, reward_options, service"
        )


def _zipped(*columns: Sequence[Any]) -> list[tuple[Any, ...]]:
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise ValueError(f"expected sources, responses, ground truths and infos of one length, found {lengths}")
    return list(zip(*columns, strict=True))


def _default_scores(
    rows: Sequence[_Row], options: Mapping[str, Mapping[str, Any]], service: str | Mapping[str, Any] | None
) -> list[dict[str, float]]:
    scores = [0.0] * len(rows)
    for row in rows:
        if row.task not in DEFAULT_REWARDS:
            raise RewardError(f"example {row.example.id!r} is {row.task}, which has no default reward: give 'rewards'")
    for name in dict.fromkeys(DEFAULT_REWARDS[row.task] for row in rows):
        mine = [index for index, row in enumerate(rows) if DEFAULT_REWARDS[row.task] == name]
        for index, value in zip(mine, _values(name, [rows[i] for i in mine], options, service), strict=True):
            scores[index] = value
    return [{"score": score} for score in scores]


def _composed(row: _Row, values: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    judged = {name: value for name, value in values.items() if not np.isnan(value)}
    if not judged:
        raise RewardError(f"example {row.example.id!r} is {row.task}, which none of {', '.join(values)} judges")
    return {"score": sum(weights[name] * value for name, value in judged.items()), **values}


def _values(
    name: str,
    rows: Sequence[_Row],
    options: Mapping[str, Mapping[str, Any]],
    service: str | Mapping[str, Any] | None,
) -> list[float]:
    """Values of one reward, nan where it does not judge the task."""
    reward, score = _reward(name, dict(options.get(name, {})), service)
    mine = [index for index, row in enumerate(rows) if row.task in reward.tasks]
    values = [float("nan")] * len(rows)
    texts = [row.completion if reward.judges == "completion" else row.response for row in rows]
    scored = score([texts[index] for index in mine], [rows[index].example for index in mine])
    for index, value in zip(mine, scored, strict=True):
        values[index] = value
    return values


def _reward(name: str, options: dict[str, Any], service: str | Mapping[str, Any] | None) -> tuple[Reward, _Score]:
    """A reward built once in this process. One that scores here is used by one thread at a time."""
    key = repr((name, sorted(options.items()), service))
    with _building:
        if key not in _built:
            _built[key] = _remote(name, service) if service else _guarded(get_reward(name, **options))
        return _built[key]


def _remote(name: str, service: str | Mapping[str, Any] | None) -> tuple[Reward, _Score]:
    from radvlm_course.rewards.service.client import RemoteReward

    settings: dict[str, Any] = {"url": service} if isinstance(service, str) else dict(service or {})
    reward = RemoteReward(reward=name, **settings)
    return reward, reward


def _guarded(reward: Reward) -> tuple[Reward, _Score]:
    lock = threading.Lock()

    def score(responses: Sequence[str], examples: Sequence[Example]) -> list[float]:
        with lock:
            return reward(responses, examples)

    return reward, score
