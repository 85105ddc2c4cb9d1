"""What a label means: the choices that turn a dataset's labels into the truth of an answer.

Is an uncertain finding present? Is a film without labels normal? Papers answer such questions in passing, in code;
here each is a named option, and the defaults are the paper's. Three of them teach what may be false: an uncertain
finding as present, a film whose labels are all blank as normal, and "no finding" beside other labels that say more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from radvlm_course.records import Study

__all__ = ["PAPER", "LabelSemantics", "is_undecided", "present_findings", "targets"]

NO_FINDING, DEVICES = "no finding", "support devices"


@dataclass(frozen=True)
class LabelSemantics:
    """How labels become answers. The defaults are the paper's.

    Attributes:
        uncertain_as: what a label of -1 means: ``positive`` (the paper), ``negative``, or ``ignore``: the study
            gives no classification and no detection pair, since neither answer would be true. A label that
            ``no_finding_as`` makes absent is no longer uncertain.
        unlabelled_as: a study with no label at all is a ``negative`` answer (the paper) or is left out (``skip``).
        no_finding_as: what the label "no finding" = 1 says of the others. ``ignore``: nothing. ``others_absent``: they
            are absent, whatever they say, but for support devices. ``paper``: the latter for CheXpert, the former for
            every other source.
        unboxed_as: detection on a film with a present finding that has no box: left out (``skip``), or the
            finding is passed over (``ignore``), which teaches an incomplete answer.
    """

    uncertain_as: Literal["positive", "negative", "ignore"] = "positive"
    unlabelled_as: Literal["negative", "skip"] = "negative"
    no_finding_as: Literal["paper", "ignore", "others_absent"] = "paper"
    unboxed_as: Literal["skip", "ignore"] = "skip"

    def __post_init__(self) -> None:
        choices = {
            "uncertain_as": ("positive", "negative", "ignore"),
            "unlabelled_as": ("negative", "skip"),
            "no_finding_as": ("paper", "ignore", "others_absent"),
            "unboxed_as": ("skip", "ignore"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}; found {getattr(self, name)!r}")


PAPER = LabelSemantics()


def present_findings(study: Study, semantics: LabelSemantics = PAPER) -> tuple[str, ...]:
    """The findings that count as present, in alphabetical order. A boxed finding without a label is present."""
    positive = (1, -1) if semantics.uncertain_as == "positive" else (1,)
    labelled = {name for name, value in _labels(study, semantics).items() if value in positive}
    boxed = {name for name in study.abnormalities if name not in study.findings}
    return tuple(sorted((labelled | boxed) - {NO_FINDING}))


def is_undecided(study: Study, semantics: LabelSemantics = PAPER) -> bool:
    """Whether a finding is uncertain and ``uncertain_as`` does not say what that means."""
    return semantics.uncertain_as == "ignore" and -1 in _labels(study, semantics).values()


def _labels(study: Study, semantics: LabelSemantics) -> dict[str, int]:
    """Finding -> 1, 0 or -1, after "no finding" has made others absent; without "no finding" itself."""
    overruled = study.findings.get(NO_FINDING) == 1 and _overrules(study, semantics)
    return {
        name: 0 if overruled and name != DEVICES else value
        for name, value in study.findings.items()
        if name != NO_FINDING
    }


def _overrules(study: Study, semantics: LabelSemantics) -> bool:
    """Whether "no finding" makes the other labels of this study absent."""
    if semantics.no_finding_as == "paper":
        return study.source == "chexpert"
    return semantics.no_finding_as == "others_absent"


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
