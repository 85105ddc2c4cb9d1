"""How the paper's evaluation reads boxes, kept to compare with its tables.

Four numbers in brackets, made of digits and dots only: no sign, no exponent. Nothing is checked, so a box in pixels
counts as a (wrong) box, swapped corners make a negative width, ``1.2.3`` stops the whole evaluation, and so does a
pair of boxes whose union is zero. Where it would stop there is no number to compare with; such an answer scores 0 here
and is counted. The course's own reader is :func:`radvlm_course.boxes.scan_boxes`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from radvlm_course.boxes import Box

__all__ = ["paper_boxes", "paper_ious"]

_DIGITS = r"\s*([\d.]++)\s*"
_BOX = re.compile(rf"\[{_DIGITS},{_DIGITS},{_DIGITS},{_DIGITS}\]", re.ASCII)


def paper_boxes(text: str) -> np.ndarray | None:
    """The corners as written, shape (n, 4), in no coordinate space in particular; None where the reader would stop."""
    try:
        numbers = [[float(number) for number in match] for match in _BOX.findall(text)]
    except ValueError:
        return None
    return np.array(numbers, dtype=np.float64).reshape(-1, 4)


def paper_ious(corners: np.ndarray, true: Sequence[Box]) -> np.ndarray | None:
    """IoU of every pair with nothing guarded, shape (n_predicted, n_true); None where it would divide by zero."""
    a = corners.reshape(-1, 1, 4)
    b = np.array([box.to_list() for box in true], dtype=np.float64).reshape(1, -1, 4)
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - overlap
    return overlap / union if union.all() else None
