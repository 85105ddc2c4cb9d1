"""Grounding metrics: boxes in a response against the true boxes.

Each metric has one row of counts for each example (:func:`score_response`), and the metrics of a set of
examples are functions of the rows' sums (:func:`statistics`), so that intervals come for free.

mAP@0.5 exists twice, because a language model gives no confidences and the two ways to live with that differ:

- **paper-compatible** (:func:`average_precision_of_sample`): an average precision for each *sample*, averaged
  over samples. The order in which the boxes are written is taken as their ranking, each prediction tests
  only its best true box, interpolation is over all points, and no prediction or no truth gives 0, even a
  correct silence. With one box on each side it is the share of boxes with IoU of at least 0.5.
- **corrected**: an average precision for each *label* over all its examples, averaged over labels, as COCO
  does. All confidences are equal, so there is no ranking and one operating point: AP = precision x recall,
  the area under the one-step curve. COCO's tools break such ties by file order, which moves the number when files
  are shuffled; this value does not depend on any order, and equals theirs for the order that is worst for the
  model (wrong boxes first), but for their sampling of recall at 101 points (less than 0.01). Boxes are matched
  one to one so that most pairs reach IoU 0.5. A correct silence costs nothing, a stray box counts against
  precision. A label without any true box has no AP and is left out of the mean. With one box on each side, of
  which a share h hits, the value is h squared where the paper-compatible one is h: never compare the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from radvlm_course.boxes import Box, iou_matrix, scan_boxes
from radvlm_course.evaluation.statistics import CountStatistic, mean_statistic, ratio
from radvlm_course.records import Example
from radvlm_course.rewards.soft_f1 import candidates, claims_nothing, soft_f1

__all__ = [
    "IOU_THRESHOLD",
    "average_precision_of_sample",
    "label_of",
    "label_statistics",
    "score_response",
    "statistics",
    "true_positives",
]

IOU_THRESHOLD = 0.5
_LABEL_TASKS = ("anatomical_grounding", "abnormality_grounding")


def average_precision_of_sample(ious: np.ndarray, threshold: float = IOU_THRESHOLD) -> float:
    """Average precision of one sample, bug for bug as in the paper's tables; 0 to 1, higher is better.

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


def true_positives(ious: np.ndarray, threshold: float = IOU_THRESHOLD) -> int:
    """The most pairs of at least ``threshold`` IoU that a one-to-one matching can have; order-free."""
    from scipy.optimize import linear_sum_assignment

    if not ious.size:
        return 0
    if ious.shape == (1, 1):
        return int(ious[0, 0] >= threshold)
    reaches = (ious[candidates(ious)] >= threshold).astype(np.float64)
    return int(reaches[linear_sum_assignment(reaches, maximize=True)].sum())


def label_of(example: Example) -> str:
    """The label under which an example counts: its only label where the task asks for one thing, else its task."""
    return example.labels[0] if example.task in _LABEL_TASKS and len(example.labels) == 1 else example.task


def score_response(response: str | None, example: Example) -> dict[str, Any]:
    """The row of one grounding example.

    Args:
        response: the answer without its thought; None or blank counts as no answer and scores 0.

    Returns:
        ``label``, ``n_predicted``, ``n_true``, ``n_malformed``, ``true_positives`` (at IoU 0.5), ``soft_f1``
        (0 to 1), ``average_precision_of_sample`` (0 to 1) and ``correct``: every true box is found and nothing
        else is written (where there is nothing to find: said so in words).
    """
    text = response or ""
    predicted, malformed = scan_boxes(text)
    hits, average_precision = _at_threshold(predicted, example.boxes)
    if not predicted and not example.boxes:
        overlap = 1.0 if claims_nothing(text) else 0.0
    else:
        overlap = soft_f1(predicted, example.boxes)
    return {
        "label": label_of(example),
        "n_predicted": len(predicted),
        "n_true": len(example.boxes),
        "n_malformed": len(malformed),
        "true_positives": hits,
        "soft_f1": overlap,
        "average_precision_of_sample": average_precision,
        "correct": hits == len(predicted) == len(example.boxes) if example.boxes else overlap == 1.0,
    }


