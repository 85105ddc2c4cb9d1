"""How an answer of GREEN is read: counts of matched findings and of errors, and the score that they give.

The format is the published one (Ostmeier et al. 2024, arXiv 2405.03595): sections in brackets, errors as
``(a) kind: number. names``, matched findings as ``number. names``. An answer without the list of significant errors, or
without the matched findings, cannot be read. The published code counts what is missing as 0: no list of significant
errors then means a perfect 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["KINDS", "GreenJudgement", "parse_green"]

KINDS = ("false finding", "missing finding", "wrong place", "wrong severity", "wrong comparison", "missing comparison")
_SECTION = r"\[{}\]:\s*(.*?)(?:\n\s*\n|\Z)"
_SIGNIFICANT, _INSIGNIFICANT, _MATCHED = (
    re.compile(_SECTION.format(name), re.DOTALL)
    for name in ("Clinically Significant Errors", "Clinically Insignificant Errors", "Matched Findings")
)
_ITEM = re.compile(r"\(([a-f1-6])\) [^\n]*?: (\d+)\.")
_COUNT = re.compile(r"(\d+)\.")


@dataclass(frozen=True)
class GreenJudgement:
    """What GREEN says of one report.

    Attributes:
        significant, insignificant: errors of each of :data:`KINDS`; None where the section is missing.
        matched: matched findings; None where the section is missing.
    """

    significant: tuple[int, ...] | None
    insignificant: tuple[int, ...] | None
    matched: int | None

    @property
    def value(self) -> float | None:
        """GREEN, 0 to 1, higher is better; None if a section that it needs is missing."""
        if self.matched is None or self.significant is None:
            return None
        return self.value_paper

    @property
    def value_paper(self) -> float:
        """The same as the published code reads it: what is missing counts 0."""
        matched, errors = self.matched or 0, sum(self.significant or ())
        return matched / (matched + errors) if matched else 0.0


def parse_green(text: str) -> GreenJudgement:
    """Read an answer; any text is accepted.

    >>> parse_green("[Clinically Significant Errors]:\\n(a) False: 1. Mass\\n\\n[Matched Findings]:\\n3. A; B; C").value
    0.75
    """
    matched = _section(_MATCHED, text)
    count = None if matched is None else _COUNT.match(matched)
    return GreenJudgement(
        significant=_errors(_section(_SIGNIFICANT, text)),
        insignificant=_errors(_section(_INSIGNIFICANT, text)),
        matched=None if matched is None else int(count.group(1)) if count else 0,
    )


def _section(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return None if found is None else found.group(1)


def _errors(section: str | None) -> tuple[int, ...] | None:
    """Errors of each kind, which may be lettered or numbered and in any order; what is not listed is 0."""
    if section is None:
        return None
    counts = [0] * len(KINDS)
    for name, number in _ITEM.findall(section):
        counts["abcdef".find(name) if name.isalpha() else int(name) - 1] = int(number)
    return tuple(counts)
