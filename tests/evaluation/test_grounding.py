"""Grounding metrics: the paper's check values and quirks, hand-computed cases, and COCO's own tool."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box, format_boxes, iou_matrix
from radvlm_course.evaluation import grounding
from radvlm_course.evaluation.grounding import average_precision_of_sample, label_of, score_response, true_positives
from radvlm_course.evaluation.statistics import bootstrap
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward

RIGHT = Box(0.1, 0.1, 0.4, 0.4)
OTHER = Box(0.6, 0.6, 0.9, 0.9)
WRONG = Box(0.45, 0.05, 0.55, 0.15)
ious = st.integers(0, 4).flatmap(
    lambda n: st.lists(st.lists(st.floats(0, 1), min_size=n, max_size=n), max_size=5).map(
        lambda rows: np.array(rows, dtype=float).reshape(len(rows), n)
    )
)


def example(*true: Box, label: str = "nodule", identifier: str = "e1", patient: str = "p1") -> Example:
    return Example(
        identifier, "abnormality_grounding", "a.png", "Where?", "There.", tuple(true), (label,), patient_id=patient
    )


def paper(predicted: list[Box], true: list[Box]) -> float:
    return average_precision_of_sample(iou_matrix(predicted, true))


def metrics(*rows: dict) -> dict[str, float]:  # type: ignore[type-arg]
    found = bootstrap(grounding.statistics(rows), [str(i) for i in range(len(rows))], resamples=10)
    return {name: interval.value for name, interval in found.items()}


@pytest.mark.parametrize(
    ("predicted", "true", "expected"),
    [
        ([WRONG, RIGHT], [RIGHT], 0.5),
        ([RIGHT, WRONG], [RIGHT], 1.0),  # a wrong box after the hits costs nothing
        ([RIGHT], [RIGHT, OTHER], 0.5),
        ([RIGHT, OTHER], [RIGHT, OTHER], 1.0),
        ([RIGHT, WRONG, OTHER], [RIGHT, OTHER], (1 + 2 / 3) / 2),
        ([WRONG, RIGHT, OTHER], [RIGHT, OTHER], 2 / 3),  # the envelope lifts the first hit from 1/2 to 2/3
        ([RIGHT, RIGHT], [RIGHT], 1.0),
        ([], [RIGHT], 0.0),
        ([RIGHT], [], 0.0),
        ([], [], 0.0),  # a correct silence scores 0
    ],
)
def test_paper_compatible_average_precision(predicted: list[Box], true: list[Box], expected: float) -> None:
    assert paper(predicted, true) == pytest.approx(expected)


def test_a_prediction_tests_only_its_best_true_box() -> None:
    both_fit_first = np.array([[0.9, 0.6], [0.8, 0.7]])  # the second could have had the second truth
    assert average_precision_of_sample(both_fit_first) == 0.5
    assert true_positives(both_fit_first) == 2


def test_the_threshold_itself_is_a_hit() -> None:
    assert average_precision_of_sample(np.array([[0.5]])) == 1.0
    assert true_positives(np.array([[0.5]])) == 1
    assert true_positives(np.array([[0.4999]])) == 0


@given(ious)
def test_matching_at_the_threshold_is_order_free_and_bounded(matrix: np.ndarray) -> None:
    hits = true_positives(matrix)
    assert 0 <= hits <= min(matrix.shape)
    assert hits == true_positives(matrix[::-1])
    assert hits == true_positives(matrix.T)
    assert 0.0 <= average_precision_of_sample(matrix) <= 1.0


def test_the_row_of_an_example_by_hand() -> None:
    row = score_response(f"At {format_boxes([WRONG, RIGHT])} [0.1, nan, 0.2, 0.3]", example(RIGHT))
    assert row == {
        "label": "nodule",
        "n_predicted": 2,
        "n_true": 1,
        "n_malformed": 1,
        "true_positives": 1,
        "soft_f1": pytest.approx(2 / 3),
        "matched_iou": 1.0,
        "correct": False,
        "true_small": 0,
        "true_medium": 0,
        "true_large": 1,
        "found_small": 0,
        "found_medium": 0,
        "found_large": 1,
        "average_precision_of_sample": 0.5,
        "iou_sum_paper": 1.0,
        "iou_pairs_paper": 2,
        "paper_reader_stops": False,
    }


@pytest.mark.parametrize(
    ("response", "soft_f1", "correct"),
    [
        ("No nodule is seen.", 1.0, True),
        ("[0.1, 0.1, 0.4, 0.4]", 0.0, False),
        ("[0.1, nan, 0.4, 0.4]", 0.0, False),
        ("", 0.0, False),
        (None, 0.0, False),
    ],
)
def test_a_healthy_image_scores_only_for_saying_so(response: str | None, soft_f1: float, correct: bool) -> None:
    row = score_response(response, example())
    assert (row["soft_f1"], row["correct"], row["average_precision_of_sample"]) == (soft_f1, correct, 0.0)


@given(
    st.lists(st.sampled_from([RIGHT, OTHER, WRONG]), max_size=3), st.lists(st.sampled_from([RIGHT, OTHER]), max_size=2)
)
def test_soft_f1_is_the_rewards_value_to_the_last_bit(predicted: list[Box], true: list[Box]) -> None:
    text = format_boxes(predicted) if predicted else "None seen."
    asked = example(*true)
    assert score_response(text, asked)["soft_f1"] == get_reward("soft_f1")([text], [asked])[0]


def test_corrected_map_is_precision_times_recall_averaged_over_labels() -> None:
    right, wrong = format_boxes([RIGHT]), format_boxes([WRONG])
    rows = [
        score_response(right, example(RIGHT, label="nodule")),
        score_response(wrong, example(RIGHT, label="nodule")),
        score_response(f"{right} {wrong}", example(RIGHT, OTHER, label="effusion")),
        score_response("None.", example(label="edema")),  # no truth: no AP, left out of the mean
    ]
    values = metrics(*rows)
    assert values["map50"] == pytest.approx((0.5 * 0.5 + 0.5 * 0.5) / 2)
    assert values["map50_paper"] == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert values["recall50"] == pytest.approx(2 / 4)
    assert values["precision50"] == pytest.approx(2 / 4)
    assert values["accuracy50"] == pytest.approx(2 / 4)


def test_a_stray_box_on_a_healthy_image_costs_corrected_precision_and_a_silence_does_not() -> None:
    hit = score_response(format_boxes([RIGHT]), example(RIGHT))
    assert metrics(hit, score_response("None.", example()))["map50"] == 1.0
    assert metrics(hit, score_response(format_boxes([WRONG]), example()))["map50"] == 0.5


def test_no_prediction_at_all_scores_zero_not_undefined() -> None:
    assert metrics(score_response("", example(RIGHT)))["map50"] == 0.0


def test_without_any_true_box_recall_and_map_are_undefined() -> None:
    values = metrics(score_response("None.", example()))
    assert np.isnan(values["map50"])
    assert np.isnan(values["recall50"])
    assert values["accuracy50"] == 1.0


def test_per_label_metrics_are_those_of_the_labels_rows_alone() -> None:
    rows = [
        score_response(format_boxes([box]), example(RIGHT, label=label))
        for label in ("nodule", "effusion")
        for box in (RIGHT, WRONG if label == "nodule" else RIGHT)
    ]
    table = grounding.label_statistics(rows)
    for label, mine in (("nodule", rows[:2]), ("effusion", rows[2:])):
        found = bootstrap(table[label], list("abcd"), resamples=10)
        alone = metrics(*mine)
        assert found["average_precision50"].value == pytest.approx(alone["map50"])
        assert found["soft_f1"].value == pytest.approx(alone["soft_f1"])
        assert found["accuracy50"].value == pytest.approx(alone["accuracy50"])
        assert found["soft_f1"].n == 2


def test_the_papers_mean_iou_gives_two_perfect_boxes_a_half_and_ignores_failures() -> None:
    perfect = score_response(format_boxes([RIGHT, OTHER]), example(RIGHT, OTHER))
    assert metrics(perfect) | {"iou": 1.0, "iou_paper": 0.5} == metrics(perfect)
    failed = score_response("", example(RIGHT))
    assert metrics(perfect, failed)["iou_paper"] == 0.5
    assert metrics(perfect, failed)["iou"] == pytest.approx(2 / 3)
    assert np.isnan(metrics(score_response("None.", example()))["iou_paper"])


def test_paper_compatible_values_read_boxes_as_the_papers_code_does() -> None:
    pixels = score_response(f"[120, 300, 400, 500] {format_boxes([RIGHT])}", example(RIGHT))
    assert (pixels["average_precision_of_sample"], pixels["n_predicted"], pixels["n_malformed"]) == (0.5, 1, 1)
    stopped = score_response(f"[0.1, 1.2.3, 0.4, 0.4] {format_boxes([RIGHT])}", example(RIGHT))
    assert (stopped["average_precision_of_sample"], stopped["paper_reader_stops"]) == (0.0, True)
    assert stopped["correct"]


def test_recall_by_size_counts_each_true_box_once() -> None:
    small, medium = Box(0.1, 0.1, 0.15, 0.15), Box(0.2, 0.2, 0.4, 0.4)
    rows = [
        score_response(format_boxes([small]), example(small, OTHER)),
        score_response(format_boxes([medium]), example(medium)),
    ]
    found = {
        size: bootstrap(table, ["a", "b"], 10)["recall50"] for size, table in grounding.size_statistics(rows).items()
    }
    assert {size: (item.value, item.n) for size, item in found.items()} == {
        "small": (1.0, 1),
        "medium": (1.0, 1),
        "large": (0.0, 1),
    }


def test_rows_need_one_example_each() -> None:
    with pytest.raises(ValueError, match="found 2 and 1"):
        grounding.score_responses(["a", "b"], [example(RIGHT)])


def test_rows_are_plain_json_values_and_blocks_do_not_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [example(RIGHT, OTHER), example(), example(WRONG)] * 3
    texts = [format_boxes([RIGHT, WRONG]), "None.", None] * 3
    rows = grounding.score_responses(texts, asked)
    assert json.loads(json.dumps(rows)) == rows
    monkeypatch.setattr(grounding, "_BLOCK", 2)
    assert grounding.score_responses(texts, asked) == rows


def test_examples_of_many_things_count_under_their_task() -> None:
    detection = Example("d", "abnormality_detection", "a.png", "q", "a", (RIGHT,), ("nodule", "edema"))
    phrase = Example("f", "phrase_grounding", "a.png", "q", "a", (RIGHT,), ("nodule",))
    assert [label_of(item) for item in (detection, phrase, example())] == [
        "abnormality_detection",
        "phrase_grounding",
        "nodule",
    ]


def test_corrected_map_equals_cocos_tool_with_wrong_boxes_ranked_first() -> None:
    pytest.importorskip("faster_coco_eval")
    generator = np.random.default_rng(3)
    rows, truths, detections = [], [], []
    for index in range(60):
        label = ("nodule", "effusion", "edema")[index % 3]
        true = [Box(0.05 + 0.3 * k, 0.1, 0.25 + 0.3 * k, 0.4) for k in range(generator.integers(1, 4))]
        predicted = [_moved(box, generator) for box in true if generator.random() < 0.8]
        predicted += [WRONG] * int(generator.random() < 0.3)
        rows.append(score_response(format_boxes(predicted) if predicted else "None.", example(*true, label=label)))
        written = [Box(*(round(value, 2) for value in box.to_list())) for box in predicted]
        overlap = iou_matrix(written, true)
        hits = [bool(row.max() >= 0.5) for row in overlap]  # truths lie apart: a hit has one possible partner
        truths += [(index, index % 3, box) for box in true]
        detections += [(index, index % 3, box, 0.1 if hit else 0.9) for box, hit in zip(written, hits, strict=True)]
    assert metrics(*rows)["map50"] == pytest.approx(_coco_map50(60, truths, detections), abs=0.01)


def _moved(box: Box, generator: np.random.Generator) -> Box:
    shift = generator.uniform(-0.08, 0.08)
    return Box.clipped(box.x1 + shift, box.y1, box.x2 + shift, box.y2)


def _coco_map50(n_images: int, truths: list, detections: list) -> float:  # type: ignore[type-arg]
    from faster_coco_eval import COCO, COCOeval_faster

    def entry(image: int, label: int, box: Box) -> dict[str, object]:
        x1, y1, x2, y2 = box.to_pixels((1000, 1000))
        size = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
        return {"image_id": image, "category_id": label, **size}

    reference = COCO(
        {
            "info": {},
            "licenses": [],
            "images": [{"id": index, "width": 1000, "height": 1000} for index in range(n_images)],
            "categories": [{"id": index, "name": str(index)} for index in range(3)],
            "annotations": [{"id": i + 1, **entry(*truth)} for i, truth in enumerate(truths)],
        }
    )
    found = reference.loadRes([{**entry(*item[:3]), "score": item[3]} for item in detections])
    tool = COCOeval_faster(reference, found, "bbox")
    tool.params.iouThrs = np.array([0.5])
    tool.evaluate()
    tool.accumulate()
    return float(tool.eval["precision"][0, :, :, 0, -1].mean())
