"""Checks of notebook 06: two readings of mAP, a paired difference, a resample by patient, AP without a ranking."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from radvlm_course.exercises import Check

__all__ = ["CHECKS"]

_BEFORE = ({"a": 0.2, "b": 0.9, "c": 0.4}, {"a": 0.5, "b": 0.7, "c": 0.9})
_EXPECTED = 0.2
_BOXES = ((6, 12, 10), (5, 5, 10), (0, 4, 3), (0, 0, 3), (7, 9, 7))  # right, written, true
_PATIENTS = ("p1", "p1", "p1", "p2", "p3", "p3", "p4", "p4", "p4", "p4")


def two_readings(answer: Any) -> str | None:
    """12 of 20 hits, one box on each side: 0.6 and 0.36."""
    try:
        paper, corrected = (float(value) for value in answer)
    except (TypeError, ValueError):
        return "Expected two numbers, such as (0.5, 0.25)."
    if abs(paper - 0.36) < 0.005 and abs(corrected - 0.6) < 0.005:
        return "Right numbers, wrong order: first paper-compatible, then corrected."
    if abs(paper - 0.6) > 0.005:
        return "Paper-compatible: each film has its own AP, 1 for a hit and 0 for a miss. Take the mean over films."
    if abs(corrected - 0.6) < 0.005:
        return "Corrected is precision times recall, over all films together. What are the two?"
    if abs(corrected - 0.36) > 0.005:
        return "12 of 20 written boxes are right, and 12 of 20 true boxes are found. Multiply."
    return None


def _rows(values: dict[str, float], order: str) -> list[dict[str, Any]]:
    return [{"example_id": name, "soft_f1": values[name]} for name in order]


def paired_difference(answer: Any) -> str | None:
    """Mean of after - before over the same examples, whatever their order; a ValueError otherwise."""
    if not callable(answer):
        return "Expected a function of (before, after)."
    first, second = _BEFORE
    try:
        value = float(answer(_rows(first, "abc"), _rows(second, "cab")))
    except Exception as error:
        return f"Your function failed: {type(error).__name__}: {error}"
    if abs(value + _EXPECTED) < 1e-9:
        return "The sign is turned round: after minus before."
    if abs(value - _EXPECTED * 3) < 1e-9:
        return "This is the sum of the differences. Divide by their number."
    if abs(value - _EXPECTED) > 1e-9:
        return f"Expected {_EXPECTED} for three rows, found {value:.3f}. Pair the rows by example_id, not by position."
    return _refuses_other_examples(answer)


def _refuses_other_examples(answer: Callable[..., Any]) -> str | None:
    first, second = _BEFORE
    try:
        answer(_rows(first, "abc"), _rows(second, "ab"))
    except ValueError:
        return None
    except Exception as error:
        return f"For other examples it must raise a ValueError that says so; it raised {type(error).__name__}."
    return "One of the two has fewer examples, and your function does not mind. It must raise a ValueError."


def resample(answer: Any) -> str | None:
    """As many patients as there are, with replacement, each with all films."""
    if not callable(answer):
        return "Expected a function of (patients, rng)."
    draws = []
    for seed in range(40):
        try:
            draws.append([int(index) for index in answer(list(_PATIENTS), random.Random(seed))])
        except Exception as error:
            return f"Your function failed: {type(error).__name__}: {error}"
    if any(not 0 <= index < len(_PATIENTS) for drawn in draws for index in drawn):
        return f"Expected indices of films, 0 to {len(_PATIENTS) - 1}."
    for drawn in draws:
        if (hint := _whole_patients(drawn)) is not None:
            return hint
    if all(max(Counter(drawn).values()) == 1 for drawn in draws):
        return "No patient is ever drawn twice: draw with replacement (rng.choices, not rng.sample)."
    if len({tuple(sorted(drawn)) for drawn in draws}) < 5:
        return "Forty seeds give nearly the same resample: use the rng that you are given."
    return _fair(draws)


def _whole_patients(drawn: list[int]) -> str | None:
    count = Counter(drawn)
    times = {}
    for patient in set(_PATIENTS):
        own = {count[index] for index, name in enumerate(_PATIENTS) if name == patient}
        if len(own) > 1:
            return f"Films of {patient} were torn apart: a drawn patient comes with all of their films."
        times[patient] = own.pop()
    if sum(times.values()) != len(times):
        return (
            f"Expected {len(times)} draws of patients, one for each patient that there is, found {sum(times.values())}."
        )
    return None


def _fair(draws: list[list[int]]) -> str | None:
    """Whether a patient with many films is drawn as often as one with few."""
    many = sum(Counter(drawn)[_PATIENTS.index("p4")] for drawn in draws) / len(draws)
    few = sum(Counter(drawn)[_PATIENTS.index("p2")] for drawn in draws) / len(draws)
    if many > 2 * few:
        return "Patients with many films are drawn more often. Draw from the distinct patients."
    return None


def rankings(answer: Any) -> str | None:
    """Without confidences AP lies between precision x recall (wrong boxes first) and recall (right ones first)."""
    if not callable(answer):
        return "Expected a function of (right, written, true)."
    for right, written, true in _BOXES:
        try:
            low, high = (float(value) for value in answer(right, written, true))
        except ZeroDivisionError:
            return f"Your function divides by zero for {written} written boxes: who writes nothing finds nothing."
        except Exception as error:
            return f"Your function failed: {type(error).__name__}: {error}. It must return two numbers."
        if (hint := _ranking_hint(low, high, right, written, true)) is not None:
            return f"For {right} right of {written} written and {true} true boxes: {hint}"
    return None


def _ranking_hint(low: float, high: float, right: int, written: int, true: int) -> str | None:
    recall = right / true
    lowest = recall * right / written if written else 0.0
    if abs(low - lowest) < 1e-6 and abs(high - recall) < 1e-6:
        return None
    if abs(high - lowest) < 1e-6 and abs(low - recall) < 1e-6:
        return "right numbers, wrong order: first the lowest."
    if abs(high - recall) > 1e-6:
        return "with all right boxes first, precision is 1 up to the last of them. At which recall does the curve end?"
    if abs(low) < 1e-6:
        return "with all wrong boxes first the curve is not 0: it ends at the precision of the whole list."
    return (
        "with all wrong boxes first, precision rises with every right box, and each recall counts the best one beyond."
    )


CHECKS: dict[str, Check] = {"06.1": two_readings, "06.2": paired_difference, "06.3": resample, "06.4": rankings}
