"""Checks of notebook 03: which completion has a response, what a floor does to a group, which thought betrays."""

from __future__ import annotations

from typing import Any

from radvlm_course.exercises import Check

__all__ = ["CHECKS"]


def responses(answer: Any) -> str | None:
    """A and D: what follows the last tag. B was cut off, C ends with the tag."""
    try:
        letters = {str(letter).strip().upper() for letter in answer} - {"", ","}
    except TypeError:
        return "Expected letters, such as 'AB' or ['A', 'B']."
    if not letters <= set("ABCD"):
        return "Expected letters among A, B, C and D."
    if letters == {"A", "D"}:
        return None
    if "B" in letters:
        return "B never closes its thought: there is nothing after a </think>, however good the text looks."
    if "C" in letters:
        return "C closes its thought, and then nothing follows."
    if "D" not in letters:
        return "D has two closing tags. What follows the last one counts."
    return "A closes its thought and goes on."


def floor(answer: Any) -> str | None:
    """-1.0, -1.2, -0.8 and one cut completion at -3: mean -1.5, deviation 1.013, best (-0.8 + 1.5) / 1.013 = 0.69."""
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return "Expected one number, the advantage of the rollout that earned -0.8."
    if abs(value - 0.691) < 0.006:
        return None
    hints = {
        0.7: "That is the distance from the mean, -0.8 - (-1.5). Divide by the standard deviation.",
        0.798: "Almost: you divided the sum of squares by n = 4. The trainer divides by n - 1 = 3.",
        1.0: "That is its advantage among the three whole answers alone. The cut one is in the group too.",
        -0.691: "Right size, wrong sign: it is the best of its group.",
    }
    for wrong, hint in hints.items():
        if abs(value - wrong) < 0.006:
            return hint
    return "Mean of -1.0, -1.2, -0.8 and -3.0; squares of the distances; divide by 3; root. Then (-0.8 - mean) / it."


def betrayal(answer: Any) -> str | None:
    """C speaks of what it was given."""
    letter = str(answer).strip().strip("\"'.").upper()
    hints = {
        "A": "A measures, compares with a limit and concludes. That is what a thought is for.",
        "B": "B names a finding and denies it, after looking. Nothing in it was known beforehand.",
        "D": "D doubts, which is allowed. It does not say that it knew.",
    }
    return None if letter == "C" else hints.get(letter, "Expected one letter: A, B, C or D.")


CHECKS: dict[str, Check] = {"03.1": responses, "03.2": floor, "03.3": betrayal}
