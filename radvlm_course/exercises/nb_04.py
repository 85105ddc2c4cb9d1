"""Checks of notebook 04: GLEU by hand, reports ranked by GLEU, one token's k3."""

from __future__ import annotations

from typing import Any

from radvlm_course.exercises import Check

__all__ = ["CHECKS", "RANKED_REFERENCE", "RANKED_REPORTS"]

RANKED_REFERENCE = "Small left pleural effusion. The heart size is normal. No pneumothorax is seen."
RANKED_REPORTS = {
    "A": "Normal heart, no pneumothorax, but a little fluid on the left.",
    "B": "Small right pleural effusion. The heart size is normal. No pneumothorax is seen.",
    "C": "The heart size is normal. No pneumothorax is seen.",
    "D": "Normal chest radiograph.",
}
_RANKING = "BCAD"


def gleu_by_hand(answer: Any) -> str | None:
    """Shared: No, effusion, ., "effusion .": 4; totals 6 and 10; 4 / 10."""
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return "Expected one number between 0 and 1."
    hints = {
        4 / 6: "That divides by the 6 runs of the response. GLEU takes the larger total.",
        3 / 4: "That counts single words only. Runs of two, three and four words count too.",
        3 / 10: "Almost: there is one shared run of two words as well.",
        0.5: "Is 'No effusion' a run of the reference? There is a word in between.",
        4 / 16: "Divide by the larger of the two totals, not by their sum.",
    }
    return _number(value, 0.4, 0.006, hints, "Runs: 4 + 3 + 2 + 1 in the reference, 3 + 2 + 1 in the response.")


def ranking(answer: Any) -> str | None:
    """The wrong side keeps nearly every run, the omission two thirds, the paraphrase a few, D next to none."""
    letters = "".join(str(item) for item in answer) if isinstance(answer, (list, tuple)) else str(answer)
    letters = "".join(sign for sign in letters.upper() if sign.isalpha())
    if sorted(letters) != sorted(_RANKING):
        return "Expected each of the letters A, B, C and D once, best first, such as 'ABCD'."
    if letters == _RANKING:
        return None
    if letters[0] == "A":
        return "A says the right thing in other words. GLEU counts equal words in a row: which report has most of them?"
    if letters.index("B") > letters.index("C"):
        return "B differs from the reference in one word; C lacks a whole sentence. GLEU does not know which word."
    if letters.index("D") < letters.index("A"):
        return "D and the reference share the full stop and nothing else. What do A and the reference share?"
    return "Count, roughly, how many words in a row each report shares with the reference."


def k3_of_token(answer: Any) -> str | None:
    """d = log(0.25 / 0.5) = -0.693; exp(d) - d - 1 = 0.5 + 0.693 - 1."""
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return "Expected one number of nats."
    hints = {
        0.693: "That is the plain log-ratio. k3 is exp(d) - d - 1.",
        -0.693: "That is d. Now compute exp(d) - d - 1.",
        0.307: "d is the other way round: log(reference / policy) = log(0.25 / 0.5).",
        0.00193: "That is the token's share of the loss (weight 0.01). The question is about k3 itself.",
        -0.807: "Check the sign of d: minus a negative number.",
        -1.193: "Check the sign of d: exp(d) is 0.5, and minus d is +0.693.",
    }
    return _number(value, 0.193, 0.004, hints, "d = log(0.5) = -0.693 (natural logarithm), exp(d) = 0.5.", 0.0005)


def _number(
    value: float, right: float, tolerance: float, hints: dict[float, str], otherwise: str, closeness: float = 0.006
) -> str | None:
    if abs(value - right) <= tolerance:
        return None
    return next((hint for wrong, hint in hints.items() if abs(value - wrong) <= closeness), otherwise)


CHECKS: dict[str, Check] = {"04.1": gleu_by_hand, "04.2": ranking, "04.3": k3_of_token}
