"""The definitions behind the grounding metrics, one sample at a time: who matches whom, and what that is worth.

Everything here is a function of a matrix of IoUs, shape (n_predicted, n_true), predictions in the order written.
:mod:`radvlm_course.evaluation.grounding_batch` computes the same for many samples at once; the tests hold the two
against each other.
"""

from __future__ import annotations

import numpy as np

from radvlm_course.boxes import Box
from radvlm_course.rewards.soft_f1 import candidates, matched_ious

__all__ = [
    "IOU_THRESHOLD",
    "SIZES",
    "average_iou_of_sample",
    "average_precision_of_sample",
    "matched_pairs",
    "partner_ious",
    "size_of",
    "true_positives",
]

IOU_THRESHOLD = 0.5
SIZES = ("small", "medium", "large")
SMALL_BELOW, LARGE_FROM = 0.01, 0.09
"""Areas in unit coordinates: a square of a tenth, and of three tenths, of the film's sides. (COCO's limits, 32 and 96
pixels squared, are 0.003 and 0.03 of a photograph of 640 by 480: its objects are smaller than most findings.)"""


def size_of(box: Box) -> str:
    """``small``, ``medium`` or ``large`` by the share of the film that a box covers."""
    return SIZES[int(box.area >= SMALL_BELOW) + int(box.area >= LARGE_FROM)]


def average_precision_of_sample(ious: np.ndarray, threshold: float = IOU_THRESHOLD) -> float:
    """Average precision of one sample, bug for bug as in the paper's tables; 0 to 1, higher is better.

    The order in which the boxes are written counts as their ranking, each prediction tests only its best true box,
    interpolation is over all points, and no prediction or no truth gives 0.

    Args:
        ious: shape (n_predicted, n_true), predictions in the order written.
        threshold: the least IoU of a hit.
    """
    n_predicted, n_true = ious.shape
    if not n_predicted or not n_true:
        return 0.0
    best = ious.argmax(axis=1)
    hits = np.zeros(n_predicted, dtype=bool)
    found: set[int] = set()
    for index in np.flatnonzero(ious[np.arange(n_predicted), best] >= threshold):
        if int(best[index]) not in found:  # a second prediction of a found box is an error, not tried elsewhere
            hits[index] = True
            found.add(int(best[index]))
    cumulative = np.cumsum(hits)
    precision = cumulative / np.arange(1, n_predicted + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]  # the best precision at this recall or beyond
    return float(envelope[hits].sum() / n_true)


def average_iou_of_sample(ious: np.ndarray) -> float:
    """The paper's ``avg_iou`` on one sample: the mean over all pairs; nan without a pair, and then left out.

    Over samples it is the sum of all IoUs divided by the number of all pairs. Two perfect boxes on two disjoint truths
    give 0.5, because the pairs that nobody meant count as zeros; and an answer without a box costs nothing.
    """
    return float(ious.mean()) if ious.size else float("nan")


def matched_pairs(ious: np.ndarray, threshold: float = IOU_THRESHOLD) -> tuple[np.ndarray, np.ndarray]:
    """The largest one-to-one matching of pairs with at least ``threshold`` IoU; of several the one of greatest IoU.

    Returns:
        (predictions, true boxes), indices of equal length; independent of any order but for exact ties.
    """
    from scipy.optimize import linear_sum_assignment

    rows = candidates(ious)
    values = ious[rows]
    more_than_all = min(ious.shape, default=0) + 1.0  # so that one more pair outweighs any IoU
    weights = np.where(values >= threshold, more_than_all + values, 0.0)
    first, second = linear_sum_assignment(weights, maximize=True)
    kept = values[first, second] >= threshold
    return rows[first[kept]], second[kept]


def true_positives(ious: np.ndarray, threshold: float = IOU_THRESHOLD) -> int:
    """The most pairs of at least ``threshold`` IoU that a one-to-one matching can have; order-free."""
    if not ious.size:
        return 0
    return len(matched_pairs(ious, threshold)[0])


def partner_ious(ious: np.ndarray) -> float:
    """The sum of the IoUs of all pairs in the matching of greatest sum, as in soft-F1."""
    return float(np.sort(matched_ious(ious)).sum()) if ious.size else 0.0
