"""What the metrics that ask a language model share: which pairs to ask about, the store of answers, the command's end.

Answers are kept in a :class:`~radvlm_course.language.store.AnswerStore` under the digest of their question. So a killed
run goes on where it was, equal questions are asked once, and a changed prediction is asked about anew. Credentialed
text goes only to this machine or to an endpoint that an agreement covers (:mod:`radvlm_course.language.endpoint`).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from radvlm_course.evaluation.predictions import PredictionError, read_predictions
from radvlm_course.language.client import CallSettings, LanguageClient, Message
from radvlm_course.language.endpoint import Endpoint
from radvlm_course.language.jobs import Job, Verdict
from radvlm_course.language.running import RunSummary, run_jobs
from radvlm_course.language.store import AnswerStore
from radvlm_course.records import Example

__all__ = [
    "Question",
    "add_data_options",
    "add_endpoint_options",
    "ask_endpoint",
    "endpoint_of",
    "jobs_of",
    "key_of",
    "pairs_of",
    "provenance",
]

Pair = tuple[Example, str]  # an example, and the response to it


@dataclass(frozen=True)
class Question:
    """What is asked about one pair."""

    example: Example
    messages: list[Message]

    @property
    def key(self) -> str:
        return key_of(self.messages)


def key_of(messages: Sequence[Message]) -> str:
    """The name of a question's files: a digest of what is asked."""
    return hashlib.sha256(json.dumps(list(messages), sort_keys=True).encode()).hexdigest()[:40]


def jobs_of(questions: Sequence[Question], check: Callable[[str], Verdict]) -> list[Job]:
    """One job for each distinct question."""
    by_key = {question.key: question for question in questions}
    return [
        Job(key, question.example.source, partial(list, question.messages), check) for key, question in by_key.items()
    ]


def ask_endpoint(
    jobs: Sequence[Job],
    endpoint: Endpoint,
    settings: CallSettings,
    store: AnswerStore,
    concurrency: int = 16,
    attempts: int = 1,
    progress: bool = True,
) -> RunSummary:
    """Ask an endpoint about the jobs that are not done.

    Raises:
        EndpointError: from the client; finished jobs are kept.
    """

    async def ask() -> RunSummary:
        client = LanguageClient(endpoint, settings)
        try:
            return await run_jobs(jobs, client, store, concurrency, attempts, progress=progress)
        finally:
            await client.close()

    return asyncio.run(ask())


def pairs_of(examples: Sequence[Example], predictions: Path, tasks: Sequence[str]) -> list[Pair]:
    """The examples of some tasks with the responses to them; a response that never came is an empty text.

    Raises:
        PredictionError: a prediction is missing, or a line is wrong; names it.
    """
    known = {example.id for example in examples}
    responses = {item.example_id: item.response or "" for item in read_predictions(predictions, known)}
    chosen = [example for example in examples if example.task in tasks]
    if missing := [example.id for example in chosen if example.id not in responses]:
        raise PredictionError(f"{predictions}: {len(missing)} examples have no prediction, for example {missing[0]!r}")
    if not chosen:
        raise PredictionError(f"expected examples of {' or '.join(tasks)}, found none")
    return [(example, responses[example.id].strip()) for example in chosen]


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Options that say what is judged and where the judgements go."""
    parser.add_argument("--examples", required=True, nargs="+", type=Path, help="JSONL or Parquet files of examples")
    parser.add_argument("--predictions", required=True, type=Path, help="the predictions of one model")
    parser.add_argument("--output", required=True, type=Path, help="folder for the judgements")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_endpoint_options(parser: argparse.ArgumentParser, max_tokens: int) -> None:
    """Options of an OpenAI-compatible endpoint."""
    parser.add_argument("--url", help="OpenAI-compatible address, as in http://127.0.0.1:8000/v1")
    parser.add_argument("--api-key-variable", default="", metavar="NAME", help="environment variable with the key")
    parser.add_argument(
        "--covered-by-agreement",
        default="",
        metavar="TEXT",
        help="which agreement allows credentialed data to be sent to this address; recorded with the answers",
    )
    parser.add_argument("--max-tokens", type=int, default=max_tokens, help="longest answer (%(default)s)")
    parser.add_argument("--concurrency", type=int, default=16, help="calls at a time (%(default)s)")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one answer (%(default)s)")


def endpoint_of(options: argparse.Namespace) -> tuple[Endpoint, CallSettings]:
    """The endpoint that the options name, and how it is asked: greedily."""
    endpoint = Endpoint(options.url, options.model, options.covered_by_agreement, options.api_key_variable)
    return endpoint, CallSettings(options.max_tokens, temperature=0.0, timeout_seconds=options.timeout)


def provenance(model: str, prompts: Mapping[str, str], **settings: Any) -> dict[str, Any]:
    """What all answers of a store have in common."""
    return {"model": model, "prompts": dict(prompts), **settings}
