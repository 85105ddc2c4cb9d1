"""From what other models write to our format: boxes, names, text.

Boxes are validated by :mod:`radvlm_course.boxes` alone; what stands here only finds the numbers in formats that have
no square brackets, and writes a response that our metrics read as the model meant it. Two things must survive the
translation: a box that was begun or is malformed (it is not silence), and an answer that says in words that there is
nothing (it is not a failure).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from radvlm_course.boxes import Box, BoxError, format_box, parse_boxes

__all__ = [
    "NOTHING",
    "after_heading",
    "boxed",
    "bracketed",
    "converted",
    "corner_pairs",
    "grounding_response",
    "malformed_box",
    "names_response",
]

NOTHING = "Nothing to mark."
NO_FINDING = "No finding."

Corners = tuple[int, int, int, int]

_PAIR = r"\(\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\)"
_PAIRS = re.compile(_PAIR + r"\s*,?\s*" + _PAIR)
_EMPTY_LIST = re.compile(r"\[\s*\]")
_FENCE = re.compile(r"```[a-zA-Z]*")
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d{1,2}[.)]|\([a-z]\))\s*")
_SEPARATORS = re.compile(r"[,;|\n]|\band\b", re.IGNORECASE)
_NOTHING_NAMED = ("none", "no finding", "no findings", "no acute findings", "normal")


def corner_pairs(text: str) -> list[Corners]:
    """Boxes written as two corners, ``(x1,y1),(x2,y2)``, whole numbers in whatever space the model uses.

    >>> corner_pairs("at (17,40), (37,54)")
    [(17, 40, 37, 54)]
    """
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in _PAIRS.findall(text)]


def bracketed(text: str) -> str:
    """The text with every pair of corners as ``[x1, y1, x2, y2]``, which :mod:`radvlm_course.boxes` reads."""
    return _PAIRS.sub(r"[\1, \2, \3, \4]", text)


def converted(
    corners: Iterable[Sequence[int]], convert: Callable[[int, int, int, int], Box]
) -> tuple[list[Box], list[str]]:
    """(boxes, malformed ones as :func:`malformed_box` writes them) from corners of another space.

    Args:
        convert: from four corners to a box, raising BoxError for corners that are none.
    """
    boxes: list[Box] = []
    malformed: list[str] = []
    for numbers in corners:
        try:
            if len(numbers) != 4:
                raise BoxError(f"expected four numbers, found {len(numbers)}")
            boxes.append(convert(*numbers))
        except BoxError:
            malformed.append(malformed_box(numbers))
    return boxes, malformed


def malformed_box(numbers: Sequence[object]) -> str:
    """What stands in a response for a box that is none: brackets that our parser counts as malformed.

    >>> malformed_box([90, 10, 20, 30])
    '[no box, 90, 10, 20, 30]'
    """
    return f"[no box, {', '.join(map(str, numbers)) or 'nan'}]"


def grounding_response(text: str, boxes: Sequence[Box], malformed: Sequence[str], exact: bool = True) -> str:
    """A grounding answer in our format.

    Args:
        text: what the model wrote, for an answer without boxes.
        boxes: the boxes that it wrote, unit coordinates, in its order.
        malformed: what it wrote in place of boxes, in brackets; such an answer does not claim that there is nothing.
        exact: four decimals; False rounds to two, as the paper did.

    Returns:
        The boxes and the malformed ones, or, where there are neither, the words (an empty list becomes
        :data:`NOTHING`), or blank for a blank text.
    """
    if boxes or malformed:
        return ", ".join([*(_written(box, 4 if exact else 2) for box in boxes), *malformed])
    words = _FENCE.sub("", _EMPTY_LIST.sub("", text)).strip()
    return words if words or not text.strip() else NOTHING


def _written(box: Box, decimals: int) -> str:
    text = f"[{', '.join(f'{round(value, decimals):.{decimals}f}' for value in box.to_list())}]"
    return text if parse_boxes(text) else format_box(box)  # thinner than the last decimal


def names_response(text: str, classes: Sequence[str]) -> str:
    """The findings that an answer lists, in our wording, if it is a list of names and nothing else.

    Any other answer ("There is no pneumothorax.") comes back as written, for a labeller that understands negation.

    >>> names_response("Edema, Pleural Effusion", ["Edema", "Fracture", "Pleural Effusion"])
    'Edema and pleural effusion.'
    """
    known = {name.casefold(): name for name in classes}
    plain = _FENCE.sub("", text).strip().strip("[]{}")
    items = [_BULLET.sub("", item).strip(" \t.\"'`") for item in _SEPARATORS.split(plain)]
    items = [item.casefold() for item in items if item]
    if items and all(item in known for item in items):
        named = [name.lower() for key, name in known.items() if key in items]
        listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
        return listed[:1].upper() + listed[1:] + "."
    nothing = items and all(item in _NOTHING_NAMED for item in items)
    return NO_FINDING if nothing else text.strip()


def boxed(text: str, balanced: bool = True) -> str | None:
    r"""What stands in the last ``\boxed{}`` of a text, without ``\text{}``; None if there is none.

    Args:
        balanced: read to the brace that closes it (to the end, if none does); False stops at the first ``}``.
    """
    _, found, rest = text.rpartition(r"\boxed{")
    if not found:
        return None
    if not balanced:
        return rest.partition("}")[0].strip()
    depth = 1
    for position, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            rest = rest[:position]
            break
    return re.sub(r"\\text\{([^{}]*)\}", r"\1", rest).strip()


def after_heading(text: str, heading: str = "findings") -> str:
    """A report without the heading that it opens with, such as ``**Findings:**``."""
    return re.sub(rf"^\W*{heading}\W*:\W*", "", text.strip(), count=1, flags=re.IGNORECASE)
