"""One reply of a teacher as the filters see it, and the budgets that they keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from radvlm_course.chat import split_thought
from radvlm_course.phantoms.labeller import label_report
from radvlm_course.records import Example

__all__ = ["VARIANTS", "FilterSettings", "Labeller", "Trace", "Variant", "words_of"]

Variant = Literal["with_truth", "one_stage", "two_stage"]
VARIANTS: tuple[Variant, ...] = ("with_truth", "one_stage", "two_stage")

Labeller = Callable[[str], Mapping[str, int]]
"""Report -> finding -> 1 affirmed, -1 doubted, 0 denied; a finding that is not mentioned is missing."""

_WORD = re.compile(r"[a-z0-9]+(?:[.'-][a-z0-9]+)*")
_DASHES_AND_APOSTROPHES = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2019": "'"})


@dataclass(frozen=True)
class FilterSettings:
    """The budgets of the filters.

    Attributes:
        opening_tag: ``optional`` for models whose chat template writes ``<think>`` at the end of the prompt.
        report_check: a report must be that of the example ``verbatim`` (but for white space), or have the same
            ``findings``: the labeller affirms, or doubts, the same ones in both.
        box_iou: None: the boxes must be written exactly as in the example's answer. A number (0 to 1): as many boxes,
            matched one to one with at least this IoU.
        fewest_words, most_words: of the thought.
        boxes_in_thought: how many boxes it may quote.
        words_before_label: how many words, one of them about what is seen, come before a finding that the question
            does not name.
        copied_words: a run of so many words, or more, that the thought shares with the report or with the prompts, is
            copied.
        loop_repeats: how often the same words one after the other, or the same sentence anywhere, make a loop.
        ignore_prior_rules: rules of :mod:`radvlm_course.language.priors` that are not applied.

    Raises:
        ValueError: a value is out of bounds.
    """

    opening_tag: Literal["required", "optional"] = "required"
    report_check: Literal["verbatim", "findings"] = "verbatim"
    box_iou: float | None = None
    fewest_words: int = 10
    most_words: int = 1200
    boxes_in_thought: int = 0
    words_before_label: int = 5
    copied_words: int = 12
    loop_repeats: int = 3
    ignore_prior_rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.opening_tag not in ("required", "optional") or self.report_check not in ("verbatim", "findings"):
            raise ValueError(
                "expected opening_tag required or optional, and report_check verbatim or findings, found "
                f"{self.opening_tag!r} and {self.report_check!r}"
            )
        if not 1 <= self.fewest_words <= self.most_words:
            raise ValueError(
                f"expected 1 <= fewest_words <= most_words, found {self.fewest_words} and {self.most_words}"
            )
        if self.box_iou is not None and not 0 < self.box_iou <= 1:
            raise ValueError(f"box_iou: expected None or a number above 0 up to 1, found {self.box_iou}")
        if min(self.boxes_in_thought, self.words_before_label) < 0 or self.copied_words < 4 or self.loop_repeats < 2:
            raise ValueError(
                "expected boxes_in_thought >= 0, words_before_label >= 0, copied_words >= 4 and loop_repeats >= 2, "
                f"found {self}"
            )

    @classmethod
    def for_variant(cls, variant: Variant) -> FilterSettings:
        """A teacher that saw the truth must write it back; one that did not must agree with it."""
        return cls() if variant == "with_truth" else cls(report_check="findings", box_iou=0.5)


@dataclass(frozen=True)
class Trace:
    """A reply of a teacher about an example."""

    text: str
    example: Example
    settings: FilterSettings = FilterSettings()
    labeller: Labeller = label_report

    @cached_property
    def thought(self) -> str:
        """What stands before the last ``</think>``, without the tags."""
        return split_thought(self.text, thinking=True).thought

    @cached_property
    def response(self) -> str:
        """What stands after it; empty if nothing does."""
        return split_thought(self.text, thinking=True).response or ""

    @cached_property
    def plain_thought(self) -> str:
        """The thought on one line, with single spaces and plain apostrophes."""
        return plain(self.thought)

    @cached_property
    def words(self) -> list[str]:
        """The words of the thought, in lower case."""
        return words_of(self.thought)


def plain(text: str) -> str:
    """A text on one line, with single spaces, plain dashes and apostrophes."""
    return " ".join(text.translate(_DASHES_AND_APOSTROPHES).split())


def words_of(text: str) -> list[str]:
    """Words and numbers in lower case; punctuation is left out.

    >>> words_of("Its width is 0.61, wide.")
    ['its', 'width', 'is', '0.61', 'wide']
    """
    return _WORD.findall(text.translate(_DASHES_AND_APOSTROPHES).lower())
