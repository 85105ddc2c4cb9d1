"""thinking_format: whether a completion has the form of a thought and a response.

    <think> ... </think> response

It judges form only, and is worth a small weight beside a reward of the response: a policy that thinks without ever
answering gets nothing from the latter, and this one says why.
"""

from __future__ import annotations

from radvlm_course.chat import THINK_END
from radvlm_course.records import TASKS, Example
from radvlm_course.rewards.base import Reward

__all__ = ["ThinkingFormat"]

BEGIN = "<think>"


class ThinkingFormat(Reward):
    """1 for one thought that has text and ends, followed by a response; else 0. Higher is better.

    Args:
        begin: whether the completion must open with ``<think>`` itself. The chat templates of some models write the
            tag at the end of the prompt, and then the completion does not; by default both forms count.
    """

    name = "thinking_format"
    range = (0.0, 1.0)
    empty_value = 0.0
    tasks = TASKS
    judges = "completion"

    def __init__(self, begin: bool = False) -> None:
        self._begin = begin

    def score(self, response: str, example: Example) -> float:
        text = response.strip()
        opened = text.startswith(BEGIN)
        thought, end, answer = text.removeprefix(BEGIN).partition(THINK_END)
        tags = any(tag in part for tag in (BEGIN, THINK_END) for part in (thought, answer))
        return float(bool(end and thought.strip() and answer.strip()) and not tags and (opened or not self._begin))
