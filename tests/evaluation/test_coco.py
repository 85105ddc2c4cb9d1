"""COCO's tool: hand-computed curves, the freedom of a made-up ranking, empty cases, another implementation."""

import numpy as np
import pytest

from radvlm_course.boxes import Box
from radvlm_course.evaluation.coco import MEASURES, RANKINGS, coco_average_precision, coco_table, precision_curves

RIGHT, OTHER, WRONG = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.6, 0.9, 0.9), Box(0.45, 0.05, 0.55, 0.15)
RECALLS = 101


def test_a_hit_before_a_miss_and_a_miss_before_a_hit() -> None:
    predicted, true, labels = [[RIGHT, WRONG]], [[RIGHT]], ["nodule"]
    assert coco_average_precision(predicted, true, labels)["map50"] == pytest.approx(1.0)
    assert coco_average_precision(predicted, true, labels, "worst")["map50"] == pytest.approx(0.5)
    assert coco_average_precision([[WRONG, RIGHT]], true, labels)["map50"] == pytest.approx(0.5)
    assert coco_average_precision([[WRONG, RIGHT]], true, labels, "best")["map50"] == pytest.approx(1.0)


def test_one_of_two_found_is_half_of_the_recall_points() -> None:
    found = coco_average_precision([[RIGHT]], [[RIGHT, OTHER]], ["nodule"])
    assert found["map50"] == pytest.approx(51 / RECALLS)  # recall 0, 0.01, ... 0.5


def test_labels_are_averaged_and_those_without_a_true_box_left_out() -> None:
    table = coco_table([[RIGHT], [WRONG], [WRONG]], [[RIGHT], [RIGHT], []], ["a", "b", "c"])
    assert (table["n"], table["boxes"], table["labels"]) == (3, 2, 2)
    assert table["as_written"]["map50"] == pytest.approx(0.5)
    by_label = {label: values["map50"] for label, values in table["by_label"].items()}
    assert by_label == {"a": pytest.approx(1.0), "b": 0.0, "c": None}
    silent = coco_table([[], []], [[RIGHT], []], ["a", "b"])["by_label"]
    assert [silent[label]["map50"] for label in "ab"] == [0.0, None]


def test_the_mean_over_thresholds_falls_with_the_overlap() -> None:
    moved = Box(0.1, 0.1, 0.4, 0.32)  # IoU 0.733: a hit at 0.5 to 0.7, five of ten thresholds
    found = coco_average_precision([[moved]], [[RIGHT]], ["a"])
    assert (found["map50"], found["map"]) == (pytest.approx(1.0), pytest.approx(0.5))


def test_recall_does_not_mind_stray_boxes_nor_the_ranking() -> None:
    moved = Box(0.1, 0.1, 0.4, 0.32)  # IoU 0.733: five of ten thresholds
    for ranking in RANKINGS:
        found = coco_average_precision([[WRONG, moved, WRONG]], [[RIGHT, OTHER]], ["a"], ranking)
        assert found["average_recall"] == pytest.approx(0.25)  # of two true boxes one, half of the time
        assert found["average_recall_large"] == pytest.approx(0.25)
        assert found["average_recall_small"] is None


def test_the_curves_of_three_rankings_have_their_ap_as_mean() -> None:
    predicted, true = [[RIGHT, WRONG], [WRONG, RIGHT]], [[RIGHT], [RIGHT, OTHER]]
    curves = precision_curves(predicted, true)
    for ranking in RANKINGS:
        ap = coco_average_precision(predicted, true, ["a", "a"], ranking)["map50"]
        assert curves[ranking].shape == (RECALLS,)
        assert curves[ranking].mean() == pytest.approx(ap)
    assert set(curves["best"]) == {0.0, 1.0}
    with pytest.raises(ValueError, match="found 0 written and 1 true"):
        precision_curves([[]], [[RIGHT]])


def test_sizes_are_of_the_true_box_and_no_box_counts_twice() -> None:
    small, medium, border = Box(0.0, 0.0, 0.05, 0.05), Box(0.5, 0.5, 0.7, 0.7), Box(0.1, 0.1, 0.4, 0.4)
    found = coco_average_precision([[small, medium]], [[small, medium, border]], ["a"])
    for measure in MEASURES:
        sizes = [found[f"{measure}_{size}"] for size in ("small", "medium", "large")]
        assert sizes == [pytest.approx(1.0), pytest.approx(1.0), 0.0]


@pytest.mark.parametrize("ranking", RANKINGS)
def test_empty_cases(ranking: str) -> None:
    nothing = coco_average_precision([[], [WRONG]], [[], []], ["a", "a"], ranking)  # type: ignore[arg-type]
    assert set(nothing.values()) == {None}
    silent = coco_average_precision([[]], [[RIGHT]], ["a"], ranking)  # type: ignore[arg-type]
    assert (silent["map50"], silent["map50_large"], silent["map50_small"]) == (0.0, 0.0, None)
    assert (silent["average_recall"], silent["average_recall_large"], silent["map_small"]) == (0.0, 0.0, None)
    found = coco_average_precision([[RIGHT]], [[RIGHT]], ["a"], ranking)  # type: ignore[arg-type]
    assert list(found) == list(silent) == list(nothing)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a ranking"):
        coco_average_precision([], [], [], "shuffled")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="found 1, 0 and 0"):
        coco_average_precision([[]], [], [])


def test_equals_a_plain_rewriting_of_the_curve() -> None:
    generator = np.random.default_rng(0)
    true, predicted = [], []
    for _ in range(30):
        boxes = [Box(x, 0.1, x + 0.2, 0.4) for x in (0.05, 0.35, 0.65)[: generator.integers(1, 4)]]
        shifts = generator.uniform(-0.1, 0.05, len(boxes))
        true.append(boxes)
        moved = [Box.clipped(b.x1 + s, b.y1, b.x2 + s, b.y2) for b, s in zip(boxes, shifts, strict=True)]
        predicted.append([WRONG, *moved] if generator.random() < 0.3 else moved)
    ours = coco_average_precision(predicted, true, ["a"] * 30)["map50"]
    assert ours == pytest.approx(_plain_map50(predicted, true), abs=1e-9)


def _plain_map50(predicted: list[list[Box]], true: list[list[Box]]) -> float:
    """First boxes of all films, then second ones; each takes the free truth that it overlaps most; 101 recalls."""
    ranked = sorted((place, film) for film, boxes in enumerate(predicted) for place in range(len(boxes)))
    free = [list(boxes) for boxes in true]
    hits = []
    for place, film in ranked:
        box = predicted[film][place]
        best = max(free[film], key=box.iou, default=None)
        hits.append(best is not None and box.iou(best) >= 0.5)
        if hits[-1] and best is not None:
            free[film].remove(best)
    total = sum(map(len, true))
    recall = np.cumsum(hits) / total
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, np.linspace(0, 1, RECALLS), side="left")
    return float(np.mean([envelope[place] if place < len(envelope) else 0.0 for place in places]))
