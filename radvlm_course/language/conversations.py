"""Conversations about one film, with or without boxes, written by a language model from what a dataset says of it.

The model gets the report, the labels, the view and, for grounded conversations, the boxes as training answers write
them. It answers with strict JSON turns, which pydantic validates. Rules check the rest: 5 to 10 rounds, no reference
to an earlier study, no word about a report or about given data, and every box exactly one of those given: copied, not
computed. What no rule can see: a box named with the wrong finding. Read a sample.

Source of the task: RadVLM (Deperrois et al., arXiv 2502.03333). One file a film, a list of
``{"from": "human" | "gpt", "value": text}``, without the image tag.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from radvlm_course.boxes import Box, format_box
from radvlm_course.chat import split_thought
from radvlm_course.language.client import Message
from radvlm_course.language.jobs import AnswerRejected, Job, Verdict
from radvlm_course.language.priors import find_prior_references
from radvlm_course.language.prompts import load_prompt
from radvlm_course.records import Study

__all__ = ["OUTPUT_FOLDER", "Turn", "check_conversation", "conversation_jobs", "facts_of", "prompts_of"]

OUTPUT_FOLDER = "conversations"
FEWEST_ROUNDS, MOST_ROUNDS = 5, 10

_FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)
_BRACKETED = re.compile(r"\[[^\[\]]*\d[^\[\]]*\]")
_COORDINATES = re.compile(
    r"(?:\b[01]?\.\d+\b|\b[xy][12]?\s*[=:]\s*\d)(?:\s*[,;]\s*(?:\b[01]?\.\d+\b|[xy][12]?\s*[=:]))+"
)
_HIDDEN_SOURCE = re.compile(
    r"\b(?:the|this|your|given|provided|radiology) (?:\w+ )?(?:report|labels?|facts?|data|annotations?)\b"
    r"|\b(?:bounding boxes|information|coordinates) (?:provided|given|supplied)\b|\bi was (?:given|provided|told)\b",
    re.IGNORECASE,
)


class Turn(BaseModel):
    """One turn, as LLaVA-style training files have it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    speaker: Literal["human", "gpt"] = Field(alias="from")
    value: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


_TURNS = TypeAdapter(list[Turn])


def conversation_jobs(
    studies: Iterable[Study], grounded: bool, ignore_rules: Collection[str] = ()
) -> tuple[list[Job], Counter[str]]:
    """One job a film; grounded ones need boxes.

    Returns:
        (jobs, reason -> films that gave none)
    """
    jobs, skipped = [], Counter[str]()
    for study in studies:
        boxes = boxes_of(study)
        if grounded and not boxes:
            skipped["film without boxes"] += 1
        elif not study.report.strip() and not study.findings and not boxes:
            skipped["film of which nothing is said"] += 1
        else:
            given = boxes if grounded else {}
            check = partial(check_conversation, boxes=given, ignore_rules=ignore_rules)
            jobs.append(Job(film_key(study, grounded), study.source, partial(_messages, study, given), check))
    return jobs, skipped


def film_key(study: Study, grounded: bool) -> str:
    """Split, kind and record: ``train/grounding/<study_id>``. A record is one film, and its id its own."""
    return f"{study.split}/{'grounding' if grounded else 'standard'}/{study.study_id.replace('/', '_')}"


def boxes_of(study: Study) -> dict[str, tuple[Box, ...]]:
    """Observation -> boxes: the phrases where the dataset has them, else the findings."""
    return {name: boxes for name, boxes in (study.phrases or study.abnormalities).items() if boxes}


def prompts_of(grounded: bool) -> dict[str, str]:
    """Prompt -> digest, of all that a conversation is asked with."""
    names = (_prompt_name(grounded), "conversation_facts", "answer_rejected")
    return {name: load_prompt(name).sha256 for name in names}


