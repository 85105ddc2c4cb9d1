"""Checks of notebook 07: tokens of a film, bytes of full fine-tuning, what to do about a falling length."""

from __future__ import annotations

from typing import Any

from radvlm_course.exercises import Check

__all__ = ["CHECKS"]

_NEAR = 0.6  # GB: one may round the number of weights


def visual_tokens(answer: Any) -> str | None:
    """448 x 544 pixels: 14 x 17 = 238 blocks of 32 x 32."""
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return "Expected one whole number, the visual tokens."
    hints = {
        256.0: "That would be a square film of 512 x 512. This one keeps its shape: narrower and higher.",
        952.0: "Those are patches of 16 x 16. Four of them become one token.",
        5056.0: "That is the film without a limit, 64 x 79 blocks of 32 x 32.",
    }
    if value == 238:
        return None
    return hints.get(
        value,
        "Shrink both sides by the same factor until their product is 512 x 512, round each down to a multiple of 32, "
        "and count blocks of 32 x 32. film_tokens((2048, 2500), 512 * 512) does it.",
    )


def full_fine_tuning(answer: Any) -> str | None:
    """Weights, gradients, two moments, reference: 5 x 4 bytes x 4.44e9 = 88.8e9 bytes = 82.7 GB of 2**30."""
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return "Expected one number, the GB."
    if abs(value - 20 * 4.44e9 / 2**30) < _NEAR:
        return None
    hints = {
        16 * 4.44e9 / 2**30: "That is without the reference: one more copy of the weights, 4 bytes each.",
        8 * 4.44e9 / 2**30: "Adam keeps two moments for each weight, and the reference is there as well.",
        20 * 4.44: "Right count of bytes, but in GB of 10**9. Divide by 2**30.",
    }
    for wrong, hint in hints.items():
        if abs(value - wrong) < _NEAR:
            return hint
    return "Five numbers of 4 bytes for each weight: which five? Then divide by 2**30."


def falling_length(answer: Any) -> str | None:
    """B: a reward that rises while answers shrink to less than a half may pay for brevity."""
    letter = str(answer).strip().strip("\"'.()").upper()
    hints = {
        "A": "The reward rises, but so would the reward of a policy that learned to say less. Is it better?",
        "C": "No answer is cut off: the limit is not what makes them short.",
        "D": "KL is small and steady. A shorter leash slows everything down, the good and the bad.",
    }
    return None if letter == "B" else hints.get(letter, "Expected one letter: A, B, C or D.")


CHECKS: dict[str, Check] = {"07.1": visual_tokens, "07.2": full_fine_tuning, "07.3": falling_length}
