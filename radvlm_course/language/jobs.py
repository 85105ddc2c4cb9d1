"""One job of a run: what is asked of the model, when an answer is accepted, and the record of how it went.

An answer that is not accepted is shown to the model again with the reason; after the last attempt the job is recorded
as rejected, with every answer and every reason, so that the rejected can be studied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from radvlm_course.chat import split_thought
from radvlm_course.language.client import Answer, CallRefused, LanguageClient, Message
from radvlm_course.language.prompts import load_prompt

__all__ = ["REFUSED_BY_ENDPOINT", "AnswerRejected", "Attempt", "Job", "Record", "Verdict", "ask_until_accepted"]

REFUSED_BY_ENDPOINT = "refused_by_endpoint"
_SHOWN_CHARACTERS = 8000  # of a rejected answer

Outcome = Literal["accepted", "nothing_left", "rejected"]


class AnswerRejected(ValueError):
    """An answer that cannot be used: a code to count, and an explanation that the model can act on.

    ``told`` is False where the explanation gives away what the model must find out: it is then asked anew instead.
    """

    def __init__(self, code: str, explanation: str, told: bool = True) -> None:
        super().__init__(f"{code}: {explanation}")
        self.code, self.explanation, self.told = code, explanation, told


@dataclass(frozen=True)
class Verdict:
    """What comes out of a job; ``nothing_left`` has no output and is a result, not a failure."""

    outcome: Outcome
    output: str = ""


@dataclass(frozen=True)
class Job:
    """One question to the model.

    Attributes:
        key: names the job's files; parts joined by ``/``, each of letters, digits, ``.``, ``_`` and ``-``.
        source: the dataset whose data the messages carry.
        messages: makes the messages when they are needed, so that a million jobs fit in memory; raises
            :class:`AnswerRejected` if there is nothing to ask, and the job is recorded as rejected.
        check: turns the model's text into a verdict, or raises :class:`AnswerRejected`.
        outline: makes the messages without the pictures in them, for the estimate; None if they have none.
    """

    key: str
    source: str
    messages: Callable[[], list[Message]]
    check: Callable[[str], Verdict]
    outline: Callable[[], list[Message]] | None = None


@dataclass(frozen=True)
class Attempt:
    """One answer of the model; ``code`` is empty if it was accepted."""

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    code: str = ""
    explanation: str = ""


@dataclass(frozen=True)
class Record:
    """How a job went: its verdict and every attempt."""

    key: str
    source: str
    outcome: Outcome
    output: str
    attempts: tuple[Attempt, ...]

    @property
    def code(self) -> str:
        """Why it was rejected in the end; empty if it was not."""
        return self.attempts[-1].code if self.outcome == "rejected" and self.attempts else ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """The inverse of :meth:`to_dict`; raises TypeError or KeyError if it is not one."""
        return cls(**{**values, "attempts": tuple(Attempt(**attempt) for attempt in values["attempts"])})


async def ask_until_accepted(client: LanguageClient, job: Job, attempts: int = 3) -> Record:
    """Ask until an answer is accepted, at most ``attempts`` times.

    Raises:
        EndpointError, CallFailed: from the client; nothing is known about the job then.
    """
    try:
        messages = await asyncio.to_thread(job.messages)  # may open a picture, which others need not wait for
    except AnswerRejected as impossible:
        attempt = Attempt("", "", 0, 0, impossible.code, impossible.explanation)
        return Record(job.key, job.source, "rejected", "", (attempt,))
    made: list[Attempt] = []
    conversation = messages
    for _ in range(attempts):
        try:
            answer = await client.ask(conversation, job.source)
            verdict = _judge(answer, job)
        except AnswerRejected as rejected:
            made.append(_attempt(answer, rejected))
            conversation = [*messages, *_remark(answer, rejected)]
        except CallRefused as refused:
            made.append(Attempt("", "", 0, 0, REFUSED_BY_ENDPOINT, str(refused)))
            break
        else:
            made.append(_attempt(answer))
            return Record(job.key, job.source, verdict.outcome, verdict.output, tuple(made))
    return Record(job.key, job.source, "rejected", "", tuple(made))


def _judge(answer: Answer, job: Job) -> Verdict:
    if answer.finish_reason in ("refusal", "content_filter"):
        raise AnswerRejected("refusal", "the request was not answered")
    if answer.finish_reason == "length":
        raise AnswerRejected("cut_off", "the answer was cut off because it was too long; be brief")
    if not answer.text.strip():
        raise AnswerRejected("empty", "the answer was empty")
    return job.check(answer.text)


def _attempt(answer: Answer, rejected: AnswerRejected | None = None) -> Attempt:
    code, explanation = (rejected.code, rejected.explanation) if rejected else ("", "")
    return Attempt(answer.text, answer.finish_reason, answer.input_tokens, answer.output_tokens, code, explanation)


def _remark(answer: Answer, rejected: AnswerRejected) -> list[Message]:
    """The answer without its thought, and what was wrong with it; nothing where there is no answer to talk about."""
    shown = (split_thought(answer.text).response or "")[:_SHOWN_CHARACTERS]
    if not shown or answer.finish_reason == "refusal" or not rejected.told:
        return []
    text = load_prompt("answer_rejected").fill(explanation=rejected.explanation)
    return [{"role": "assistant", "content": shown}, {"role": "user", "content": text}]
