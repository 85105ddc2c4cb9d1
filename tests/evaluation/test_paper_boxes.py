"""The paper's reader of boxes, with its holes."""

import numpy as np
import pytest

from radvlm_course.boxes import Box
from radvlm_course.evaluation.paper_boxes import paper_boxes, paper_ious

TRUE = [Box(0.1, 0.1, 0.4, 0.4)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at [0.1, 0.2, 0.3, 0.4] and [.5,0.6,0.7,0.8]", [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]),
        ("[100, 200, 300, 400]", [[100, 200, 300, 400]]),
        ("[0.4, 0.4, 0.1, 0.1]", [[0.4, 0.4, 0.1, 0.1]]),
        ("[-0.1, 0.2, 0.3, 0.4] [1e-1, 0.2, 0.3, 0.4] [0.1, 0.2, 0.3]", []),
        ("none", []),
    ],
)
def test_four_numbers_of_digits_and_dots_are_a_box_whatever_they_are(text: str, expected: list[list[float]]) -> None:
    found = paper_boxes(text)
    assert found is not None
    assert found.tolist() == expected


@pytest.mark.parametrize("number", ["1.2.3", ".", "0..4"])
def test_what_is_no_number_stops_it(number: str) -> None:
    assert paper_boxes(f"[0.1, 0.2, 0.3, {number}]") is None


def test_nothing_is_guarded_and_a_union_of_zero_stops_it() -> None:
    swapped = paper_ious(np.array([[0.4, 0.4, 0.1, 0.1]]), TRUE)
    assert swapped is not None
    assert swapped.tolist() == [[0.0]]
    assert paper_ious(np.array([[0.1, 0.4, 0.4, 0.1]]), TRUE) is None  # its area is -0.09: the union is zero
    pixels = paper_ious(np.array([[0.0, 0.0, 400.0, 400.0]]), TRUE)
    assert pixels is not None
    assert pixels[0, 0] == pytest.approx(0.09 / 160_000)


def test_iou_of_plain_boxes_is_iou() -> None:
    found = paper_ious(np.array([[0.35, 0.51, 0.75, 0.64]]), [Box(0.38, 0.47, 0.76, 0.62)])
    assert found is not None
    assert round(float(found[0, 0]), 3) == 0.596
