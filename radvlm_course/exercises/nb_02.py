"""Checks of notebook 02: a token budget, the labels of a sequence, the dearest wrong digit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from radvlm_course.boxes import Box, BoxError, format_box, scan_boxes
from radvlm_course.exercises import Check
from radvlm_course.models.token_budget import film_tokens

__all__ = ["CHECKS"]

_FILM = (2544, 3056)
_MOST, _LEAST = 1000, 950
_LABELS = (-100, -100, -100, -100, -100, -100, "[0.1, 0.2, 0.3, 0.4]", "<|im_end|>")
_TRUTH = Box(0.38, 0.47, 0.76, 0.62)
_PLACES = tuple(place for place, sign in enumerate(format_box(_TRUTH)) if sign.isdigit())


def budget(answer: Any) -> str | None:
    """A limit under which the film costs 950 to 1,000 tokens."""
    if isinstance(answer, bool) or not isinstance(answer, (int, float)):
        return "Expected a number of pixels, such as 512 * 512."
    if _LEAST <= answer <= _MOST:
        return "That is a number of tokens. Each of them is a block of 32 x 32 = 1,024 pixels."
    if not 65_536 <= answer <= 4096 * 4096:
        return "Expected an area between 256 * 256 and 4096 * 4096 pixels."
    tokens = film_tokens(_FILM, max_pixels=int(answer)).tokens
    if tokens > _MOST:
        return f"Under this limit the film costs {tokens:,} tokens: too many. Lower it."
    if tokens < _LEAST:
        return f"Under this limit the film costs {tokens:,} tokens: it could be seen better. Raise it a little."
    return None


def labels(answer: Any) -> str | None:
    """-100 up to and with the assistant's opening marker, then the answer and the closing marker."""
    if not isinstance(answer, (list, tuple)) or len(answer) != len(_LABELS):
        return f"Expected a list of {len(_LABELS)} entries: five for the user's turn, three for the assistant's."
    given = tuple(entry.strip() if isinstance(entry, str) else entry for entry in answer)
    if given == _LABELS:
        return None
    if any(entry != -100 for entry in given[:5]):
        return "The user's turn is only read: question and film have the label -100."
    if given[5] != -100:
        return "The opening marker is given to the model, also when it answers. It need not learn to write it."
    if given[7] == -100:
        return "A model that is never asked for the closing marker never learns to stop."
    if given[6] == -100:
        return "Nothing would be learnt: the answer itself must count."
    return "Where a token counts, its label is the token itself, exactly as it stands."


def _one_digit_off() -> Iterator[str]:
    written = format_box(_TRUTH)
    for place in _PLACES:
        for digit in "0123456789":
            if digit != written[place]:
                yield written[:place] + digit + written[place + 1 :]


def dearest_digit(answer: Any) -> str | None:
    """The box one digit away from the truth with the lowest IoU."""
    if not isinstance(answer, str):
        return 'Expected a string, such as "[0.38, 0.47, 0.76, 0.63]".'
    boxes, malformed = scan_boxes(answer)
    if malformed or len(boxes) != 1:
        return (
            "This is not one box: four numbers between 0 and 1, the left below the right and the top below the bottom."
        )
    try:
        text = format_box(boxes[0])
    except BoxError as error:
        return str(error)
    changed = sum(a != b for a, b in zip(text, format_box(_TRUTH), strict=True))
    if changed != 1:
        return f"Exactly one digit may differ from the truth; here {changed} do."
    found = boxes[0].iou(_TRUTH)
    lowest = min(box[0].iou(_TRUTH) for text in _one_digit_off() if (box := scan_boxes(text)[0]))
    if found <= lowest + 1e-9:
        return None
    if found > 0.8:
        return f"IoU {found:.2f}: you changed a hundredth. Which digits weigh more?"
    return f"IoU {found:.2f}; it can be as low as {lowest:.2f}. Which edge can come closest to the opposite one?"


CHECKS: dict[str, Check] = {"02.1": budget, "02.2": labels, "02.3": dearest_digit}