def _at_threshold(predicted: Sequence[Box], true: Sequence[Box]) -> tuple[int, float]:
    """True positives and the sample's average precision, with a short cut for one box on each side."""
    if len(predicted) == len(true) == 1:
        hit = predicted[0].iou(true[0]) >= IOU_THRESHOLD
        return int(hit), float(hit)
    ious = iou_matrix(predicted, true)  # (n_predicted, n_true)
    return true_positives(ious), average_precision_of_sample(ious)


def statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, CountStatistic]:
    """The metrics of a set of grounding rows, each with higher values better.

    ``soft_f1`` (mean), ``map50_paper`` and ``map50`` (see above), ``recall50`` and ``precision50`` over all
    boxes, ``accuracy50`` (share of examples that are wholly right).
    """
    counts = _box_counts(rows)
    return {
        "soft_f1": mean_statistic(_column(rows, "soft_f1")),
        "map50_paper": mean_statistic(_column(rows, "average_precision_of_sample")),
        "map50": CountStatistic(_counts_by_label(rows, counts), _mean_average_precision),
        "recall50": CountStatistic(counts, lambda sums: ratio(sums[..., 0], sums[..., 2])),
        "precision50": CountStatistic(counts, lambda sums: ratio(sums[..., 0], sums[..., 1])),
        "accuracy50": mean_statistic(_column(rows, "correct")),
    }


def label_statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, CountStatistic]]:
    """The metrics of each label alone: label -> metric -> statistic over the same rows."""
    counts = _box_counts(rows)
    result = {}
    for label in sorted({row["label"] for row in rows}):
        mask = np.array([row["label"] == label for row in rows])
        mine, n = counts * mask[:, None], int(mask.sum())
        result[label] = {
            "soft_f1": mean_statistic(_column(rows, "soft_f1"), mask),
            "map50_paper": mean_statistic(_column(rows, "average_precision_of_sample"), mask),
            "average_precision50": CountStatistic(mine, _average_precision, n),
            "recall50": CountStatistic(mine, lambda sums: ratio(sums[..., 0], sums[..., 2]), n),
            "precision50": CountStatistic(mine, lambda sums: ratio(sums[..., 0], sums[..., 1]), n),
            "accuracy50": mean_statistic(_column(rows, "correct"), mask),
        }
    return result


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def _box_counts(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(true positives, predicted, true) of each row, shape (n_examples, 3)."""
    names = ("true_positives", "n_predicted", "n_true")
    return np.array([[float(row[name]) for name in names] for row in rows]).reshape(-1, 3)


def _counts_by_label(rows: Sequence[Mapping[str, Any]], counts: np.ndarray) -> np.ndarray:
    """The box counts in the columns of their label, shape (n_examples, 3 n_labels)."""
    labels = {label: index for index, label in enumerate(sorted({row["label"] for row in rows}))}
    spread = np.zeros((len(rows), len(labels), 3))
    spread[np.arange(len(rows)), [labels[row["label"]] for row in rows]] = counts
    return spread.reshape(len(rows), -1)


def _average_precision(sums: np.ndarray) -> np.ndarray:
    """precision x recall of (..., 3) sums: 0 without predictions, nan without truths."""
    hits, predicted, true = sums[..., 0], sums[..., 1], sums[..., 2]
    return ratio(hits * ratio(hits, np.maximum(predicted, 1)), true)


def _mean_average_precision(sums: np.ndarray) -> np.ndarray:
    """Mean over the labels that have truths, of (..., 3 n_labels) sums."""
    values = _average_precision(sums.reshape(*sums.shape[:-1], -1, 3))
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
