"""Do both modes hold? How often a model thinks when asked to, and answers at once when not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from radvlm_course.chat import THINK_END, THINK_START
from radvlm_course.evaluation.predictions import Prediction

__all__ = ["ModeRate", "completion_tokens", "copied_share", "mode_rate"]


@dataclass(frozen=True)
class ModeRate:
    """Of ``n`` completions, how many keep to the mode that was asked for.

    Attributes:
        kept: one thought that has text and ends, then a response; or, in the direct mode, a response and no tag.
        never_closed: thinking mode: the thought has no end.
        no_response: nothing after the thought, or nothing at all.
        wrong_tags: a tag too many, or one that the direct mode must not have.
    """

    n: int
    kept: int
    never_closed: int
    no_response: int
    wrong_tags: int

    @property
    def rate(self) -> float:
        """Share that keeps to the mode, 0 to 1; higher is better."""
        return self.kept / self.n


def mode_rate(predictions: Iterable[Prediction], thinking: bool) -> ModeRate:
    """Count the completions that keep to a mode.

    Raises:
        ValueError: there is no prediction.
    """
    faults = [_fault(prediction.completion, thinking) for prediction in predictions]
    if not faults:
        raise ValueError("expected at least one prediction, found none")
    counted = (faults.count(name) for name in ("", "never closed", "no response", "wrong tags"))
    return ModeRate(len(faults), *counted)


def completion_tokens(predictions: Iterable[Prediction], tokenizer: Any) -> list[int]:
    """Tokens of each completion, thought and response together, shortest first."""
    return sorted(len(tokenizer(prediction.completion).input_ids) for prediction in predictions)


def copied_share(completion: str, text: str, run: int = 4) -> float:
    """Share of a thought's words that stand in a run of ``run`` words or more which ``text`` has too: 0 to 1.

    High against the question: the thought repeats what was asked. High against the answer: the answer stands in the
    thought.
    """
    thought = completion.rpartition(THINK_END)[0] or completion
    words, others = _words(thought), _words(text)
    runs = {tuple(others[start : start + run]) for start in range(len(others) - run + 1)}
    copied: set[int] = set()
    for start in range(len(words) - run + 1):
        if tuple(words[start : start + run]) in runs:
            copied.update(range(start, start + run))
    return len(copied) / len(words) if words else 0.0


def _words(text: str) -> list[str]:
    return re.findall(r"[\w.]*\w", text.replace(THINK_START, " ").casefold())


def _fault(completion: str, thinking: bool) -> str:
    text = completion.strip()
    if not thinking:
        if THINK_START in text or THINK_END in text:
            return "wrong tags"
        return "" if text else "no response"
    thought, end, response = text.removeprefix(THINK_START).partition(THINK_END)
    if not end:
        return "never closed"
    if not text.startswith(THINK_START) or any(tag in thought + response for tag in (THINK_START, THINK_END)):
        return "wrong tags"
    return "" if thought.strip() and response.strip() else "no response"
