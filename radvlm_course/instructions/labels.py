"""What a label means: the choices that turn a dataset's labels into the truth of an answer.

Is an uncertain finding present? Is a film without labels normal? Papers answer such questions in passing, in code;
here each is a named option, and the defaults are the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from radvlm_course.records import Study

__all__ = ["PAPER", "LabelSemantics", "present_findings", "targets"]

NO_FINDING = "no finding"


@dataclass(frozen=True)
class LabelSemantics:
    """How labels become answers. The defaults are the paper's.

    Attributes:
        uncertain_as: what a label of -1 means: ``positive`` (the paper), ``negative``, or ``ignore``: the study
            gives no classification and no detection pair, since neither answer would be true.
        unlabelled_as: a study with no label at all is a ``negative`` answer (the paper) or is left out (``skip``).
        unboxed_as: detection on a film with a present finding that has no box: left out (``skip``), or the
            finding is passed over (``ignore``), which teaches an incomplete answer.
    """

    uncertain_as: Literal["positive", "negative", "ignore"] = "positive"
    unlabelled_as: Literal["negative", "skip"] = "negative"
    unboxed_as: Literal["skip", "ignore"] = "skip"

    def __post_init__(self) -> None:
        choices = {
            "uncertain_as": ("positive", "negative", "ignore"),
            "unlabelled_as": ("negative", "skip"),
            "unboxed_as": ("skip", "ignore"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}; found {getattr(self, name)!r}")


PAPER = LabelSemantics()


def present_findings(study: Study, semantics: LabelSemantics = PAPER) -> tuple[str, ...]:
    """The findings that count as present, in alphabetical order. A boxed finding without a label is present."""
    positive = (1, -1) if semantics.uncertain_as == "positive" else (1,)
    labelled = {name for name, value in study.findings.items() if value in positive}
    boxed = {name for name in study.abnormalities if name not in study.findings}
    return tuple(sorted((labelled | boxed) - {NO_FINDING}))


def targets(study: Study, task: str, semantics: LabelSemantics = PAPER) -> tuple[str, ...]:
    """What a task can ask about in a study: names with boxes for grounding, else one empty name.

    Abnormality grounding asks about present findings only.
    """
    if task == "anatomical_grounding":
        return tuple(sorted(name for name, boxes in study.structures.items() if boxes))
    if task == "phrase_grounding":
        return tuple(sorted(phrase for phrase, boxes in study.phrases.items() if boxes))
    if task == "abnormality_grounding":
        present = present_findings(study, semantics)
        return tuple(name for name in present if study.abnormalities.get(name))
    return ("",)
