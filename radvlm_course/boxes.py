"""Boxes: one type, one coordinate space, one parser, one writer.

Most bugs of grounding models are boxes in the wrong space: Qwen2.5-VL writes
pixels of the resized image, Qwen3-VL writes thousandths of the image, datasets
write pixels as corners or as corner + size. Here a :class:`Box` is always
``x1, y1, x2, y2`` in **unit coordinates**: fractions of the original image's
width and height, origin top left. Every other space exists only at the edge and
is named there (:meth:`Box.from_pixels`, :meth:`Box.from_thousandths`).

Data, rewards, metrics and pictures all read boxes through this module, so that
nothing is parsed twice in two ways. Left out on purpose: rotated boxes, masks,
confidences (a language model gives none).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Box", "BoxError", "format_box", "format_boxes", "iou_matrix", "parse_boxes", "scan_boxes"]

Space = Literal["unit", "thousandths"]

# A language model may overshoot the border by a rounding step; more than that is another space.
_BORDER_TOLERANCE = 0.01
# One bracketed group without nested brackets. It never looks past the next bracket and never
# backtracks (possessive), so a hostile text costs linear time.
_BRACKETED = re.compile(r"\[([^\[\]]++)\]")


class BoxError(ValueError):
    """Four numbers that are not a box inside the image."""


@dataclass(frozen=True, order=True)
class Box:
    """An axis-aligned box in unit coordinates (0 to 1 of the original image, origin top left).

    Args:
        x1, y1: top-left corner. x2, y2: bottom-right corner.

    Raises:
        BoxError: a number is not finite, a corner lies outside [0, 1], or the area is not positive.

    >>> Box(0.38, 0.47, 0.76, 0.62).area
    0.057
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        corners = _finite(self.x1, self.y1, self.x2, self.y2)
        x1, y1, x2, y2 = corners
        if min(x1, y1) < 0 or max(x2, y2) > 1:
            raise BoxError(
                f"expected unit coordinates (0 to 1), found {corners}: convert with Box.from_pixels "
                "or Box.from_thousandths, or cut to the image with Box.clipped"
            )
        if not (x1 < x2 and y1 < y2 and (x2 - x1) * (y2 - y1) > 0):
            raise BoxError(f"expected x1 < x2 and y1 < y2 around a positive area, found {corners}")
        for name, value in zip(("x1", "y1", "x2", "y2"), corners, strict=True):
            object.__setattr__(self, name, value)  # plain floats, whatever number type came in

    @classmethod
    def from_pixels(cls, x1: float, y1: float, x2: float, y2: float, size: tuple[int, int]) -> Box:
        """Corners in pixels of an image of ``size`` = (width, height)."""
        width, height = size
        if width <= 0 or height <= 0:
            raise BoxError(f"expected a positive image size (width, height), found {size}")
        return cls(x1 / width, y1 / height, x2 / width, y2 / height)

    @classmethod
    def from_thousandths(cls, x1: float, y1: float, x2: float, y2: float) -> Box:
        """Corners in Qwen3-VL's space: 0 to 1000, relative to width and height."""
        return cls(x1 / 1000, y1 / 1000, x2 / 1000, y2 / 1000)

    @classmethod
    def clipped(cls, x1: float, y1: float, x2: float, y2: float) -> Box:
        """The part of a unit-coordinate box that lies inside the image.

        Raises:
            BoxError: nothing of it lies inside.
        """
        x1, y1, x2, y2 = _finite(x1, y1, x2, y2)
        return cls(max(x1, 0.0), max(y1, 0.0), min(x2, 1.0), min(y2, 1.0))

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Fraction of the image that the box covers, rounded to 12 places to hide float dust."""
        return round(self.width * self.height, 12)

    @property
    def center(self) -> tuple[float, float]:
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def to_pixels(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Corners in pixels of an image of ``size`` = (width, height)."""
        width, height = size
        return self.x1 * width, self.y1 * height, self.x2 * width, self.y2 * height

    def to_thousandths(self) -> tuple[int, int, int, int]:
        """Corners in Qwen3-VL's space, rounded to whole thousandths."""
        return tuple(round(value * 1000) for value in self.to_list())  # type: ignore[return-value]

    def to_list(self) -> list[float]:
        return [self.x1, self.y1, self.x2, self.y2]

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0 to 1; the same float as in :func:`iou_matrix`."""
        width = max(0.0, min(self.x2, other.x2) - max(self.x1, other.x1))
        height = max(0.0, min(self.y2, other.y2) - max(self.y1, other.y1))
        intersection = width * height
        return intersection / (self.width * self.height + other.width * other.height - intersection)


def _finite(*corners: float) -> list[float]:
    try:
        finite = [float(value) for value in corners if math.isfinite(value)]
    except (TypeError, OverflowError) as error:  # not a number at all, or an integer beyond any float
        raise BoxError(f"expected four finite numbers, found {list(corners)!r:.200}") from error
    if len(finite) < len(corners):
        raise BoxError(f"expected four finite numbers, found {list(corners)}")
    return finite


def format_box(box: Box) -> str:
    """``[x1, y1, x2, y2]`` with exactly two decimals, as the training answers write it.

    A side thinner than one hundredth would vanish in rounding; it is widened to one
    hundredth, inside the image, so that what we write can always be read back.

    >>> format_box(Box(0.375, 0.47, 0.76, 0.6))
    '[0.38, 0.47, 0.76, 0.60]'
    """
    (x1, x2), (y1, y2) = _hundredths(box.x1, box.x2), _hundredths(box.y1, box.y2)
    return f"[{x1 / 100:.2f}, {y1 / 100:.2f}, {x2 / 100:.2f}, {y2 / 100:.2f}]"


def _hundredths(low: float, high: float) -> tuple[int, int]:
    first, last = round(low * 100), round(high * 100)
    if first == last:
        first, last = (first - 1, last) if last == 100 else (first, last + 1)
    return first, last


def format_boxes(boxes: Sequence[Box]) -> str:
    """Several boxes as one phrase: commas between, ``and`` before the last.

    Raises:
        BoxError: there is no box to write (say so in words instead).
    """
    if not boxes:
        raise BoxError("expected at least one box to write, found none")
    written = [format_box(box) for box in boxes]
    return written[0] if len(written) == 1 else ", ".join(written[:-1]) + " and " + written[-1]


def parse_boxes(text: str, space: Space = "unit") -> list[Box]:
    """Every well-formed box in a text, in the order written; malformed ones are left out.

    Tolerant of what models write around and between boxes (prose, line breaks, missing
    or extra spaces, integers, exponents), strict about what a box is: see :func:`scan_boxes`.

    >>> parse_boxes("at [0.38, 0.47, 0.76, 0.62] and [.1,0.2,0.3,0.4]")[1]
    Box(x1=0.1, y1=0.2, x2=0.3, y2=0.4)
    """
    return scan_boxes(text, space)[0]


def scan_boxes(text: str, space: Space = "unit") -> tuple[list[Box], list[str]]:
    """Split the bracketed groups of a text into boxes and malformed boxes.

    A group is a box if it holds exactly four finite numbers with x1 < x2 and y1 < y2
    inside the image (an overshoot of up to 0.01 is cut to the border). A group that holds
    at least one number and is no box is malformed: five numbers, ``nan``, corners swapped,
    another coordinate space. Groups of pure words are neither.

    Returns:
        (boxes in unit coordinates, malformed groups as written)
    """
    if space not in ("unit", "thousandths"):
        raise ValueError(f"expected space 'unit' or 'thousandths', found {space!r}")
    scale = 1.0 if space == "unit" else 1000.0
    boxes: list[Box] = []
    malformed: list[str] = []
    for match in _BRACKETED.finditer(text):
        values = [_number(part) for part in match.group(1).split(",")]
        if all(value is None for value in values):
            continue
        box = _box_or_none(values, scale)
        if box is None:
            malformed.append(match.group(0))
        else:
            boxes.append(box)
    return boxes, malformed


def _number(text: str) -> float | None:
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def _box_or_none(values: Sequence[float | None], scale: float) -> Box | None:
    if len(values) != 4 or any(value is None for value in values):
        return None
    unit = [value / scale for value in values if value is not None]
    if not all(-_BORDER_TOLERANCE <= value <= 1 + _BORDER_TOLERANCE for value in unit):  # nan fails too
        return None
    try:
        return Box.clipped(*unit)
    except BoxError:
        return None


def iou_matrix(first: Iterable[Box], second: Iterable[Box]) -> np.ndarray:
    """Intersection over union of every pair.

    Args:
        first, second: boxes in the same (unit) space.

    Returns:
        float64 array of shape (len(first), len(second)), values 0 (disjoint) to 1 (equal).
    """
    a = np.array([box.to_list() for box in first], dtype=np.float64).reshape(-1, 1, 4)  # (N, 1, 4)
    b = np.array([box.to_list() for box in second], dtype=np.float64).reshape(1, -1, 4)  # (1, M, 4)
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    intersection = overlap.prod(axis=-1)  # (N, M)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - intersection
    return intersection / union
