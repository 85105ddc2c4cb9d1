"""The messages between a trainer and the reward service: JSON over HTTP.

``POST /v1/rewards/{name}/scores`` with ``{"pairs": [{"response": "...", "example": {...}}, ...]}`` is answered
with ``{"reward": name, "values": [...]}``, one finite number for each pair, in order; floats survive the journey
bit for bit. Every other answer is ``{"error": {"kind": ..., "message": ..., "example_ids": [...]}}``.

An example travels without its ``image_path``, ``patient_id`` and ``study_id``: rewards judge texts, labels and
boxes, and what identifies a patient stays where it is. (The texts themselves do travel. A report under a data-use
agreement may only go to a service that the agreement covers.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from radvlm_course.records import Example, RecordError, from_dict, to_dict
from radvlm_course.rewards.base import Reward

__all__ = [
    "DEFAULT_PORT",
    "TOKEN_VARIABLE",
    "Description",
    "Pair",
    "WireError",
    "decode_pairs",
    "decode_values",
    "describe",
    "encode_pairs",
    "parse_description",
    "reward_path",
]

DEFAULT_PORT = 9400
TOKEN_VARIABLE = "RADVLM_COURSE_REWARD_TOKEN"
Judged = Literal["response", "completion"]
_WITHHELD = ("image_path", "patient_id", "study_id")


class WireError(ValueError):
    """A message that is not of the expected form; says what was found."""


class Pair(NamedTuple):
    """What the reward judges, as text, and the example that it answers."""

    response: str
    example: Example


@dataclass(frozen=True)
class Description:
    """What a served reward declares of itself (see :class:`~radvlm_course.rewards.base.Reward`)."""

    name: str
    range: tuple[float, float]
    empty_value: float
    tasks: tuple[str, ...]
    judges: Judged = "response"


def reward_path(name: str) -> str:
    """The path of a served reward; its scores are below it, at ``/scores``."""
    return f"/v1/rewards/{name}"


def encode_pairs(pairs: Sequence[Pair]) -> bytes:
    """The body of a scores request."""
    items = [{"response": pair.response, "example": _sent_fields(pair.example)} for pair in pairs]
    return json.dumps({"pairs": items}, allow_nan=False).encode()


def _sent_fields(example: Example) -> dict[str, Any]:
    return {name: value for name, value in to_dict(example).items() if name not in _WITHHELD}


def decode_pairs(body: bytes, most: int) -> list[Pair]:
    """Read the body of a scores request.

    Args:
        most: how many pairs are allowed.

    Raises:
        WireError: not JSON of the documented form, or too many pairs; names the pair by its number and its id.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the body is not JSON: {error}") from error
    items = message.get("pairs") if isinstance(message, dict) else None
    if not isinstance(items, list) or not items:
        raise WireError("expected an object with a list 'pairs' of at least one pair")
    if len(items) > most:
        raise WireError(f"expected at most {most} pairs in one request, found {len(items)}: send several requests")
    return [_decode_pair(index, item) for index, item in enumerate(items)]


def _decode_pair(index: int, item: Any) -> Pair:
    if not isinstance(item, dict) or set(item) != {"response", "example"}:
        raise WireError(f"pair {index}: expected an object with 'response' and 'example', found {item!r:.80}")
    try:
        example = from_dict({"image_path": "", **item["example"]}, Example)
    except (RecordError, TypeError) as error:
        raise WireError(f"pair {index}: {error}") from error
    if not isinstance(item["response"], str):
        raise WireError(f"pair {index}, example {example.id!r}: expected text, found {item['response']!r:.80}")
    return Pair(item["response"], example)


def decode_values(answer: Any, count: int) -> list[float]:
    """The scores in an answer.

    Raises:
        WireError: not ``count`` finite numbers.
    """
    values = answer.get("values") if isinstance(answer, dict) else None
    numbers = isinstance(values, list) and all(type(value) in (int, float) and math.isfinite(value) for value in values)
    if values is None or not numbers or len(values) != count:
        raise WireError(f"expected {count} finite scores, found {answer!r:.200}")
    return [float(value) for value in values]


def describe(reward: Reward) -> dict[str, Any]:
    """A reward's declaration as JSON-ready values; an infinite end of the range is null."""
    ends = [end if math.isfinite(end) else None for end in reward.range]
    return {
        "name": reward.name,
        "range": ends,
        "empty_value": reward.empty_value,
        "tasks": list(reward.tasks),
        "judges": reward.judges,
    }


def parse_description(values: Any) -> Description:
    """The inverse of :func:`describe`.

    Raises:
        WireError: not a reward's declaration.
    """
    try:
        low, high = values["range"]
        ends = (-math.inf if low is None else float(low), math.inf if high is None else float(high))
        judges: dict[str, Judged] = {"response": "response", "completion": "completion"}
        tasks = tuple(str(task) for task in values["tasks"])
        return Description(str(values["name"]), ends, float(values["empty_value"]), tasks, judges[values["judges"]])
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"expected the declaration of a reward, found {values!r:.200}") from error
