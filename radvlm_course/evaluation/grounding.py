"""Grounding metrics: boxes in a response against the true boxes.

Each example gives a row of counts (:func:`score_responses`), and the metrics of a set of examples are functions of the
rows' sums (:func:`statistics`), so that intervals come for free. What a match is worth is defined in
:mod:`~radvlm_course.evaluation.box_matching`; :mod:`~radvlm_course.evaluation.grounding_batch` computes it quickly.

mAP@0.5 exists twice, because a language model gives no confidences and the two ways to live with that differ:

- **paper-compatible** (``map50_paper``): an average precision for each *sample*, averaged over samples. The order in
  which the boxes are written is taken as their ranking, each prediction tests only its best true box, interpolation
  is over all points, and no prediction or no truth gives 0, even a correct silence. Boxes are read as the paper's
  code reads them. With one box on each side it is the share of boxes with IoU of at least 0.5.
- **corrected** (``map50``): an average precision for each *label* over all its examples, averaged over labels, as COCO
  does. All confidences are equal, so there is no ranking and one operating point: AP = precision x recall,
  the area under the one-step curve. COCO's tools break such ties by file order, which moves the number when files
  are shuffled (:mod:`~radvlm_course.evaluation.coco` shows how far); this value does not depend on any order, and
  equals theirs for the order that is worst for the model (wrong boxes first), but for their sampling of recall at 101
  points (less than 0.01). Boxes are matched one to one so that most pairs reach IoU 0.5. A correct silence costs
  nothing, a stray box counts against precision. A label without any true box has no AP and is left out of the mean.
  With one box on each side, of which a share h hits, the value is h squared where the paper-compatible one is h: never
  compare the two.

The mean IoU exists twice as well: the paper's ``avg_iou`` (``iou_paper``) averages over all pairs of a predicted and a
true box, ``iou`` over true boxes, each with its partner in the best matching (0 if it has none).

Nothing to find: a response that says so in words is right (soft-F1 1), one with a box is wrong, and so is a blank one.
mAP and recall have nothing to count there, but stray boxes lower precision. How often each case occurs is counted
(``score.Scores.counts``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from radvlm_course.evaluation.box_matching import (
    IOU_THRESHOLD,
    SIZES,
    average_precision_of_sample,
    true_positives,
)
from radvlm_course.evaluation.grounding_batch import Columns, columns_of
from radvlm_course.evaluation.statistics import CountStatistic, ratio
from radvlm_course.records import Example

__all__ = [
    "IOU_THRESHOLD",
    "average_precision_of_sample",
    "label_of",
    "label_statistics",
    "score_response",
    "score_responses",
    "size_statistics",
    "statistics",
    "true_positives",
]

_LABEL_TASKS = ("anatomical_grounding", "abnormality_grounding")
_SINGLE = (
    "soft_f1",
    "average_precision_of_sample",
    "correct",
    "true_positives",
    "n_predicted",
    "n_true",
    "iou_sum_paper",
    "iou_pairs_paper",
    "matched_iou",
)
_COLUMNS = ("one", *_SINGLE, *(f"found_{size}" for size in SIZES), *(f"true_{size}" for size in SIZES))
_PLACE = {name: index for index, name in enumerate(_COLUMNS)}
_BLOCK = 20_000  # examples whose rows are made at a time

Sums = np.ndarray


def label_of(example: Example) -> str:
    """The label under which an example counts: its only label where the task asks for one thing, else its task."""
    return example.labels[0] if example.task in _LABEL_TASKS and len(example.labels) == 1 else example.task


def score_response(response: str | None, example: Example) -> dict[str, Any]:
    """The row of one grounding example; see :func:`score_responses`."""
    return score_responses([response], [example])[0]


def score_responses(responses: Sequence[str | None], examples: Sequence[Example]) -> list[dict[str, Any]]:
    """The rows of grounding examples.

    Args:
        responses: the answers without their thoughts; None or blank counts as no answer and scores 0.
        examples: what each answers.

    Returns:
        For each: ``label``, ``n_predicted``, ``n_true``, ``n_malformed``, ``true_positives`` (at IoU 0.5),
        ``soft_f1`` (0 to 1), ``matched_iou`` (sum over the pairs that soft-F1 matches), ``correct`` (every true box is
        found and nothing else is written; where there is nothing to find: said so in words), ``true_small`` and
        ``found_small`` (true boxes of this size, and how many are found), the same of medium and large; and by the
        paper's reading ``average_precision_of_sample`` (0 to 1), ``iou_sum_paper``, ``iou_pairs_paper`` and
        ``paper_reader_stops`` (its code would end with an error).

    Raises:
        ValueError: there is not one example for each response.
    """
    if len(responses) != len(examples):
        raise ValueError(f"expected one example for each response, found {len(responses)} and {len(examples)}")
    rows: list[dict[str, Any]] = []
    for start in range(0, len(examples), _BLOCK):
        some = examples[start : start + _BLOCK]
        texts = [response or "" for response in responses[start : start + _BLOCK]]
        columns = columns_of(texts, [example.boxes for example in some])
        values = {"label": [label_of(example) for example in some], **_flat(columns)}
        names = tuple(values)
        rows += [dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return rows


def _flat(columns: Columns) -> dict[str, list[Any]]:
    """The columns as lists of plain values; one for each size where a column has all three."""
    flat: dict[str, list[Any]] = {}
    for name, column in vars(columns).items():
        if column.ndim == 1:
            flat[name] = column.tolist()
        else:
            flat |= {name.replace("by_size", size): column[:, place].tolist() for place, size in enumerate(SIZES)}
    return flat


def statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, CountStatistic]:
    """The metrics of a set of grounding rows, each with higher values better.

    ``soft_f1`` (mean), ``map50_paper`` and ``map50`` (see above), ``recall50`` and ``precision50`` over all
    boxes, ``accuracy50`` (share of examples that are wholly right), ``iou_paper`` and ``iou`` (see above).
    """
    table = _Table(rows)
    return {
        "soft_f1": table.metric(_share("soft_f1", "one")),
        "map50_paper": table.metric(_share("average_precision_of_sample", "one")),
        "map50": table.statistic(lambda sums: _mean_average_precision(table.by_label(sums))),
        "recall50": table.metric(_share("true_positives", "n_true")),
        "precision50": table.metric(_share("true_positives", "n_predicted")),
        "accuracy50": table.metric(_share("correct", "one")),
        "iou": table.metric(_share("matched_iou", "n_true")),
        "iou_paper": table.metric(_share("iou_sum_paper", "iou_pairs_paper")),
    }


def label_statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, CountStatistic]]:
    """The metrics of each label alone: label -> metric -> statistic over the same rows; n is the label's examples."""
    table = _Table(rows)
    metrics = {
        "soft_f1": _share("soft_f1", "one"),
        "map50_paper": _share("average_precision_of_sample", "one"),
        "average_precision50": _average_precision,
        "recall50": _share("true_positives", "n_true"),
        "precision50": _share("true_positives", "n_predicted"),
        "accuracy50": _share("correct", "one"),
        "iou": _share("matched_iou", "n_true"),
    }
    return {
        label: {name: table.of_label(place, metric) for name, metric in metrics.items()}
        for place, label in enumerate(table.labels)
    }


