"""The grammar that writes a phantom's report.

One short sentence a finding, with severity, side and zone; the usual negatives (heart, pleura, lungs) always, others
rarely; a normal film gets a normal report. Synonyms and the order of the sentences vary, the vocabulary stays small
(a test counts it) and a report has about 12 to 45 words, so that a tiny model can learn to write it.

The first wording of each list is the commonest. Left out on purpose: comparison with earlier films, recommendations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from radvlm_course.phantoms.findings import FINDINGS
from radvlm_course.phantoms.shapes import Lesion

__all__ = ["LUNG_FINDINGS", "Clause", "join_clauses", "wordings", "write_report"]

Option = TypeVar("Option")

UNCERTAIN_SHARE = 0.06
_ADVERBS = {"mild": "mildly", "moderate": "moderately", "severe": "severely"}
_RANK = {name: rank for rank, name in enumerate(["mild", "small", "moderate", "severe", "large"])}
LUNG_FINDINGS = ("consolidation", "nodule", "atelectasis", "edema")
_GROUPS = {
    "heart": ("cardiomegaly",),
    "lungs": LUNG_FINDINGS,
    "pleura": ("pleural effusion", "pneumothorax"),
    "devices": ("support devices",),
}
_ORDERS = (
    ("heart", "lungs", "pleura", "devices"),
    ("lungs", "pleura", "heart", "devices"),
    ("devices", "heart", "lungs", "pleura"),
)


@dataclass(frozen=True)
class Clause:
    """One sentence of a report, without its full stop, in lower case.

    Attributes:
        text: as written in the report, but for the capital letter.
        findings: what it speaks of.
        value: 1 affirms, 0 denies, -1 affirms with doubt.
    """

    text: str
    findings: tuple[str, ...]
    value: int


def write_report(lesions: Sequence[Lesion], rng: np.random.Generator) -> tuple[str, tuple[Clause, ...]]:
    """Write the report of a film with these lesions.

    Returns:
        The report, and its clauses in the order written.
    """
    present: dict[str, list[Lesion]] = {}
    for finding in FINDINGS:
        if found := [lesion for lesion in lesions if lesion.finding == finding]:
            present[finding] = _as_read(found)
    groups: dict[str, list[Clause]] = {name: [] for name in _GROUPS}
    for finding, found in present.items():
        group = next(name for name, members in _GROUPS.items() if finding in members)
        groups[group].append(_positive(finding, found, rng))
    for group, clauses in _negatives(set(present), rng).items():
        groups[group] += clauses
    order = _choose(rng, _ORDERS)
    clauses = [clause for name in order for clause in groups[name]]
    if not present and rng.random() < 0.5:
        summary = _denial((), rng)
        clauses.insert(0 if rng.random() < 0.5 else len(clauses), summary)
    return join_clauses(clauses), tuple(clauses)


def join_clauses(clauses: Sequence[Clause]) -> str:
    """Clauses as the sentences of a report."""
    return " ".join(clause.text[0].upper() + clause.text[1:] + "." for clause in clauses)


def wordings(clause: Clause, lesions: Sequence[Lesion] = ()) -> tuple[str, ...]:
    """Every way in which the grammar says what a clause says, the commonest first.

    Forms do not depend on side and zone: the n-th wordings of a film and of its mirror image differ in these alone.

    Args:
        lesions: those of the film; a denial needs none.
    """
    if clause.value == 0:
        return _DENIALS[clause.findings]
    found = [lesion for lesion in lesions if lesion.finding == clause.findings[0]]
    phrases = _PHRASES[clause.findings[0]](_as_read(found))
    return phrases if clause.value == 1 else (f"possible {phrases[0]}",)


def _as_read(found: Sequence[Lesion]) -> list[Lesion]:
    """The patient's right first."""
    return sorted(found, key=lambda lesion: lesion.side, reverse=True)


def _choose(rng: np.random.Generator, options: Sequence[Option]) -> Option:
    """One of the options; the first is about twice as likely as each later one."""
    weights = np.ones(len(options))
    weights[0] = 2.0
    return options[int(rng.choice(len(options), p=weights / weights.sum()))]


# -- what is present -----------------------------------------------------------------------------------------------


def _positive(finding: str, found: list[Lesion], rng: np.random.Generator) -> Clause:
    phrases = _PHRASES[finding](found)
    slight = all(lesion.severity in ("", "mild", "small", "nodule", "linear") for lesion in found)
    if slight and finding != "support devices" and rng.random() < UNCERTAIN_SHARE:
        return Clause("possible " + phrases[0], (finding,), -1)
    return Clause(_choose(rng, phrases), (finding,), 1)


def _grade(found: list[Lesion]) -> str:
    return max((lesion.severity for lesion in found), key=lambda severity: _RANK[severity])


def _cardiomegaly(found: list[Lesion]) -> tuple[str, ...]:
    grade = found[0].severity
    adverb = _ADVERBS[grade]
    return (f"{grade} cardiomegaly", f"the heart is {adverb} enlarged", f"{adverb} enlarged cardiac silhouette")


def _effusion(found: list[Lesion]) -> tuple[str, ...]:
    if len(found) == 1:
        grade, side = found[0].severity, found[0].side
        effusion = f"{grade} {side} pleural effusion"
        return effusion, f"there is a {effusion}", f"{grade} pleural effusion on the {side}"
    if found[0].severity == found[1].severity:
        effusions = f"{found[0].severity} bilateral pleural effusions"
        return effusions, f"there are {effusions}"
    larger = max(found, key=lambda lesion: _RANK[lesion.severity])
    return (f"bilateral pleural effusions, larger on the {larger.side}",)