def facts_of(study: Study, boxes: Mapping[str, Sequence[Box]]) -> str:
    """What the model is told of a film, one matter a line."""
    labels = {value: [name for name, given in study.findings.items() if given == value] for value in (1, -1)}
    lines = [
        f"View: {study.view or 'not known'}",
        f"Findings that are present: {', '.join(labels[1]) or 'none is listed'}",
    ]
    if labels[-1]:
        lines.append(f"Findings that are uncertain: {', '.join(labels[-1])}")
    if study.report.strip():
        lines.append(f"What a radiologist wrote: {' '.join(study.report.split())}")
    lines += [f"Box of {name}: {' '.join(map(format_box, group))}" for name, group in boxes.items()]
    return "\n".join(lines)


def _prompt_name(grounded: bool) -> str:
    return "grounded_conversation" if grounded else "conversation"


def _messages(study: Study, boxes: Mapping[str, Sequence[Box]]) -> list[Message]:
    system = load_prompt(_prompt_name(bool(boxes))).fill(fewest=str(FEWEST_ROUNDS), most=str(MOST_ROUNDS))
    facts = load_prompt("conversation_facts").fill(facts=facts_of(study, boxes))
    return [{"role": "system", "content": system}, {"role": "user", "content": facts}]


def check_conversation(answer: str, boxes: Mapping[str, Sequence[Box]], ignore_rules: Collection[str] = ()) -> Verdict:
    """Accept a conversation, or say what is wrong with it.

    Args:
        answer: the model's text: JSON, in a code fence or not, with or without a thought before it.
        boxes: those that were given, unit coordinates; with none, the conversation must not have any.

    Returns:
        the turns as JSON text

    Raises:
        AnswerRejected: with the first reason.
    """
    turns = _parse(split_thought(answer).response or "")
    _check_order(turns)
    for turn in turns:
        if references := find_prior_references(turn.value, ignore_rules):
            named = "; ".join(f"{reference.words!r} in {reference.sentence!r}" for reference in references[:5])
            raise AnswerRejected("prior_study", f"it refers to another examination or to change over time ({named})")
        if found := _HIDDEN_SOURCE.search(turn.value):
            raise AnswerRejected("hidden_source", f"it speaks of what only you were given ({found.group()!r})")
        if "<image>" in turn.value:
            raise AnswerRejected("image_tag", "it has an image tag; write text only")
    _check_boxes(turns, {format_box(box) for group in boxes.values() for box in group})
    return Verdict("accepted", json.dumps([turn.model_dump(by_alias=True) for turn in turns], ensure_ascii=False))


def _parse(text: str) -> list[Turn]:
    fenced = _FENCE.fullmatch(text.strip())
    try:
        return _TURNS.validate_json(fenced.group(1) if fenced else text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = " at " + ".".join(map(str, first["loc"])) if first["loc"] else ""
        raise AnswerRejected(
            "not_turns", f"it is not the JSON list of turns that was asked for: {first['msg']}{place}"
        ) from error


def _check_order(turns: Sequence[Turn]) -> None:
    speakers = [turn.speaker for turn in turns]
    if speakers != ["human", "gpt"] * (len(turns) // 2):
        raise AnswerRejected("order", "human and gpt must alternate, human first and gpt last")
    if not FEWEST_ROUNDS <= len(turns) // 2 <= MOST_ROUNDS:
        raise AnswerRejected(
            "rounds",
            f"it has {len(turns) // 2} rounds, expected {FEWEST_ROUNDS} to {MOST_ROUNDS} questions with answers",
        )


def _check_boxes(turns: Sequence[Turn], given: set[str]) -> None:
    used = 0
    for turn in turns:
        written = _BRACKETED.findall(turn.value)
        if wrong := sorted(set(written) - given):
            raise AnswerRejected(
                "changed_box", f"{wrong[0]} is not one of the boxes given; copy them exactly, or write none"
            )
        rest = turn.value
        for box in written:
            rest = rest.replace(box, "")
        if found := _COORDINATES.search(rest):
            raise AnswerRejected("coordinates", f"it gives coordinates outside a box ({found.group()!r})")
        if written and turn.speaker == "human":
            raise AnswerRejected("user_knows_a_box", "the user does not know the boxes and must not write one")
        used += len(written)
    if given and not used:
        raise AnswerRejected(
            "no_box", "no answer has a box; the user asks where things are, and the answers give the boxes"
        )
