"""soft_f1: how well the predicted boxes cover the true boxes, for grounding.

Match predictions and truths one to one so that the sum S of their IoUs is greatest (Hungarian algorithm).
Each matched pair is a true positive of weight IoU, each box without a partner is an error:

    soft-F1 = 2 S / (n_predicted + n_true)

Unlike mAP it has a slope everywhere (a box that moves a little closer earns a little more), which is what
a policy gradient needs, and unlike a mean IoU it punishes stray and missing boxes. The method is of
RadVLM-GRPO (arXiv 2512.10691), after DETR's matching and the Panoptic Quality; the paper's figure prints
0.596 for ``[0.35, 0.51, 0.75, 0.64]`` against ``[0.38, 0.47, 0.76, 0.62]``, which is this formula. The
code published with it computes another one (0.747 for the same pair), kept here as ``variant="published"``.

Left out: names of findings. In abnormality detection only the places count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from radvlm_course.boxes import Box, iou_matrix, scan_boxes
from radvlm_course.records import Example
from radvlm_course.rewards.base import BOX_TASKS, Reward

__all__ = ["SoftF1", "candidates", "claims_nothing", "soft_f1", "soft_f1_from_ious"]

Variant = Literal["paper", "published"]


def candidates(ious: np.ndarray) -> np.ndarray:
    """The rows that a best one-to-one matching can need.

    A true box always finds a partner at least as good as any other among its own n_true best predictions,
    since the other true boxes can take no more than n_true - 1 of those. All other predictions can be left
    out of the matching without changing its sum, so 10,000 predicted boxes cost no more than a few.

    Args:
        ious: float array of shape (n_predicted, n_true).

    Returns:
        Sorted row indices, at most n_true squared of them.
    """
    n_predicted, n_true = ious.shape
    if n_predicted <= n_true * n_true:
        return np.arange(n_predicted)
    best = np.argsort(-ious, axis=0, kind="stable")[:n_true]  # (n_true, n_true)
    return np.unique(best)


def matched_ious(ious: np.ndarray) -> np.ndarray:
    """IoUs of the pairs in a matching with the greatest sum, shape (min(n_predicted, n_true),) or less."""
    from scipy.optimize import linear_sum_assignment

    if ious.shape == (1, 1):
        return ious.ravel()
    rows = ious[candidates(ious)]
    return rows[linear_sum_assignment(rows, maximize=True)]


def soft_f1_from_ious(ious: np.ndarray, variant: Variant = "paper") -> float:
    """soft-F1 of an IoU matrix of shape (n_predicted, n_true), 0 to 1, higher is better.

    Both sides empty: 1 (``published``: 0). One side empty: 0.
    """
    n_predicted, n_true = ious.shape
    if not n_predicted or not n_true:
        return 1.0 if variant == "paper" and not n_predicted and not n_true else 0.0
    matched = matched_ious(ious)
    total = float(np.sort(matched).sum())
    if variant == "paper":
        return min(1.0, 2 * total / (n_predicted + n_true))
    if total == 0:
        return 0.0
    recall = total / n_true
    precision = total / (total + n_predicted - int((matched > 0).sum()))
    return min(1.0, 2 * precision * recall / (precision + recall))


def soft_f1(predicted: Sequence[Box], true: Sequence[Box], variant: Variant = "paper") -> float:
    """soft-F1 of two sets of boxes in unit coordinates, 0 (worst) to 1 (equal).

    The order of the boxes does not matter, not even in the last bit.

    >>> round(soft_f1([Box(0.35, 0.51, 0.75, 0.64)], [Box(0.38, 0.47, 0.76, 0.62)]), 3)
    0.596
    >>> soft_f1([], [])
    1.0
    """
    if len(predicted) == len(true) == 1:
        return _soft_f1_of_pair(predicted[0].iou(true[0]), variant)
    return soft_f1_from_ious(iou_matrix(sorted(predicted), sorted(true)), variant)


def _soft_f1_of_pair(iou: float, variant: Variant) -> float:
    """One box on each side, by far the commonest case: nothing to match."""
    return iou if variant == "paper" else 2 * iou / (1 + iou)


def claims_nothing(response: str) -> bool:
    """Whether a response says in words that there is nothing: it has text and does not even begin a box."""
    return bool(response.strip()) and "[" not in response


class SoftF1(Reward):
    """soft-F1 of the boxes that a response writes; range 0 to 1, higher is better.

    Malformed boxes (five numbers, ``nan``, swapped corners, another coordinate space) are not boxes and
    earn nothing. Where there is nothing to find, a response in words without any box earns 1 and one that
    writes or begins a box earns 0. A blank response earns 0 everywhere.

    Args:
        variant: ``paper`` (2S / (n_predicted + n_true)), or ``published``, the formula of the published
            code: recall S / n_true, precision S / (S + predictions without an overlapping partner), nothing
            on either side gives 0. Boxes are read by this course's parser in both.
    """

    range = (0.0, 1.0)
    empty_value = 0.0
    tasks = BOX_TASKS

    def __init__(self, variant: Variant = "paper") -> None:
        if variant not in ("paper", "published"):
            raise ValueError(f"soft_f1: expected variant 'paper' or 'published', found {variant!r}")
        self.variant: Variant = variant
        self.name = "soft_f1" if variant == "paper" else "soft_f1_published"

    def score(self, response: str, example: Example) -> float:
        predicted, _ = scan_boxes(response)
        if not predicted and not example.boxes:
            return 1.0 if self.variant == "paper" and claims_nothing(response) else 0.0
        return soft_f1(predicted, example.boxes, self.variant)
