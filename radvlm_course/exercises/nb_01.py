"""Checks of notebook 01: a box from a delivered table, a test for leaks, and the sizes of a mixture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from radvlm_course.boxes import Box
from radvlm_course.exercises import Check
from radvlm_course.instructions.mixture import TaskAmount
from radvlm_course.instructions.mixture_settings import wanted_counts
from radvlm_course.records import Study

__all__ = ["AVAILABLE", "CHECKS", "NIH_ROW", "SHARES"]

# Exercise 01.1: x, y, width and height in pixels of the released 1024 x 1024 image.
NIH_ROW = (256.0, 192.0, 512.0, 384.0)
# Exercise 01.3: pairs that could be built, and the wanted shares.
AVAILABLE: Mapping[str, int] = {
    "report_generation": 700,
    "abnormality_grounding": 1500,
    "anatomical_grounding": 12_000,
}
SHARES: Mapping[str, float] = {
    "report_generation": 0.35,
    "abnormality_grounding": 0.50,
    "anatomical_grounding": 0.15,
}


def nih_box(answer: Any) -> str | None:
    """``NIH_ROW`` as a Box in unit coordinates."""
    if not isinstance(answer, Box):
        return f"Give a Box, as Box.from_pixels makes one; found {type(answer).__name__}."
    x, y, width, height = NIH_ROW
    right = Box.from_pixels(x, y, x + width, y + height, (1024, 1024))
    if _close(answer, right):
        return None
    if _close(answer, Box.from_pixels(x, y, width, height, (1024, 1024))):
        return "The last two numbers are a width and a height, not a corner: add them to the first two."
    if _close(answer, Box.from_thousandths(x, y, x + width, y + height)):
        return "These are pixels of a 1024 x 1024 image, not thousandths."
    return "Left edge x, top edge y, right edge x + width, bottom edge y + height; then divide by the image's size."


def _close(first: Box, second: Box) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(first.to_list(), second.to_list(), strict=True))


def leaking_patients(answer: Any) -> str | None:
    """A function (train studies, test studies) -> the set of (source, patient_id) that stand in both."""
    if not callable(answer):
        return "Give a function of two lists of studies."
    first, second, third = _study("a", "1"), _study("a", "2"), _study("b", "1")
    cases: tuple[tuple[list[Study], list[Study], set[tuple[str, str]], str], ...] = (
        ([first], [second], set(), "Two different patients of one dataset are no leak."),
        ([first, second], [_study("a", "2", "test")], {("a", "2")}, "Patient 2 of dataset a stands in both lists."),
        ([first], [third], set(), "Patient 1 of dataset a and patient 1 of dataset b are two people: compare both."),
        ([], [first], set(), "An empty list shares nobody."),
        ([first, first], [_study("a", "1", "test")], {("a", "1")}, "A patient with several films counts once."),
    )
    for train, test, expected, hint in cases:
        found = _called(answer, train, test)
        if isinstance(found, str):
            return found
        if found != expected:
            return f"{hint} Expected {expected or 'an empty set'}, found {found or 'an empty set'}."
    return None


def _called(function: Callable[..., Any], train: list[Study], test: list[Study]) -> set[Any] | str:
    """What a reader's function gives, as a set, or a hint."""
    try:
        found = function(train, test)
    except Exception as error:  # whatever a reader's code may raise is an answer to explain
        return f"The function failed: {type(error).__name__}: {error}"
    if not isinstance(found, set | frozenset):
        return f"Return a set of pairs (source, patient_id); found {type(found).__name__}."
    return set(found)


def _study(source: str, patient: str, split: str = "train") -> Study:
    return Study(f"{source}-{patient}.png", (128, 128), patient, f"{source}-{patient}-{split}", source, split)


def mixture_sizes(answer: Any) -> str | None:
    """How many pairs of each task a mixture keeps, given ``AVAILABLE`` and ``SHARES``."""
    if not isinstance(answer, Mapping) or set(answer) != set(AVAILABLE):
        return f"Give a number for each of {', '.join(AVAILABLE)}, as a dictionary."
    if wrong := [task for task, value in answer.items() if not isinstance(value, int | float)]:
        return f"The number of {wrong[0]} is no number."
    right = wanted_counts(AVAILABLE, {task: TaskAmount(share=share) for task, share in SHARES.items()})
    if all(abs(answer[task] - count) <= 1 for task, count in right.items()):
        return None
    if over := [task for task, value in answer.items() if value > AVAILABLE[task]]:
        return f"There are only {AVAILABLE[over[0]]} pairs of {over[0]}; a mixture thins, it does not repeat."
    total = sum(answer.values())
    if not total or any(abs(answer[task] / total - share) > 0.01 for task, share in SHARES.items()):
        return "The numbers are not in the wanted shares of their sum."
    return "The shares are right, but more can be kept: which task limits the total, and what total does it allow?"


CHECKS: dict[str, Check] = {"01.1": nih_box, "01.2": leaking_patients, "01.3": mixture_sizes}
