"""Did the experiments find what the paper found? A verdict on each claim, with its reason in words.

The claims are in :mod:`radvlm_course.experiments.paper_claims`, the rule in :mod:`radvlm_course.experiments.verdicts`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from radvlm_course.experiments.paper_claims import Claim, claims_of
from radvlm_course.experiments.results import Answer, Results
from radvlm_course.experiments.verdicts import LEAST_SEEDS, Finding, check_answers, describe, effect

__all__ = ["VERDICTS", "Judgement", "judge", "judge_claim", "read_aloud"]

Verdict = Literal["reproduced", "not reproduced", "not testable at this size"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "not reproduced", "not testable at this size")


@dataclass(frozen=True)
class Judgement:
    """A claim with its verdict, the reason in words, and what each check found."""

    claim: Claim
    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...] = ()


def judge(results: Results) -> tuple[Judgement, ...]:
    """The verdict on every claim of an experiment.

    Raises:
        KeyError: there are no claims for this experiment, or it lacks a question that a claim needs.
    """
    answers = {answer.question.title: answer for answer in results.answers}
    return tuple(judge_claim(claim, answers) for claim in claims_of(results.experiment))


def judge_claim(claim: Claim, answers: Mapping[str, Answer]) -> Judgement:
    """The verdict on one claim, from the answers by title of their question."""
    if claim.untestable:
        return Judgement(claim, "not testable at this size", claim.untestable)
    findings = tuple(check_answers(check, answers) for check in claim.checks)
    fewest = min(len(answers[check.question].seeds) for check in claim.checks)
    if fewest < LEAST_SEEDS:
        reason = f"expected at least {LEAST_SEEDS} seeds, found {fewest}"
        return Judgement(claim, "not testable at this size", reason, findings)
    if claim.rests_on and not any(effect(answers[title]) == 1 for title in claim.rests_on):
        lacking = "RL itself showed no gain here: " + "; ".join(describe(answers[title]) for title in claim.rests_on)
        return Judgement(claim, "not testable at this size", lacking, findings)
    for outcome, reason in (("opposite", "the opposite is shown"), ("excluded", "an effect of that size is excluded")):
        against = [finding.words for finding in findings if finding.outcome == outcome]
        if against:
            return Judgement(claim, "not reproduced", f"{reason}: {'; '.join(against)}", findings)
    still_open = [finding.words for finding in findings if finding.outcome == "open"]
    if still_open:
        shown = f"{len(findings) - len(still_open)} of {len(findings)} shown; " if len(findings) > 1 else ""
        return Judgement(claim, "not testable at this size", f"{shown}not decided: {'; '.join(still_open)}", findings)
    return Judgement(claim, "reproduced", "; ".join(finding.words for finding in findings), findings)


def read_aloud(results: Results, width: int = 110) -> str:
    """The experiment in words: its question, and each claim with the paper's numbers and the verdict.

    Args:
        width: of a line, in characters.
    """
    lines = [results.title, ""]
    for number, item in enumerate(judge(results), start=1):
        paper = item.claim.paper()
        said = f"{number}. The paper: {item.claim.sentence}{f' [{paper}]' if paper else ''}"
        found = f"   Here: {item.verdict.upper()}. {item.reason[:1].upper()}{item.reason[1:]}."
        lines += [textwrap.fill(text, width, subsequent_indent="   ") for text in (said, found)]
    return "\n".join(lines)
