"""Is the answer after the thought the true one, and nothing but the answer? One small function a reason.

Each takes a :class:`~radvlm_course.thinking.trace.Trace` and returns what is wrong in words that a teacher can act
on, or an empty text. What is compared depends on the task: reports word by word or finding by finding, boxes as they
are written or by their overlap, labels as a set. What an answer says around its boxes and labels is free: the
training pair takes the example's own answer anyway.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence

from radvlm_course.boxes import Box, iou_matrix, parse_boxes, scan_boxes
from radvlm_course.records import BOX_TASKS, Example
from radvlm_course.thinking.filter_rules import filter_rules
from radvlm_course.thinking.trace import Trace, plain

__all__ = [
    "affirmed",
    "box_outside_image",
    "changed_box",
    "label_differs",
    "malformed_box",
    "missing_box",
    "other_format",
    "report_differs",
]

LABEL_TASKS = ("abnormality_classification", "abnormality_detection")

_BRACKETED = re.compile(r"\[[^\[\]]*\d[^\[\]]*\]")
_SENTENCE = re.compile(r"(?<=[.;!?]) ")
_DENIAL = re.compile(r"\b(?:no|not|without|none|nor|neither|free of|absence of|nothing|normal|unremarkable)\b", re.I)


def written_boxes(text: str) -> list[str]:
    """The bracketed groups with a number, as they are written but for white space of other kinds."""
    return _BRACKETED.findall(plain(text))


def other_format(trace: Trace) -> str:
    """A heading, a tag, a code fence or a remark beside the answer; not where the true answer has the same."""
    found, true = map(filter_rules().other_format.search, (trace.response, trace.example.answer))
    if not found or (true and true.group() == found.group()):
        return ""
    return f"after </think> stands {found.group().strip()!r}; write the bare answer there and nothing else"


def box_outside_image(trace: Trace) -> str:
    """A box whose corners are not all between 0 and 1, such as one in pixels."""
    if trace.example.task not in BOX_TASKS:
        return ""
    for group in scan_boxes(trace.response)[1]:
        numbers = re.findall(r"-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", group, re.I)
        if len(numbers) == 4 and not all(0 <= float(number) <= 1 for number in numbers):
            return f"the box {group} does not lie in the image; corners are fractions from 0 to 1"
    return ""


def malformed_box(trace: Trace) -> str:
    """A bracketed group with numbers that is no box: five numbers, swapped corners."""
    wrong = scan_boxes(trace.response)[1] if trace.example.task in BOX_TASKS else []
    return f"{wrong[0]} is not a box; write [x1, y1, x2, y2] with x1 < x2 and y1 < y2" if wrong else ""


def changed_box(trace: Trace) -> str:
    """A box that is not a true one, or stands with another finding."""
    if trace.example.task not in BOX_TASKS:
        return ""
    if trace.settings.box_iou is not None:
        return _disagreeing_box(trace, trace.settings.box_iou)
    true, written = Counter(written_boxes(trace.example.answer)), Counter(written_boxes(trace.response))
    if wrong := sorted(written - true):
        return f"{wrong[0]} is not a box of the answer; copy the answer character by character"
    if trace.example.task == "abnormality_detection" and written == true:
        ours, theirs = (_boxes_by_name(text, trace.example) for text in (trace.example.answer, trace.response))
        if ours != theirs:
            return "a box stands with another finding than in the answer; copy the answer character by character"
    return ""


def missing_box(trace: Trace) -> str:
    """A true box that the answer lacks."""
    if trace.example.task not in BOX_TASKS:
        return ""
    if trace.settings.box_iou is not None:
        lacking = len(trace.example.boxes) - len(parse_boxes(trace.response))
        return f"the answer lacks {lacking} of {len(trace.example.boxes)} boxes" if lacking > 0 else ""
    lost = sorted(Counter(written_boxes(trace.example.answer)) - Counter(written_boxes(trace.response)))
    return f"the answer lacks {lost[0]}; copy the answer character by character" if lost else ""


def _disagreeing_box(trace: Trace, least: float) -> str:
    if trace.example.task == "abnormality_detection":
        ours, theirs = (_boxes_by_name(text, trace.example) for text in (trace.example.answer, trace.response))
        pairs = [(parse_boxes(" ".join(theirs.get(name, []))), parse_boxes(" ".join(ours[name]))) for name in ours]
    else:
        pairs = [(parse_boxes(trace.response), list(trace.example.boxes))]
    if len(parse_boxes(trace.response)) > len(trace.example.boxes):
        return "the answer has more boxes than there are"
    if any(len(written) == len(true) and not _agree(written, true, least) for written, true in pairs):
        return f"a box does not lie where the true one does (IoU below {least:g})"
    return ""


def _agree(written: Sequence[Box], true: Sequence[Box], least: float) -> bool:
    """Whether all boxes can be matched one to one with at least this IoU."""
    from scipy.optimize import linear_sum_assignment

    good = iou_matrix(written, true) >= least
    return bool(good[linear_sum_assignment(good, maximize=True)].all())


def _boxes_by_name(text: str, example: Example) -> dict[str, list[str]]:
    """Finding, in lower case -> the boxes that are written after it, before the next finding; sorted."""
    names = _vocabulary(example.labels)
    found: dict[str, list[str]] = {}
    name = ""
    for match in re.finditer(rf"{_BRACKETED.pattern}|{names.pattern}", plain(text), re.I):
        if match.group().startswith("["):
            found.setdefault(name, []).append(match.group())
        else:
            name = _singular(match.group(), example)
    return {key: sorted(boxes) for key, boxes in found.items()}


def label_differs(trace: Trace) -> str:
    """Findings that are named and not present, or present and not named."""
    if trace.example.task not in LABEL_TASKS or plain(trace.response) == plain(trace.example.answer):
        return ""
    true, named = {label.lower() for label in trace.example.labels}, named_findings(trace.response, trace.example)
    if wrong := sorted(named - true):
        return f"the answer names {wrong[0]}, which is not one of its findings"
    if lost := sorted(true - named):
        return f"the answer does not name {lost[0]}"
    if not true and not _DENIAL.search(trace.response):
        return "the answer does not say that there is no abnormal finding"
    return ""


def named_findings(text: str, example: Example) -> set[str]:
    """The findings that a text affirms, in lower case: those known, and those of the example."""
    named = set()
    for sentence in _SENTENCE.split(plain(text)):
        for match in _vocabulary(example.labels).finditer(sentence):
            if not _DENIAL.search(sentence[: match.start()]):
                named.add(_singular(match.group(), example))
    return named


@functools.lru_cache(maxsize=1024)
def _vocabulary(labels: tuple[str, ...]) -> re.Pattern[str]:
    """Names of findings, the longest first, so that a pleural effusion is not an effusion."""
    rules = filter_rules()
    names = {name for label in labels for name in rules.names_of(label)} | set(rules.known_findings)
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, ordered))})(?:s|es)?\b", re.I)


def _singular(name: str, example: Example) -> str:
    """The finding that a written name stands for, in lower case."""
    rules, name = filter_rules(), name.lower()
    labels = [label.lower() for label in example.labels]
    for finding in (*labels, *rules.known_findings):
        names = rules.names_of(finding)
        if any(name in (known, f"{known}s", f"{known}es") for known in names):
            return finding
    return name


def report_differs(trace: Trace) -> str:
    """Another report: other words, or other findings, as the settings say."""
    example = trace.example
    if example.task != "report_generation" or plain(trace.response) == plain(example.answer):
        return ""
    if trace.settings.report_check == "verbatim":
        return "after </think> stands another report; copy the answer character by character"
    true, said = (affirmed(trace, text) for text in (example.answer, trace.response))
    if wrong := sorted(said - true):
        return f"the report affirms {wrong[0]}, which the film does not show"
    return f"the report does not affirm {min(true - said)}" if true - said else ""


def affirmed(trace: Trace, text: str) -> set[str]:
    """What the labeller finds affirmed, or doubted, in a text."""
    return {name.lower() for name, value in trace.labeller(text).items() if value}
