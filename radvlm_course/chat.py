"""From Example to chat messages, and from completion back to text.

Three small functions that every stage shares, because each has bitten users elsewhere:
reward functions that got message lists and expected strings, thoughts stripped at the first
``</think>`` in one place and at the last in another, prompts built one way for training and
another way for evaluation. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from radvlm_course.records import Example

__all__ = [
    "THINK_SUFFIX",
    "Split",
    "completion_text",
    "join_thought",
    "split_thought",
    "to_messages",
    "to_prompt_completion",
]

THINK_SUFFIX = " /think"
THINK_START, THINK_END = "<think>", "</think>"

Message = dict[str, Any]


def to_messages(example: Example, thinking: bool = False) -> list[Message]:
    """The prompt: one user turn with the image first, then the question.

    Args:
        thinking: append the suffix that asks the model to think first.
    """
    question = example.question + (THINK_SUFFIX if thinking else "")
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]


def to_prompt_completion(example: Example) -> dict[str, list[Message]]:
    """The ``prompt`` and ``completion`` columns that TRL's trainers read.

    The completion of a conversation holds all turns after the first question, those of the user too; TRL would train
    on them all, so train with :class:`radvlm_course.training.collation.AssistantTurns`, which masks the user's.
    An example with a thought is asked in the thinking mode and answered with the thought first.
    """
    turns = [("assistant", join_thought(example.thought, example.answer))]
    for question, answer in example.follow_up:
        turns += [("user", question), ("assistant", answer)]
    return {
        "prompt": to_messages(example, thinking=bool(example.thought)),
        "completion": [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns],
    }


def completion_text(completion: str | Sequence[Message]) -> str:
    """The text that the model wrote, whether it comes as a string or as chat messages.

    TRL hands reward functions a string for plain prompts and a list of messages for
    conversational ones, whose content is a string or a list of typed parts.

    Raises:
        TypeError: neither; names what was found.

    >>> completion_text([{"role": "assistant", "content": "No nodule."}])
    'No nodule.'
    """
    if isinstance(completion, str):
        return completion
    if not isinstance(completion, Sequence) or not all(isinstance(m, dict) and "content" in m for m in completion):
        found = f"{type(completion).__name__}: {completion!r:.200}"
        raise TypeError(f"expected a string or a list of chat messages, found {found}")
    messages: Any = completion
    return "".join(_content_text(message["content"]) for message in messages)


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and all(isinstance(part, dict) for part in content):
        texts: list[Any] = [part.get("text") for part in content if part.get("type") == "text"]
        if all(isinstance(text, str) for text in texts):
            return "".join(texts)
    found = f"{type(content).__name__}: {content!r:.200}"
    raise TypeError(f"expected message content as a string or a list of typed parts, found {found}")


class Split(NamedTuple):
    """A completion in two parts; ``response`` is None if the model never got to it."""

    thought: str
    response: str | None


def join_thought(thought: str, response: str) -> str:
    """The completion of a thought and a response, as the method's thinking models write it; the response alone if
    there is no thought. :func:`split_thought` is the inverse.

    >>> join_thought("heart wide", "Cardiomegaly.")
    '<think>heart wide</think> Cardiomegaly.'
    """
    return f"{THINK_START}{thought}{THINK_END} {response}" if thought else response


def split_thought(text: str, thinking: bool = False) -> Split:
    """Split a completion at its **last** ``</think>``.

    Args:
        text: the completion.
        thinking: the model was asked to think. Then a completion without ``</think>`` was cut
            off in mid-thought and has no response; otherwise all of it is the response.

    >>> split_thought("<think>heart wide</think> Cardiomegaly.", thinking=True)
    Split(thought='heart wide', response='Cardiomegaly.')
    >>> split_thought("<think>heart wi", thinking=True).response is None
    True
    """
    before, tag, after = text.rpartition(THINK_END)
    if tag:
        return Split(before.strip().removeprefix(THINK_START).strip(), after.strip())
    if thinking:
        return Split(text.strip().removeprefix(THINK_START).strip(), None)
    return Split("", text.strip())
