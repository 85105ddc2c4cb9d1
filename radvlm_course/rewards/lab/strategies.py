"""Ways to write reports that a policy could fall into: an honest reader who errs, and three that game a reward.

A policy cannot write the candidates of :mod:`radvlm_course.rewards.lab.candidates`: they are made from the reference.
What it can do is read the film as well as it is able to (``honest``), and then report what it read, or less, or more,
or not look at all. A reward under which one of the others earns more than ``honest`` will be gamed in that way.

The reader is simulated: it misses, mirrors, misgrades and makes up findings with given probabilities, and its report
is worded by the phantoms' grammar. Nothing is trained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from radvlm_course.phantoms.film import Film
from radvlm_course.phantoms.findings import BOTH_SIDES, FINDINGS
from radvlm_course.phantoms.reports import LUNG_FINDINGS, Clause, join_clauses, wordings, write_report
from radvlm_course.phantoms.shapes import Lesion
from radvlm_course.rewards.facts import report_facts
from radvlm_course.rewards.lab.candidates import GRADES, OTHER_SIDE, random_lesion

__all__ = ["Chances", "Reader", "everything_at_once", "sentence_chances", "sentence_key", "surest_first"]

Chances = Mapping[tuple[tuple[str, ...], int], float]
"""(findings, value) of a sentence -> how likely it is right, 0 to 1."""


@dataclass(frozen=True)
class Reader:
    """How an imperfect reader errs; each a probability.

    Attributes:
        miss: a lesion is not seen.
        wrong_side: one that is seen is put on the other side.
        wrong_grade: it is given a grade at random.
        made_up: a finding that is absent is seen all the same.
    """

    miss: float
    wrong_side: float
    wrong_grade: float
    made_up: float

    @classmethod
    def erring(cls, rate: float) -> Reader:
        """A reader of one error rate, 0 to 1: it misses and misgrades this share, mirrors half of it, makes up a fifth.

        Raises:
            ValueError: the rate is no share.
        """
        return cls(miss=rate, wrong_side=rate / 2, wrong_grade=rate, made_up=rate / 5)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"reader: expected {name} within 0 and 1, found {value}")

    def report(self, film: Film, rng: np.random.Generator) -> tuple[Clause, ...]:
        """What this reader writes of a film, as clauses in the order written."""
        return write_report(self._read(film.case.lesions, rng), rng)[1]

    def _read(self, lesions: Sequence[Lesion], rng: np.random.Generator) -> list[Lesion]:
        seen = [self._seen(lesion, rng) for lesion in lesions if rng.random() >= self.miss]
        absent = [finding for finding in FINDINGS if finding not in {lesion.finding for lesion in lesions}]
        seen += [random_lesion(finding, rng) for finding in absent if rng.random() < self.made_up]
        return list({(lesion.finding, lesion.side): lesion for lesion in seen}.values())  # one a side, as in films

    def _seen(self, lesion: Lesion, rng: np.random.Generator) -> Lesion:
        if rng.random() < self.wrong_side:
            lesion = replace(lesion, side=OTHER_SIDE[lesion.side])
        if rng.random() < self.wrong_grade and lesion.finding in GRADES:
            lesion = replace(lesion, severity=str(rng.choice(GRADES[lesion.finding])))
        return lesion


def everything_at_once() -> str:
    """Every finding affirmed, on both sides where it has sides, and every finding denied: no reader, and no film."""
    affirmed = []
    for finding in FINDINGS:
        sides = ("right", "left") if finding in BOTH_SIDES or finding == "pneumothorax" else ("left",)
        for side in sides:
            lesion = replace(random_lesion(finding, np.random.default_rng(0)), side=side)
            clause = Clause("", (finding,), 1)
            affirmed.append(replace(clause, text=wordings(clause, [lesion])[0]))
    denied = [
        Clause(wordings(Clause("", group, 0))[0], group, 0)
        for group in (("cardiomegaly",), LUNG_FINDINGS, ("pleural effusion", "pneumothorax"))
    ]
    return join_clauses([*affirmed, *denied])


def sentence_key(clause: Clause) -> tuple[tuple[str, ...], int]:
    """What a sentence is about and whether it affirms, whatever its wording."""
    return clause.findings, clause.value


def sentence_chances(reports: Iterable[tuple[Sequence[Clause], str]]) -> dict[tuple[tuple[str, ...], int], float]:
    """How often sentences of each kind were right: the mean share of their facts that the reference states.

    Args:
        reports: (clauses, reference) pairs. Kinds of sentence that occur rarely are drawn towards one half.
    """
    shares: dict[tuple[tuple[str, ...], int], list[float]] = defaultdict(list)
    for clauses, reference in reports:
        true = report_facts(reference)
        for clause in clauses:
            if stated := report_facts(clause.text):
                shares[sentence_key(clause)].append(len(stated & true) / len(stated))
    return {key: (sum(found) + 1) / (len(found) + 2) for key, found in shares.items()}


def surest_first(clauses: Sequence[Clause], chances: Chances) -> list[Clause]:
    """The clauses from the likeliest to the least likely to be right; those that state nothing come last."""
    return sorted(clauses, key=lambda clause: -chances.get(sentence_key(clause), 0.0))
