"""COCO's average precision, computed by a library, and what it means for a model without confidences.

COCO ranks all boxes of all films by confidence and walks down the list: AP is the area under the curve of precision
against recall. A language model writes boxes without confidences, so the ranking is made up, and AP with it. Three
made-up rankings show how much freedom that leaves:

- ``as_written``: first boxes of all answers before second boxes, ties in the order of the examples' ids;
- ``worst``: all wrong boxes before all right ones;
- ``best``: all right boxes before all wrong ones. Then AP is the recall: wrong boxes cost nothing.

What lies between ``worst`` and ``best`` is not the model's doing. ``map50`` of
:mod:`~radvlm_course.evaluation.grounding` is the ``worst`` one, but for COCO's sampling of the curve.

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

__all__ = ["RANKINGS", "coco_average_precision", "coco_table"]

Ranking = Literal["as_written", "worst", "best"]
RANKINGS: tuple[Ranking, ...] = ("as_written", "worst", "best")
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
        ``n`` (examples), ``boxes`` (true ones), ``labels`` (with a true box), and under the name of each ranking the
        values of :func:`coco_average_precision`.
    """
    made_of = {
        "n": len(true),
        "boxes": sum(map(len, true)),
        "labels": len({label for label, boxes in zip(labels, true, strict=True) if boxes}),
    }
    return made_of | {ranking: coco_average_precision(predicted, true, labels, ranking) for ranking in RANKINGS}


def coco_average_precision(
    predicted: Sequence[Sequence[Box]],
    true: Sequence[Sequence[Box]],
    labels: Sequence[str],
    ranking: Ranking = "as_written",
) -> dict[str, float | None]:
    """COCO's mean average precision over labels; 0 to 1, higher is better.

    Returns:
        ``map50`` (IoU 0.5), ``map`` (mean of IoU 0.5 to 0.95), and ``map50`` of the true boxes of each size,
        ``map50_small`` and so on; None where there is no such true box.

    Raises:
        ValueError: there is no such ranking, or the three sequences differ in length.
    """
    if ranking not in RANKINGS:
        raise ValueError(f"expected a ranking of {', '.join(RANKINGS)}; found {ranking!r}")
    if not len(predicted) == len(true) == len(labels):
        raise ValueError(f"expected equal lengths, found {len(predicted)}, {len(true)} and {len(labels)}")
    empty: dict[str, float | None] = {"map50": None, "map": None, **{f"map50_{size}": None for size in SIZES}}
    if not any(true):
        return empty
    if not any(predicted):
        sizes = {f"map50_{size}": 0.0 for size in _sizes_present(true)}
        return empty | {"map50": 0.0, "map": 0.0} | sizes
    return _values(_evaluated(predicted, true, labels, ranking))


def _sizes_present(true: Sequence[Sequence[Box]]) -> set[str]:
    return {size_of(box) for boxes in true for box in boxes}


def _evaluated(
    predicted: Sequence[Sequence[Box]], true: Sequence[Sequence[Box]], labels: Sequence[str], ranking: Ranking
) -> Any:
    """The library's precision table, shape (thresholds, recalls, labels, areas, limits); -1 where there is nothing."""
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
    return tool.eval["precision"]


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


def _values(precision: np.ndarray) -> dict[str, float | None]:
    def mean(values: np.ndarray) -> float | None:
        return float(values[values > -1].mean()) if (values > -1).any() else None

    sizes = {f"map50_{size}": mean(precision[0, :, :, index, -1]) for index, size in enumerate(SIZES, start=1)}
    return {"map50": mean(precision[0, :, :, 0, -1]), "map": mean(precision[:, :, :, 0, -1]), **sizes}
