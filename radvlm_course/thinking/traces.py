"""Traces from a teacher: examples become jobs of :mod:`radvlm_course.language`, which asks, retries, counts, resumes.

::

    FOLDER/traces/SPLIT/TASK/KEY.txt       an accepted thought
    FOLDER/traces.run/                     settings, and the record of every finished job with all its attempts
    FOLDER/drafts/..., FOLDER/drafts.run/  of the two-stage variant: the drafts that the second model rewrites

A key holds a digest of the example's id, question and answer: an example that is built anew with another wording is
asked anew, and never gets the thought of the old one.

The two-stage variant takes two runs, each with its own endpoint (two models rarely fit on one machine): ``draft``
with a vision model, then ``rewrite`` with one that reads text only, which takes the drafts that are there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from radvlm_course.chat import join_thought, split_thought
from radvlm_course.language.jobs import AnswerRejected, Job, Verdict
from radvlm_course.phantoms.labeller import label_report
from radvlm_course.records import Example
from radvlm_course.thinking.filters import ANSWER_CODES, check_draft, check_trace
from radvlm_course.thinking.trace import FilterSettings, Labeller
from radvlm_course.thinking.trace_prompts import TRACE_TASKS, FilmSettings, Stage, film_messages, rewrite_messages

__all__ = ["DRAFT_FOLDER", "TRACE_FOLDER", "TraceSettings", "folder_of", "trace_jobs", "trace_key"]

TRACE_FOLDER, DRAFT_FOLDER = "traces", "drafts"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class TraceSettings:
    """What is asked and what is accepted.

    Attributes:
        stage: ``with_truth`` and ``one_stage`` are variants of one run; ``draft``, then ``rewrite`` make ``two_stage``.
        labeller: reads the findings of reports, where the filters compare those.
    """

    stage: Stage = "with_truth"
    filters: FilterSettings = field(default_factory=FilterSettings)
    film: FilmSettings = field(default_factory=FilmSettings)
    labeller: Labeller = label_report

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, for the record of a run."""
        labeller = f"{self.labeller.__module__}:{getattr(self.labeller, '__qualname__', repr(self.labeller))}"
        values = {"stage": self.stage, "filters": asdict(self.filters), "labeller": labeller}
        film = asdict(self.film)
        del film["root"]  # where the films lie says nothing about what was seen
        return values if self.stage == "rewrite" else values | {"film": film}


def trace_key(example: Example) -> str:
    """The name of an example's files: split, task, and a readable part of its id with a digest."""
    identity = "\x1f".join((example.id, example.question, example.answer))
    digest = hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    readable = _NOT_IN_A_NAME.sub("_", example.id)[:60].strip("_")
    return f"{example.split}/{example.task}/{readable}-{digest}".replace("/-", "/")


def folder_of(stage: Stage) -> str:
    """Where the answers of a stage lie."""
    return DRAFT_FOLDER if stage == "draft" else TRACE_FOLDER


def trace_jobs(
    examples: Iterable[Example], settings: TraceSettings, folder: str | os.PathLike[str] = ""
) -> tuple[list[Job], Counter[str]]:
    """One job an example.

    Args:
        folder: where the drafts lie, for the stage ``rewrite``.

    Returns:
        (jobs, reason -> examples that gave none)
    """
    jobs, skipped = [], Counter[str]()
    for example in examples:
        key = trace_key(example)
        if example.task not in TRACE_TASKS:
            skipped[f"{example.task}, which has no single answer"] += 1
        elif example.thought:
            skipped["example that has a thought already"] += 1
        elif settings.stage != "rewrite":
            ask = partial(film_messages, example, settings.stage, settings.filters, settings.film)
            check = partial(_check, example=example, settings=settings)
            jobs.append(Job(key, example.source, ask, check, partial(ask, with_film=False)))
        elif (draft := Path(folder) / DRAFT_FOLDER / f"{key}.txt").is_file():
            ask = partial(_ask_about_draft, draft, example, settings.filters)
            jobs.append(Job(key, example.source, ask, partial(_check, example=example, settings=settings)))
        else:
            skipped["example without an accepted draft"] += 1
    return jobs, skipped


def _ask_about_draft(draft: Path, example: Example, filters: FilterSettings) -> list[dict[str, Any]]:
    thought, response = split_thought(draft.read_text(encoding="utf-8"), thinking=True)
    return rewrite_messages(example, thought, response or "", filters)


def _check(text: str, example: Example, settings: TraceSettings) -> Verdict:
    """The verdict on a reply; a teacher that must find the answer itself is not told why its answer is wrong."""
    try:
        if settings.stage == "draft":
            draft = check_draft(text, example, settings.filters, settings.labeller)
            return Verdict("accepted", join_thought(draft.thought, draft.response))
        return Verdict("accepted", check_trace(text, example, settings.filters, settings.labeller))
    except AnswerRejected as rejected:
        if settings.stage != "with_truth" and rejected.code in ANSWER_CODES:
            raise AnswerRejected(rejected.code, rejected.explanation, told=False) from rejected
        raise
