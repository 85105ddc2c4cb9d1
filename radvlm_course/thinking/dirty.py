"""Clean traces made dirty, one fault at a time: does each filter catch what it is there for, and nothing else?

A fault is planted into a trace that is clean, as teachers make it: a sentence that betrays the source, a box nudged
by a hundredth, a tag too many. Some are blunt, others are small; which one is drawn. Faults are made for the default
budgets of :class:`~radvlm_course.thinking.trace.FilterSettings`: with wider ones (a box allowed in the thought, boxes
judged by their overlap) some of them are no faults.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from radvlm_course.chat import join_thought
from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.phantoms.labeller import label_report
from radvlm_course.records import BOX_TASKS, Example
from radvlm_course.thinking._faults import FAULTS, Fault, conclusion
from radvlm_course.thinking.answer_filters import LABEL_TASKS, written_boxes
from radvlm_course.thinking.filters import check_trace
from radvlm_course.thinking.trace import FilterSettings, Labeller, words_of

__all__ = ["FAULTS", "Fault", "Planted", "PlantedCounts", "count_planted", "faults_for"]


class Planted(NamedTuple):
    """What became of a fault: how often it was planted, caught under its code, and caught under another one."""

    planted: int
    caught: int
    under_another_code: int


@dataclass(frozen=True)
class PlantedCounts:
    """What the filters did with clean traces and with dirty ones.

    Attributes:
        clean: traces without a fault. rejected: code -> those of them that were rejected; empty is right.
        faults: code -> its counts, in the order of the filters; without codes that no example can have.
    """

    clean: int
    rejected: Counter[str]
    faults: dict[str, Planted]

    @property
    def clean_rejected(self) -> int:
        """Traces without a fault that were rejected; 0 is right."""
        return self.rejected.total()


def count_planted(
    examples: Iterable[Example],
    settings: FilterSettings | None = None,
    seed: int = 0,
    labeller: Labeller = label_report,
) -> PlantedCounts:
    """Pass clean traces through the filters, plant every fault that each can have, and pass them through again.

    Args:
        examples: with thoughts.
        seed: of the faults; each depends on it, the example's id and the code only.
    """
    clean, rejected = 0, Counter[str]()
    counts: dict[str, Counter[str]] = {code: Counter() for code in FAULTS}
    for example in examples:
        clean += 1
        if code := _code_of(join_thought(example.thought, example.answer), example, settings, labeller):
            rejected[code] += 1
        for code in faults_for(example):
            dirty = FAULTS[code](example, random.Random(f"{seed}/{example.id}/{code}"))
            found = _code_of(dirty, example, settings, labeller)
            counts[code].update(["planted", "caught" if found == code else "other" if found else "missed"])
    faults = {
        code: Planted(count["planted"], count["caught"], count["other"]) for code, count in counts.items() if count
    }
    return PlantedCounts(clean, rejected, faults)


def _code_of(text: str, example: Example, settings: FilterSettings | None, labeller: Labeller) -> str:
    try:
        check_trace(text, example, settings, labeller)
    except AnswerRejected as rejected:
        return rejected.code
    return ""


def faults_for(example: Example) -> list[str]:
    """The codes of the faults that a trace of this example can have."""
    task = example.task
    possible = dict.fromkeys(FAULTS, True)
    for code in ("box_outside_image", "malformed_box", "changed_box", "missing_box"):
        possible[code] = task in BOX_TASKS and bool(written_boxes(example.answer))
    possible["label_differs"] = task in LABEL_TASKS
    possible["report_differs"] = task == "report_generation"
    possible["report_copied"] = task == "report_generation" and len(words_of(example.answer)) >= 6
    possible["conclusion_first"] = task in ("report_generation", *LABEL_TASKS) and bool(conclusion(example))
    return [code for code, can in possible.items() if can]
