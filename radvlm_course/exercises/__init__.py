"""Exercises that check themselves.

A notebook asks, the reader assigns an answer, ``check("05.1", answer)`` says whether it is right and,
if not, what to look at. An answer that is still ``...`` or ``None`` is no error, so that a notebook runs
from top to bottom unsolved; in the solutions ``strict=True`` makes anything but a right answer one.
The checks of a notebook live in ``exercises/nb_NN.py`` as functions that return None for a right answer
and a hint for a wrong one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

__all__ = ["Check", "ExerciseError", "check"]

Check = Callable[[Any], str | None]


class ExerciseError(AssertionError):
    """A solution that is missing or wrong (only with ``strict=True``)."""


def check(exercise: str, answer: Any, strict: bool = False) -> None:
    """Check an answer and print the verdict.

    Args:
        exercise: notebook and number, as in ``"05.1"``.
        answer: what the exercise asks for; ``...`` or None if not yet solved.
        strict: raise instead of printing when the answer is missing or wrong.

    Raises:
        ValueError: there is no such exercise.
        ExerciseError: with ``strict``, the answer is missing or wrong.
    """
    number = exercise.partition(".")[0]
    try:
        checks: dict[str, Check] = importlib.import_module(f"radvlm_course.exercises.nb_{number}").CHECKS
    except ModuleNotFoundError as error:
        raise ValueError(f"there are no exercises for notebook {number!r}") from error
    if exercise not in checks:
        raise ValueError(f"there is no exercise {exercise!r}; notebook {number} has {', '.join(checks)}")
    if answer is None or answer is ...:
        _say(f"exercise {exercise}: no answer yet", strict)
        return
    hint = checks[exercise](answer)
    if hint is None:
        print(f"exercise {exercise}: right")
    else:
        _say(f"exercise {exercise}: not yet. {hint}", strict)


def _say(message: str, strict: bool) -> None:
    if strict:
        raise ExerciseError(message)
    print(message)
