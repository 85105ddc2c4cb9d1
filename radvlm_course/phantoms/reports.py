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

__all__ = ["Clause", "write_report"]

Option = TypeVar("Option")

UNCERTAIN_SHARE = 0.06
_ADVERBS = {"mild": "mildly", "moderate": "moderately", "severe": "severely"}
_RANK = {name: rank for rank, name in enumerate(["mild", "small", "moderate", "severe", "large"])}
_LUNG_FINDINGS = ("consolidation", "nodule", "atelectasis", "edema")
_GROUPS = {
    "heart": ("cardiomegaly",),
    "lungs": _LUNG_FINDINGS,
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
            present[finding] = sorted(found, key=lambda lesion: lesion.side, reverse=True)  # right first, as read
    groups: dict[str, list[Clause]] = {name: [] for name in _GROUPS}
    for finding, found in present.items():
        group = next(name for name, members in _GROUPS.items() if finding in members)
        groups[group].append(_positive(finding, found, rng))
    for group, clauses in _negatives(set(present), rng).items():
        groups[group] += clauses
    order = _choose(rng, _ORDERS)
    clauses = [clause for name in order for clause in groups[name]]
    if not present and rng.random() < 0.5:
        summary = _choose(rng, ("normal chest radiograph", "no acute abnormality"))
        clauses.insert(0 if rng.random() < 0.5 else len(clauses), Clause(summary, (), 0))
    return " ".join(clause.text[0].upper() + clause.text[1:] + "." for clause in clauses), tuple(clauses)


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


def _negatives(present: set[str], rng: np.random.Generator) -> dict[str, list[Clause]]:
    """Group -> its negative clauses."""
    heart = [] if "cardiomegaly" in present else [_negative_heart(rng)]
    return {"heart": heart, "lungs": _negative_lungs(present, rng), "pleura": _negative_pleura(present, rng)}


def _negative_heart(rng: np.random.Generator) -> Clause:
    wordings = ("the heart size is normal", "the heart is not enlarged", "the cardiac silhouette is normal")
    return Clause(_choose(rng, wordings), ("cardiomegaly",), 0)


def _negative_lungs(present: set[str], rng: np.random.Generator) -> list[Clause]:
    if not present & set(_LUNG_FINDINGS):
        if rng.random() < 0.7:
            return [Clause("the lungs are clear", _LUNG_FINDINGS, 0)]
        return [Clause("no consolidation or edema", ("consolidation", "edema"), 0)]
    clauses = []
    if "consolidation" not in present:
        wordings = ("there is no consolidation", "no focal consolidation")
        clauses.append(Clause(_choose(rng, wordings), ("consolidation",), 0))
    others = [("edema", "no pulmonary edema"), ("nodule", "no nodule or mass")]
    for finding, text in others:
        if finding not in present and len(present) <= 3 and rng.random() < 0.15:
            clauses.append(Clause(text, (finding,), 0))
    return clauses


def _negative_pleura(present: set[str], rng: np.random.Generator) -> list[Clause]:
    effusion, pneumothorax = "pleural effusion" not in present, "pneumothorax" not in present
    if effusion and pneumothorax:
        both = ("there is no pleural effusion or pneumothorax", "no pneumothorax or pleural effusion")
        return [Clause(_choose(rng, both), ("pleural effusion", "pneumothorax"), 0)]
    if effusion:
        return [
            Clause(
                _choose(rng, ("there is no pleural effusion", "no pleural effusion is seen")), ("pleural effusion",), 0
            )
        ]
    if pneumothorax:
        return [Clause(_choose(rng, ("there is no pneumothorax", "no pneumothorax is seen")), ("pneumothorax",), 0)]
    return []
