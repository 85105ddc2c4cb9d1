"""The filters that a trace passes before anything learns from it, each with a code to count.

The order is that of :data:`FILTERS`: first the form (one ``<think>…</think>``, then an answer), then the answer, then
the thought; a trace is rejected for the first reason. The filters of the answer are in
:mod:`~radvlm_course.thinking.answer_filters`, those of the thought in :mod:`~radvlm_course.thinking.thought_filters`.

What no filter sees: a sign that is described and not there. A trace that passes reads well and ends right; whether its
reasons are the film's, a radiologist must read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from radvlm_course.chat import THINK_END, THINK_START
from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.phantoms.labeller import label_report
from radvlm_course.records import Example
from radvlm_course.thinking import answer_filters, thought_filters
from radvlm_course.thinking.filter_rules import filter_rules
from radvlm_course.thinking.trace import FilterSettings, Labeller, Trace, plain

__all__ = [
    "ANSWER_CODES",
    "DRAFT_CODES",
    "FILTERS",
    "Filter",
    "FilterSettings",
    "Labeller",
    "check_draft",
    "check_trace",
]

Filter = Callable[[Trace], str]
"""What is wrong with a trace, in words that a teacher can act on; empty if nothing is."""

_FORM = f"write {THINK_START}the reasoning{THINK_END} and then the answer, and nothing else"


def empty(trace: Trace) -> str:
    """No text."""
    return "" if trace.text.strip() else "the reply was empty"


def refusal(trace: Trace) -> str:
    """The teacher declines, anywhere in its reply."""
    found = filter_rules().refusal.search(plain(trace.text))
    return f"it declines ({found.group()!r})" if found else ""


def no_tags(trace: Trace) -> str:
    """An answer in another form, without a thought."""
    return "" if THINK_START in trace.text or THINK_END in trace.text else f"there are no tags; {_FORM}"


def not_opened(trace: Trace) -> str:
    """The closing tag alone, where the opening one is required."""
    missing = THINK_START not in trace.text and trace.settings.opening_tag == "required"
    return f"{THINK_START} is missing; {_FORM}" if missing else ""


def not_closed(trace: Trace) -> str:
    """The thought has no end, so that there is no answer."""
    return "" if THINK_END in trace.text else f"{THINK_END} is missing; {_FORM}"


def closed_twice(trace: Trace) -> str:
    """More than one thought, or tags within it."""
    starts, ends = trace.text.count(THINK_START), trace.text.count(THINK_END)
    return f"there are {starts} {THINK_START} and {ends} {THINK_END}; {_FORM}" if starts > 1 or ends > 1 else ""


def text_before(trace: Trace) -> str:
    """Something stands before the thought, such as the answer."""
    before, opened, _ = trace.text.partition(THINK_START)
    return f"text stands before {THINK_START}; {_FORM}" if opened and before.strip() else ""


def empty_thought(trace: Trace) -> str:
    """Tags with nothing between them."""
    return "" if re.search(r"\w", trace.thought) else f"the thought is empty; {_FORM}"


def no_answer(trace: Trace) -> str:
    """Nothing after the thought: if there is an answer, it stands within."""
    return "" if trace.response else f"no answer stands after {THINK_END}; {_FORM}"


_FORM_FILTERS: Mapping[str, Filter] = {
    "empty": empty,
    "refusal": refusal,
    "no_tags": no_tags,
    "not_opened": not_opened,
    "not_closed": not_closed,
    "closed_twice": closed_twice,
    "text_before": text_before,
    "empty_thought": empty_thought,
    "no_answer": no_answer,
}
_ANSWER_FILTERS: Mapping[str, Filter] = {
    "other_format": answer_filters.other_format,
    "box_outside_image": answer_filters.box_outside_image,
    "malformed_box": answer_filters.malformed_box,
    "changed_box": answer_filters.changed_box,
    "missing_box": answer_filters.missing_box,
    "label_differs": answer_filters.label_differs,
    "report_differs": answer_filters.report_differs,
}
_THOUGHT_FILTERS: Mapping[str, Filter] = {
    "hidden_source": thought_filters.hidden_source,
    "answer_in_thought": thought_filters.answer_in_thought,
    "report_copied": thought_filters.report_copied,
    "boxes_in_thought": thought_filters.boxes_in_thought,
    "prompt_copied": thought_filters.prompt_copied,
    "repetition": thought_filters.repetition,
    "too_short": thought_filters.too_short,
    "too_long": thought_filters.too_long,
    "language": thought_filters.language,
    "conclusion_first": thought_filters.conclusion_first,
    "prior_study": thought_filters.prior_study,
}

FILTERS: Mapping[str, Filter] = {**_FORM_FILTERS, **_ANSWER_FILTERS, **_THOUGHT_FILTERS}
"""Code -> filter, in the order in which they are asked."""

ANSWER_CODES = frozenset(_ANSWER_FILTERS) - {"other_format"}
"""Codes whose explanation tells of the true answer."""

DRAFT_CODES = (*_FORM_FILTERS, *_ANSWER_FILTERS, "repetition")
"""What a draft passes that a second model will rewrite."""


def check_trace(
    text: str, example: Example, settings: FilterSettings | None = None, labeller: Labeller = label_report
) -> str:
    """Accept a teacher's reply about an example, or say what is wrong with it.

    Args:
        text: the reply.
        example: with the true answer.
        settings: the budgets; default: those for a teacher that was shown the truth.
        labeller: reads the findings of a report. The default knows the phantoms' grammar only.

    Returns:
        the thought, without tags

    Raises:
        AnswerRejected: with the first code of :data:`FILTERS` that applies.
    """
    trace = Trace(text, example, settings or FilterSettings(), labeller)
    for code, find_fault in FILTERS.items():
        if explanation := find_fault(trace):
            raise AnswerRejected(code, explanation)
    return trace.thought


def check_draft(
    text: str, example: Example, settings: FilterSettings | None = None, labeller: Labeller = label_report
) -> Trace:
    """Accept a draft: its form and its answer must be right, its thought may be raw.

    Raises:
        AnswerRejected: with the first of :data:`DRAFT_CODES` that applies.
    """
    trace = Trace(text, example, settings or FilterSettings.for_variant("two_stage"), labeller)
    for code in DRAFT_CODES:
        if explanation := FILTERS[code](trace):
            raise AnswerRejected(code, explanation)
    return trace
