"""Conversations: a language model judges each answer, 0 to 10; optional, and only as good as the judge.

The judge sees what is known of the film (labels, boxes), the question, the expected answer and the model's, and ends
with a line ``Score: N/10``. Anything else is not a score: the judge is asked again with the reason, up to three times,
and what stays unreadable is counted and left out of the mean (the paper's code searches for a number anywhere and drops
those above 10). An empty answer scores 0 and is not sent.

    python -m radvlm_course.evaluation.judge --examples test.jsonl --predictions sft.jsonl --output judged
        --url http://127.0.0.1:8000/v1 --model NAME

Scores of two judges, or of two versions of one, must not be compared: the judge's name and the digests of the prompts
are kept with the answers, and a folder takes no answers of another judge.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from radvlm_course.boxes import format_boxes
from radvlm_course.chat import split_thought
from radvlm_course.evaluation.asking import (
    Pair,
    Question,
    add_data_options,
    add_endpoint_options,
    ask_endpoint,
    endpoint_of,
    jobs_of,
    pairs_of,
    provenance,
)
from radvlm_course.evaluation.files import read_examples
from radvlm_course.evaluation.judgements import write_judgements
from radvlm_course.language.client import Message
from radvlm_course.language.jobs import AnswerRejected, Verdict
from radvlm_course.language.prompts import load_prompt
from radvlm_course.language.store import AnswerStore
from radvlm_course.records import Example

__all__ = ["check_judgement", "judge_question", "judge_values", "main", "parse_score"]

HIGHEST = 10
TASKS = ("conversation", "grounded_conversation")
MAX_TOKENS, ATTEMPTS = 512, 3
_PROMPTS = ("judge_answer", "judge_answer_facts")
_SCORE = re.compile(r"Score: (\d{1,2})/10")


def parse_score(text: str) -> int:
    """The score of a judgement: its last line, and nothing else counts.

    Raises:
        AnswerRejected: the last line is not exactly ``Score: N/10`` with a whole number from 0 to 10.

    >>> parse_score("The effusion is on the other side.\\nScore: 3/10")
    3
    """
    lines = (split_thought(text).response or "").strip().splitlines()
    found = _SCORE.fullmatch(lines[-1].strip()) if lines else None
    if found is None or int(found.group(1)) > HIGHEST:
        last = lines[-1][:80] if lines else ""
        raise AnswerRejected(
            "unreadable", f"its last line must be 'Score: N/10' with a whole number from 0 to 10, found {last!r}"
        )
    return int(found.group(1))


def check_judgement(text: str) -> Verdict:
    """Accept a judgement with a score; its output is the number.

    Raises:
        AnswerRejected: as :func:`parse_score`.
    """
    return Verdict("accepted", str(parse_score(text)))


def judge_question(example: Example, response: str) -> list[Message]:
    """What the judge is given about one answer."""
    facts = [f"Observations: {', '.join(example.labels)}."] if example.labels else []
    facts += [f"Places: {format_boxes(example.boxes)}."] if example.boxes else []
    filled = load_prompt("judge_answer_facts").fill(
        facts="\n".join(facts) or "None beside the expected answer.",
        question=example.question,
        expected=example.answer,
        answer=response,
    )
    return [{"role": "system", "content": load_prompt("judge_answer").text}, {"role": "user", "content": filled}]


def judge_values(pairs: Sequence[Pair], store: AnswerStore) -> Iterator[dict[str, Any]]:
    """The judgement of each pair, for ``write_judgements``.

    Raises:
        ValueError: a pair was not judged yet.
    """
    for example, response in pairs:
        value: int | None = 0
        attempts = 0
        if response:
            record = store.read(Question(example, judge_question(example, response)).key)
            if record is None:
                raise ValueError(f"example {example.id!r} was not judged yet: run the command again")
            value = int(record.output) if record.outcome == "accepted" else None
            attempts = len(record.attempts)
        yield {"example_id": example.id, "value": value, "attempts": attempts}


def run(options: argparse.Namespace) -> int:
    """Ask about what was not asked, then write ``judge.jsonl``."""
    pairs = pairs_of(read_examples(options.examples), options.predictions, TASKS)
    questions = [Question(example, judge_question(example, text)) for example, text in pairs if text]
    settings = provenance(
        options.model,
        {name: load_prompt(name).sha256 for name in (*_PROMPTS, "answer_rejected")},
        covered_by=options.covered_by_agreement,
        max_tokens=options.max_tokens,
    )
    with AnswerStore(options.output, "scores", ".txt", settings) as store:
        jobs, (endpoint, calls) = jobs_of(questions, check_judgement), endpoint_of(options)
        summary = ask_endpoint(jobs, endpoint, calls, store, options.concurrency, ATTEMPTS, progress=not options.quiet)
        print(summary.text())
        if summary.failed:
            print("some answers were not judged: run the same command again")
            return 1
        lines = list(judge_values(pairs, store))
    write_judgements(lines, Path(options.output) / "judge.jsonl")
    known = [line["value"] for line in lines if line["value"] is not None]
    mean = f"{sum(known) / len(known):.2f}" if known else "undefined"
    print(f"mean score {mean} of 10 (n {len(known)}); {len(lines) - len(known)} judgements could not be read")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0 done, 1 some answers were not judged, or refused with a reason."""
    parser = argparse.ArgumentParser(
        prog="python -m radvlm_course.evaluation.judge", description=(__doc__ or "").split("\n\n")[0]
    )
    add_data_options(parser)
    parser.add_argument("--model", required=True, help="the judge's name at the endpoint")
    add_endpoint_options(parser, MAX_TOKENS)
    options = parser.parse_args(arguments)
    if not options.url:
        parser.error("expected --url, the judge's address")
    try:
        return run(options)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
