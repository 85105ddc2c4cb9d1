"""Reports that somebody might write instead of one film's reference, each with one thing right or wrong by name.

All are made for a phantom by the grammar that wrote its reference, sentence by sentence: another wording of the same
lesions (paraphrase), the same wording of mirrored or graded lesions (wrong side, changed severity), a sentence less or
more. Only the flipped negation edits words, since the grammar never denies what is there. The labeller of the phantoms
reads in each what its name promises.

:data:`KINDS` says what each is; a film lacks the kinds that it has no finding for (a normal one has no side to swap).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from radvlm_course.phantoms.film import Film
from radvlm_course.phantoms.findings import FINDINGS
from radvlm_course.phantoms.labeller import label_report
from radvlm_course.phantoms.reports import LUNG_FINDINGS, Clause, join_clauses, wordings
from radvlm_course.phantoms.shapes import Lesion

__all__ = ["GRADES", "KINDS", "OTHER_SIDE", "KindOfReport", "make_candidates", "normal_report", "random_lesion"]

GRADES = {
    "cardiomegaly": ("mild", "moderate", "severe"),
    "edema": ("mild", "moderate", "severe"),
    "pleural effusion": ("small", "moderate", "large"),
    "pneumothorax": ("small", "moderate", "large"),
    "nodule": ("nodule", "mass"),
}
_SHAPES = {"atelectasis": ("linear", "segmental")}
OTHER_SIDE = {"left": "right", "right": "left", "": ""}


@dataclass(frozen=True)
class KindOfReport:
    """What a candidate of this name is.

    Attributes:
        says: how it comes about, in a few words.
        right: whether a reader would accept it.
    """

    says: str
    right: bool = False


KINDS = {
    "reference": KindOfReport("the reference itself", right=True),
    "paraphrase": KindOfReport("every sentence in other words", right=True),
    "sentence added": KindOfReport("the reference and a finding that is not there"),
    "flipped negation": KindOfReport("one finding denied (normal film: affirmed)"),
    "wrong side": KindOfReport("one finding put on the other side"),
    "changed severity": KindOfReport("one finding graded as the opposite"),
    "omission": KindOfReport("one finding not mentioned"),
    "normal for all": KindOfReport("one normal report for every film"),
    "empty": KindOfReport("no text at all"),
}


def make_candidates(film: Film, rng: np.random.Generator) -> dict[str, str]:
    """Candidate reports for a film, by kind, in the order of :data:`KINDS`.

    Args:
        film: ``phantoms.film.plan_film``; its report is the reference.
        rng: chooses among wordings, and the finding that is added.
    """
    clauses, lesions = film.clauses, film.case.lesions
    affirmed = sorted((clause for clause in clauses if clause.value), key=lambda clause: -clause.value)
    made: dict[str, str | None] = {
        "reference": film.report,
        "paraphrase": join_clauses([_reworded(clause, lesions, rng) for clause in clauses]),
        "sentence added": _with_finding_added(film, rng),
        "flipped negation": _first_changed(film, affirmed or clauses, _flipped),
        "wrong side": _first_changed(film, affirmed, lambda clause: _rewritten(clause, lesions, _mirrored)),
        "changed severity": _first_changed(film, affirmed, lambda clause: _rewritten(clause, lesions, _regraded)),
        "omission": join_clauses([c for c in clauses if c is not affirmed[0]]) if affirmed else None,
        "normal for all": normal_report(),
        "empty": "",
    }
    return {kind: text for kind, text in made.items() if text is not None}


def normal_report() -> str:
    """The report of "normal for all": the grammar's commonest wording of a film without findings."""
    summary = Clause("no acute abnormality", (), 0)
    groups = (("cardiomegaly",), LUNG_FINDINGS, ("pleural effusion", "pneumothorax"))
    return join_clauses([summary, *(Clause(wordings(Clause("", group, 0))[0], group, 0) for group in groups)])


def random_lesion(finding: str, rng: np.random.Generator) -> Lesion:
    """A lesion in name only, to be worded and never drawn: side, zone and grade at random."""
    side = "" if finding == "cardiomegaly" else str(rng.choice(["left", "right"]))
    zone = str(rng.choice(["upper", "mid", "lower"]))
    names = (GRADES | _SHAPES).get(finding)
    severity = str(rng.choice(names)) if names else ""
    kind = str(rng.choice(["pacemaker", "chest tube"])) if finding == "support devices" else ""
    return Lesion(finding, side, zone, severity, kind)


def _reworded(clause: Clause, lesions: Sequence[Lesion], rng: np.random.Generator) -> Clause:
    others = [text for text in wordings(clause, lesions) if text != clause.text]
    return replace(clause, text=str(rng.choice(others))) if others else clause


def _with_finding_added(film: Film, rng: np.random.Generator) -> str:
    """The report and an absent finding: one that it does not mention or, if it mentions all, one that it denies."""
    labels = label_report(film.report)
    absent = [finding for finding in FINDINGS if finding not in labels]
    absent = absent or [finding for finding, value in labels.items() if value == 0]
    finding = str(rng.choice(absent))
    clause = Clause("", (finding,), 1)
    text = str(rng.choice(wordings(clause, [random_lesion(finding, rng)])))
    return join_clauses([*film.clauses, replace(clause, text=text)])


def _first_changed(film: Film, clauses: Sequence[Clause], change: Callable[[Clause], str | None]) -> str | None:
    """The report with the first of these clauses that ``change`` gives another text to; None if there is none."""
    for clause in clauses:
        text = change(clause)
        if text is not None and text != clause.text:
            return join_clauses([replace(c, text=text) if c is clause else c for c in film.clauses])
    return None


def _rewritten(
    clause: Clause, lesions: Sequence[Lesion], change: Callable[[list[Lesion]], list[Lesion] | None]
) -> str | None:
    """The clause in the same form for changed lesions; None if they have no such form."""
    changed = change([lesion for lesion in lesions if lesion.finding == clause.findings[0]])
    if changed is None:
        return None
    before, after = wordings(clause, lesions), wordings(clause, changed)
    return after[before.index(clause.text)] if len(before) == len(after) else None


def _mirrored(lesions: list[Lesion]) -> list[Lesion] | None:
    """A finding of one side on the other; None if it is on both."""
    if len(lesions) > 1:
        return None
    return [replace(lesion, side=OTHER_SIDE[lesion.side]) for lesion in lesions]


def _regraded(lesions: list[Lesion]) -> list[Lesion] | None:
    """The opposite of the worst grade for all lesions of a finding; None if they have no grade."""
    grades = GRADES.get(lesions[0].finding)
    if grades is None:
        return None
    worst = max((lesion.severity for lesion in lesions), key=grades.index)
    return [replace(lesion, severity=grades[0] if worst == grades[-1] else grades[-1]) for lesion in lesions]


def _flipped(clause: Clause) -> str | None:
    """The sentence denied, or, of a denial, affirmed; None if that takes more than a small word."""
    text = clause.text
    if clause.value:
        text = text.removeprefix("possible ")
        denied = re.sub(r"\bthere (is|are) (a )?", r"there \1 no ", text)
        denied = re.sub(r"\bis \w+ enlarged", "is not enlarged", denied)
        return denied if denied != text else f"no {text}"
    return re.sub(r"\b(no|not) ", "", text) if clause.findings else None