def size_statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, CountStatistic]]:
    """Recall at IoU 0.5 of the true boxes of each size: size -> ``recall50``; n is the examples with such a box.

    Precision has no size: a stray box belongs to no true one.
    """
    table = _Table(rows)
    result = {}
    for size in SIZES:
        n = int((table.counts[:, _PLACE[f"true_{size}"]] > 0).sum())
        result[size] = {"recall50": table.metric(_share(f"found_{size}", f"true_{size}"), n)}
    return result


class _Table:
    """The rows as one array of counts, shape (n_examples, k), grouped by label."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.labels = sorted({row["label"] for row in rows})
        place = {label: index for index, label in enumerate(self.labels)}
        self._groups = np.array([place[row["label"]] for row in rows], dtype=np.int64)
        columns = (np.array([row[name] for row in rows], dtype=np.float64) for name in _COLUMNS[1:])
        self.counts = np.stack([np.ones(len(rows)), *columns], axis=1)

    def by_label(self, sums: Sums) -> Sums:
        """Sums of shape (..., n_labels * k) as (..., n_labels, k)."""
        return sums.reshape(*sums.shape[:-1], len(self.labels), len(_COLUMNS))

    def statistic(self, function: Callable[[Sums], np.ndarray], n: int | None = None) -> CountStatistic:
        return CountStatistic(self.counts, function, n, self._groups, len(self.labels))

    def metric(self, function: Callable[[Sums], np.ndarray], n: int | None = None) -> CountStatistic:
        """A function of the sums over all labels, shape (..., k)."""
        return self.statistic(lambda sums: function(self.by_label(sums).sum(axis=-2)), n)

    def of_label(self, place: int, function: Callable[[Sums], np.ndarray]) -> CountStatistic:
        """A function of one label's sums."""
        n = int((self._groups == place).sum())
        return self.statistic(lambda sums: function(self.by_label(sums)[..., place, :]), n)


def _share(part: str, whole: str) -> Callable[[Sums], np.ndarray]:
    """One column's sum divided by another's; nan where that is 0."""
    return lambda sums: ratio(sums[..., _PLACE[part]], sums[..., _PLACE[whole]])


def _average_precision(sums: Sums) -> np.ndarray:
    """precision x recall: 0 without predictions, nan without truths."""
    hits, predicted, true = (sums[..., _PLACE[name]] for name in ("true_positives", "n_predicted", "n_true"))
    return ratio(hits * ratio(hits, np.maximum(predicted, 1)), true)


def _mean_average_precision(sums: Sums) -> np.ndarray:
    """Mean over the labels that have truths, of sums of shape (..., n_labels, k)."""
    values = _average_precision(sums)
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
