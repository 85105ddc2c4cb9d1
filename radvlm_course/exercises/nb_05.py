"""Checks of notebook 05: advantages by hand, the reward of two boxes, which group pushes hardest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from radvlm_course.exercises import Check

__all__ = ["CHECKS"]

_ADVANTAGES = (1.162, 0.387, -0.387, -1.162)


def advantages(answer: Any) -> str | None:
    """0.8, 0.6, 0.4, 0.2: mean 0.5, deviation 0.258."""
    try:
        values = [float(value) for value in answer]
    except (TypeError, ValueError):
        return "Expected four numbers, in the order of the rewards, such as [1.0, 0.5, -0.5, -1.0]."
    if len(values) != 4:
        return f"Expected four numbers, one for each rollout, found {len(values)}."
    if _near(values, _ADVANTAGES):
        return None
    if _near(values, (0.3, 0.1, -0.1, -0.3)):
        return "These are the distances from the mean. Now divide by the standard deviation."
    if _near(values, (1.342, 0.447, -0.447, -1.342)):
        return "Almost: you divided the sum of squares by n = 4. The trainer divides by n - 1 = 3."
    if _near(values, (6.0, 2.0, -2.0, -6.0), 0.1) or _near(values, (4.5, 1.5, -1.5, -4.5), 0.1):
        return "You divided by the variance. Take its square root first."
    if _near(values[::-1], _ADVANTAGES):
        return "Right numbers, wrong way round: the best rollout gets the positive advantage."
    if abs(sum(values)) > 0.05:
        return "Advantages of a group add up to zero; yours do not. Is the mean 0.5?"
    return "The mean is 0.5; the squares of the distances are 0.09, 0.01, 0.01, 0.09. Add, divide by 3, take the root."


def two_boxes(answer: Any) -> str | None:
    """IoU 0.5 for the first box, a stray second one: 2 * 0.5 / (2 + 1)."""
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return "Expected one number between 0 and 1."
    if abs(value - 1 / 3) < 0.006:
        return None
    hints = {
        0.5: "0.5 is the IoU of the first box alone. The stray box costs something: it counts in the denominator.",
        0.25: "That is the mean IoU of the two predictions. soft-F1 divides twice the sum by predicted + true.",
        0.4: "That is the formula of the published code. Here: twice the summed IoU over predicted + true.",
        2 / 3: "The first box covers only half of the true one: its IoU is not 1.",
        1 / 6: "Twice the summed IoU goes into the numerator.",
    }
    for wrong, hint in hints.items():
        if abs(value - wrong) < 0.006:
            return hint
    return "Areas: the truth 0.16, the first box 0.08, all of it inside. IoU first, then 2 * sum / (2 + 1)."


def strongest_push(answer: Any) -> str | None:
    """One success among failures: (0.3 - 0.075) / 0.15 = 1.5."""
    letter = str(answer).strip().strip("\"'.").upper()
    hints = {
        "A": "All rewards are equal: every advantage is 0, however high the rewards are.",
        "C": "Close to 1.16. Higher rewards do not count as such: the deviation is divided out. Is there a group "
        "in which one rollout stands alone?",
        "D": "Two share the first place, each about 0.87. A rollout that is alone at the top gets more.",
    }
    if letter == "B":
        return None
    return hints.get(letter, "Expected one letter: A, B, C or D.")


def _near(values: Sequence[float], wanted: Sequence[float], tolerance: float = 0.02) -> bool:
    return all(abs(value - other) <= tolerance for value, other in zip(values, wanted, strict=True))


CHECKS: dict[str, Check] = {"05.1": advantages, "05.2": two_boxes, "05.3": strongest_push}