def _pneumothorax(found: list[Lesion]) -> tuple[str, ...]:
    grade, side = found[0].severity, found[0].side
    pneumothorax = f"{grade} {side} pneumothorax"
    return pneumothorax, f"there is a {pneumothorax}", f"{grade} pneumothorax on the {side}"


def _places(found: list[Lesion]) -> str:
    if len(found) == 1:
        return f"{found[0].side} {found[0].zone} lung"
    return " and ".join(f"{lesion.side} {lesion.zone}" for lesion in found) + " lungs"


def _consolidation(found: list[Lesion]) -> tuple[str, ...]:
    placed = f"consolidation in the {_places(found)}"
    if len(found) > 1:
        return placed, f"bilateral {placed}"
    return placed, f"there is {placed}", f"{found[0].side} {found[0].zone} lung consolidation"


def _nodule(found: list[Lesion]) -> tuple[str, ...]:
    names = {lesion.severity for lesion in found}
    if len(found) == 1:
        name, place = found[0].severity, _places(found)
        return f"{name} in the {place}", f"there is a {name} in the {place}", f"{place} {name}"
    if len(names) == 1:
        plural = {"nodule": "nodules", "mass": "masses"}[names.pop()]
        return f"{plural} in the {_places(found)}", f"bilateral lung {plural}"
    return (" and ".join(f"{lesion.severity} in the {_places([lesion])}" for lesion in found),)


def _atelectasis(found: list[Lesion]) -> tuple[str, ...]:
    kinds = {lesion.severity for lesion in found}
    name = f"{kinds.pop()} atelectasis" if len(kinds) == 1 else "atelectasis"
    placed = f"{name} in the {_places(found)}"
    if len(found) > 1:
        return placed, f"bilateral {name}"
    return placed, f"there is {placed}", f"{found[0].side} {found[0].zone} lung atelectasis"


def _edema(found: list[Lesion]) -> tuple[str, ...]:
    grade = _grade(found)
    if len(found) > 1:
        return f"{grade} pulmonary edema", f"there is {grade} pulmonary edema", f"{grade} edema in both lungs"
    side = found[0].side
    return f"{grade} edema in the {side} lung", f"{grade} {side} pulmonary edema"


def _devices(found: list[Lesion]) -> tuple[str, ...]:
    side, kind = found[0].side, found[0].kind
    if kind == "pacemaker":
        return f"{side} chest pacemaker with lead", f"{side} pacemaker in place", f"pacemaker on the {side}"
    return f"{side} chest tube in place", f"there is a {side} chest tube", f"chest tube on the {side}"


_PHRASES = {
    "cardiomegaly": _cardiomegaly,
    "pleural effusion": _effusion,
    "pneumothorax": _pneumothorax,
    "consolidation": _consolidation,
    "nodule": _nodule,
    "atelectasis": _atelectasis,
    "edema": _edema,
    "support devices": _devices,
}


# -- what is absent ------------------------------------------------------------------------------------------------

_DENIALS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("cardiomegaly",): ("the heart size is normal", "the heart is not enlarged", "the cardiac silhouette is normal"),
    LUNG_FINDINGS: ("the lungs are clear",),
    ("consolidation", "edema"): ("no consolidation or edema",),
    ("consolidation",): ("there is no consolidation", "no focal consolidation"),
    ("edema",): ("no pulmonary edema",),
    ("nodule",): ("no nodule or mass",),
    ("pleural effusion", "pneumothorax"): (
        "there is no pleural effusion or pneumothorax",
        "no pneumothorax or pleural effusion",
    ),
    ("pleural effusion",): ("there is no pleural effusion", "no pleural effusion is seen"),
    ("pneumothorax",): ("there is no pneumothorax", "no pneumothorax is seen"),
    (): ("normal chest radiograph", "no acute abnormality"),
}


def _denial(findings: tuple[str, ...], rng: np.random.Generator) -> Clause:
    options = _DENIALS[findings]
    return Clause(options[0] if len(options) == 1 else _choose(rng, options), findings, 0)


def _negatives(present: set[str], rng: np.random.Generator) -> dict[str, list[Clause]]:
    """Group -> its negative clauses."""
    heart = [] if "cardiomegaly" in present else [_denial(("cardiomegaly",), rng)]
    return {"heart": heart, "lungs": _negative_lungs(present, rng), "pleura": _negative_pleura(present, rng)}


def _negative_lungs(present: set[str], rng: np.random.Generator) -> list[Clause]:
    if not present & set(LUNG_FINDINGS):
        return [_denial(LUNG_FINDINGS if rng.random() < 0.7 else ("consolidation", "edema"), rng)]
    clauses = [] if "consolidation" in present else [_denial(("consolidation",), rng)]
    for finding in ("edema", "nodule"):
        if finding not in present and len(present) <= 3 and rng.random() < 0.15:
            clauses.append(_denial((finding,), rng))
    return clauses


def _negative_pleura(present: set[str], rng: np.random.Generator) -> list[Clause]:
    absent = tuple(finding for finding in _GROUPS["pleura"] if finding not in present)
    return [_denial(absent, rng)] if absent else []
