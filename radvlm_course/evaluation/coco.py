"""COCO's average precision and recall, computed by a library, and what they mean for a model without confidences.

COCO ranks all boxes of all films by confidence and walks down the list: AP is the area under the curve of precision
against recall. A language model writes boxes without confidences, so the ranking is made up, and AP with it. Three
made-up rankings show how much freedom that leaves:

- ``as_written``: first boxes of all answers before second boxes, ties in the order of the examples' ids;
- ``worst``: all wrong boxes before all right ones;
- ``best``: all right boxes before all wrong ones. Then AP is the recall: wrong boxes cost nothing.

What lies between ``worst`` and ``best`` is not the model's doing. ``map50`` of
:mod:`~radvlm_course.evaluation.grounding` is the ``worst`` one, but for COCO's sampling of the curve. Right is a box
that a one-to-one matching pairs at an IoU of 0.5, for stricter thresholds too. Average recall hardly needs a ranking:
all boxes are taken, and their order decides only which of two boxes gets a true one that both reach.

The library is ``faster-coco-eval``, a C++ port of the COCO API (Lin et al. 2014, arXiv 1405.0312) with its defaults:
101 recall points, no more than 100 boxes a film. Sizes are those of :mod:`~radvlm_course.evaluation.box_matching`, not
COCO's pixels. There are no intervals here: 2,000 resamples would take hours; ``map50`` has them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from radvlm_course.boxes import Box, iou_matrix
from radvlm_course.evaluation.box_matching import LARGE_FROM, SIZES, SMALL_BELOW, matched_pairs, size_of

__all__ = ["MEASURES", "RANKINGS", "coco_average_precision", "coco_table", "precision_curves"]

Values = dict[str, float | None]
Ranking = Literal["as_written", "worst", "best"]
RANKINGS: tuple[Ranking, ...] = ("as_written", "worst", "best")
MEASURES = ("map50", "map", "average_recall")
_AREAS = ("", *(f"_{size}" for size in SIZES))
_SIDE = 1000.0  # pixels of the film that the library is told of
_MAX_BOXES = 100


def coco_table(
    predicted: Sequence[Sequence[Box]], true: Sequence[Sequence[Box]], labels: Sequence[str]
) -> dict[str, Any]:
    """AP of one set of examples under each ranking, with what it is made of.

    Args:
        predicted, true: boxes of each example, unit coordinates, predictions in the order written.
        labels: the label of each example.

    Returns:
        ``n`` (examples), ``boxes`` (true ones), ``labels`` (with a true box), under the name of each ranking the values
        of :func:`coco_average_precision`, and ``by_label``: the same of each label alone, ranked as written.
    """
    made_of = {
        "n": len(true),
        "boxes": _count(true),
        "labels": len({label for label, boxes in zip(labels, true, strict=True) if boxes}),
    }
    measured = {ranking: _measured(predicted, true, labels, ranking) for ranking in RANKINGS}
    by_ranking = {ranking: whole for ranking, (whole, _) in measured.items()}
    return made_of | by_ranking | {"by_label": measured["as_written"][1]}


def coco_average_precision(
    predicted: Sequence[Sequence[Box]],
    true: Sequence[Sequence[Box]],
    labels: Sequence[str],
    ranking: Ranking = "as_written",
) -> Values:
    """COCO's average precision and recall, means over labels; 0 to 1, higher is better.

    Returns:
        ``map50`` (IoU 0.5), ``map`` (mean of IoU 0.5, 0.55, ... 0.95) and ``average_recall`` (mean of the same
        thresholds), and each of the true boxes of one size, ``map50_small`` and so on; None where there is no such true
        box. Of one size, boxes that reach no true box count only if they are of that size themselves.

    Raises:
        ValueError: there is no such ranking, or the three sequences differ in length.
    """
    if ranking not in RANKINGS:
        raise ValueError(f"expected a ranking of {', '.join(RANKINGS)}; found {ranking!r}")
    if not len(predicted) == len(true) == len(labels):
        raise ValueError(f"expected equal lengths, found {len(predicted)}, {len(true)} and {len(labels)}")
    return _measured(predicted, true, labels, ranking)[0]


def precision_curves(predicted: Sequence[Sequence[Box]], true: Sequence[Sequence[Box]]) -> dict[str, np.ndarray]:
    """Precision at IoU 0.5 of one label's boxes under each ranking; its mean is the AP.

    Args:
        predicted, true: as in :func:`coco_average_precision`, of examples of one label.

    Returns:
        Ranking -> shape (101,), at recall 0, 0.01, ... 1.

    Raises:
        ValueError: no box is written, or none is there: there is no curve.
    """
    if not any(predicted) or not any(true):
        raise ValueError(f"expected boxes on both sides, found {_count(predicted)} written and {_count(true)} true")
    labels = [""] * len(true)
    return {ranking: _evaluated(predicted, true, labels, ranking)[0][0, :, 0, 0, -1] for ranking in RANKINGS}


def _count(boxes: Sequence[Sequence[Box]]) -> int:
    return sum(map(len, boxes))


def _measured(
    predicted: Sequence[Sequence[Box]], true: Sequence[Sequence[Box]], labels: Sequence[str], ranking: Ranking
) -> tuple[Values, dict[str, Values]]:
    """The values over labels, and of each label alone."""
    names = sorted(set(labels))
    if not any(true) or not any(predicted):  # the library refuses these
        of_label = {n: [boxes for boxes, label in zip(true, labels, strict=True) if label == n] for n in names}
        return _of_silence(true), {name: _of_silence(boxes) for name, boxes in of_label.items()}
    precision, recall = _evaluated(predicted, true, labels, ranking)
    by_label = {name: _values(precision[:, :, [place]], recall[:, [place]]) for place, name in enumerate(names)}
    return _values(precision, recall), by_label


def _of_silence(true: Sequence[Sequence[Box]]) -> Values:
    """Nothing is written, or nothing is there: 0 for the sizes that are there, None for the others."""
    present = {"", *(f"_{size_of(box)}" for boxes in true for box in boxes)} if any(true) else set()
    return {name + area: 0.0 if area in present else None for area in _AREAS for name in MEASURES}


def _evaluated(
    predicted: Sequence[Sequence[Box]], true: Sequence[Sequence[Box]], labels: Sequence[str], ranking: Ranking
) -> tuple[np.ndarray, np.ndarray]:
    """The library's tables, -1 where there is nothing to find.

    Returns:
        precision, shape (thresholds, recalls, labels, areas, limits), and recall, (thresholds, labels, areas, limits).
    """
    from faster_coco_eval import COCO, COCOeval_faster

    categories = {label: index + 1 for index, label in enumerate(sorted(set(labels)))}
    truths, found = [], []
    for image, (boxes, answers, label) in enumerate(zip(true, predicted, labels, strict=True), start=1):
        common = {"image_id": image, "category_id": categories[label]}
        truths += [common | _entry(box) for box in boxes]
        scores = _confidences(answers, boxes, ranking)
        found += [common | _entry(box) | {"score": score} for box, score in zip(answers, scores, strict=True)]
    for number, truth in enumerate(truths, start=1):
        truth["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        reference = COCO(
            {
                "info": {},
                "images": [{"id": i + 1, "width": int(_SIDE), "height": int(_SIDE)} for i in range(len(true))],
                "categories": [{"id": number, "name": label} for label, number in categories.items()],
                "annotations": truths,
            }
        )
        tool = COCOeval_faster(reference, reference.loadRes(found), "bbox")
        limits = [0.0, SMALL_BELOW * _SIDE**2, LARGE_FROM * _SIDE**2, 1e10]
        sizes = [[low, high - 1e-6] for low, high in itertools.pairwise(limits)]  # the library takes both ends in
        tool.params.areaRng = [[0.0, 1e10], *sizes]
        tool.params.areaRngLbl = ["all", *SIZES]
        tool.params.maxDets = [_MAX_BOXES]
        tool.evaluate()
        tool.accumulate()
    return tool.eval["precision"], tool.eval["recall"]


def _entry(box: Box) -> dict[str, Any]:
    x1, y1, x2, y2 = box.to_pixels((int(_SIDE), int(_SIDE)))
    return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": box.area * _SIDE**2, "iscrowd": 0}


def _confidences(predicted: Sequence[Box], true: Sequence[Box], ranking: Ranking) -> list[float]:
    if ranking == "as_written":
        return [1.0 / (1 + place) for place in range(len(predicted))]
    right = np.zeros(len(predicted), dtype=bool)
    if predicted and true:
        right[matched_pairs(iou_matrix(predicted, true))[0]] = True
    return np.where(right == (ranking == "best"), 0.9, 0.1).tolist()


def _values(precision: np.ndarray, recall: np.ndarray) -> Values:
    def mean(values: np.ndarray) -> float | None:
        return float(values[values > -1].mean()) if (values > -1).any() else None

    found: Values = {}
    for index, area in enumerate(_AREAS):
        found["map50" + area] = mean(precision[0, :, :, index, -1])
        found["map" + area] = mean(precision[:, :, :, index, -1])
        found["average_recall" + area] = mean(recall[:, :, index, -1])
    return found
