"""Boxes: spaces, IoU, the tolerant parser and the exact writer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box, BoxError, format_box, format_boxes, iou_matrix, parse_boxes, scan_boxes

unit = st.floats(0, 1)


@st.composite
def boxes(draw: st.DrawFn, smallest_side: float = 1e-6) -> Box:
    x1, y1 = draw(st.floats(0, 1 - smallest_side)), draw(st.floats(0, 1 - smallest_side))
    x2, y2 = draw(st.floats(x1 + smallest_side, 1)), draw(st.floats(y1 + smallest_side, 1))
    return Box(x1, y1, x2, y2)


def largest_difference(first: Box, second: Box) -> float:
    return max(abs(a - b) for a, b in zip(first.to_list(), second.to_list(), strict=True))


# --- the box itself ------------------------------------------------------------------------------


def test_sides_area_and_center_of_a_known_box() -> None:
    box = Box(0.38, 0.47, 0.76, 0.62)
    assert box.area == 0.057
    assert (box.width, box.height) == pytest.approx((0.38, 0.15))
    assert box.center == pytest.approx((0.57, 0.545))


@pytest.mark.parametrize(
    "corners",
    [
        (0.5, 0.1, 0.4, 0.9),  # x swapped
        (0.1, 0.9, 0.4, 0.5),  # y swapped
        (0.1, 0.1, 0.1, 0.9),  # a line
        (-0.1, 0.1, 0.5, 0.5),
        (0.1, 0.1, 0.5, 1.2),
        (100, 200, 300, 400),  # pixels
        (math.nan, 0.1, 0.5, 0.5),
        (0.1, 0.1, math.inf, 0.5),
        (0, 0, 10**400, 1),
        (0, 0, 1e-200, 1e-200),  # its area is 0 in floating point
        ("0.1", 0.1, 0.5, 0.5),
        (None, 0.1, 0.5, 0.5),
    ],
)
def test_what_is_not_a_box_inside_the_image_is_refused(corners: tuple[float, float, float, float]) -> None:
    with pytest.raises(BoxError, match="expected"):
        Box(*corners)


def test_pixels_and_thousandths_convert_by_name() -> None:
    assert Box.from_pixels(32, 16, 96, 64, size=(128, 64)) == Box(0.25, 0.25, 0.75, 1.0)
    assert Box.from_thousandths(380, 470, 760, 620) == Box(0.38, 0.47, 0.76, 0.62)
    assert Box(0.25, 0.25, 0.75, 1.0).to_pixels((128, 64)) == (32, 16, 96, 64)
    assert Box(0.38, 0.47, 0.76, 0.62).to_thousandths() == (380, 470, 760, 620)


@pytest.mark.parametrize("size", [(0, 64), (64, -1)])
def test_an_impossible_image_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(BoxError, match="positive image size"):
        Box.from_pixels(0, 0, 1, 1, size=size)


def test_clipping_keeps_the_part_inside_and_refuses_a_box_outside() -> None:
    assert Box.clipped(-0.5, 0.2, 0.5, 1.7) == Box(0, 0.2, 0.5, 1)
    for outside in [(1.1, 0.1, 1.5, 0.5), (-0.5, 0.1, -0.1, 0.5), (math.nan, 0, 1, 1), (0, 0, math.inf, 1)]:
        with pytest.raises(BoxError):
            Box.clipped(*outside)


def test_numbers_of_any_type_become_plain_floats() -> None:
    box = Box(np.float32(0.25), np.int64(0), 1, np.float64(0.5))
    assert [type(value) for value in box.to_list()] == [float] * 4
    assert box == Box(0.25, 0.0, 1.0, 0.5)


@given(boxes(), st.integers(1, 5000), st.integers(1, 5000))
def test_pixels_there_and_back_is_the_same_box(box: Box, width: int, height: int) -> None:
    pixels = (min(value, side) for value, side in zip(box.to_pixels((width, height)), (width, height) * 2, strict=True))
    assert largest_difference(Box.from_pixels(*pixels, size=(width, height)), box) < 1e-12


# --- intersection over union ---------------------------------------------------------------------


def test_iou_by_hand() -> None:
    # overlap 0.37 x 0.13 = 0.0481; areas 0.052 and 0.057; 0.0481 / (0.109 - 0.0481) = 0.789819...
    assert Box(0.35, 0.49, 0.75, 0.62).iou(Box(0.38, 0.47, 0.76, 0.62)) == pytest.approx(0.0481 / 0.0609)
    # the pair in the paper's figure
    assert Box(0.35, 0.51, 0.75, 0.64).iou(Box(0.38, 0.47, 0.76, 0.62)) == pytest.approx(0.596, abs=5e-4)
    assert Box(0, 0, 0.5, 1).iou(Box(0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)
    assert Box(0, 0, 0.5, 0.5).iou(Box(0.5, 0, 1, 0.5)) == 0  # a shared border is no overlap


def test_the_matrix_has_one_row_for_each_first_box() -> None:
    left, right, whole = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1), Box(0, 0, 1, 1)
    np.testing.assert_allclose(iou_matrix([left, right], [whole, left, right]), [[0.5, 1, 0], [0.5, 0, 1]])


def test_the_matrix_of_nothing_is_empty_with_the_right_shape() -> None:
    box = Box(0, 0, 1, 1)
    assert iou_matrix([], []).shape == (0, 0)
    assert iou_matrix([], [box]).shape == (0, 1)
    assert iou_matrix([box, box], []).shape == (2, 0)
    assert iou_matrix(iter([box]), iter([box])).tolist() == [[1.0]]


@given(boxes(), boxes())
def test_iou_is_symmetric_within_0_and_1_and_1_with_itself(first: Box, second: Box) -> None:
    assert first.iou(second) == second.iou(first)
    assert 0 <= first.iou(second) <= 1
    assert first.iou(first) == 1


@given(st.tuples(unit, unit, unit, unit))
def test_any_box_that_can_be_built_has_an_iou(corners: tuple[float, float, float, float]) -> None:
    try:
        box = Box(*corners)
    except BoxError:
        return
    assert box.iou(box) == 1


# --- writing -------------------------------------------------------------------------------------


def test_boxes_are_written_with_two_decimals() -> None:
    assert format_box(Box(0.38, 0.47, 0.76, 0.6)) == "[0.38, 0.47, 0.76, 0.60]"
    assert format_box(Box(0, 0, 1, 1)) == "[0.00, 0.00, 1.00, 1.00]"


def test_several_boxes_are_joined_by_commas_and_and() -> None:
    first, second, third = Box(0, 0, 0.5, 0.5), Box(0.1, 0.1, 0.2, 0.2), Box(0.3, 0.3, 1, 1)
    a, b, c = (format_box(box) for box in (first, second, third))
    assert format_boxes([first]) == a
    assert format_boxes([first, second]) == f"{a} and {b}"
    assert format_boxes([first, second, third]) == f"{a}, {b} and {c}"
    assert parse_boxes(format_boxes([first, second, third])) == [first, second, third]


def test_writing_no_box_is_an_error() -> None:
    with pytest.raises(BoxError, match="at least one"):
        format_boxes([])


@pytest.mark.parametrize(
    ("box", "written"),
    [
        (Box(0.501, 0.2, 0.502, 0.9), "[0.50, 0.20, 0.51, 0.90]"),
        (Box(0.998, 0.2, 0.999, 0.9), "[0.99, 0.20, 1.00, 0.90]"),
        (Box(0.001, 0.001, 0.002, 0.002), "[0.00, 0.00, 0.01, 0.01]"),
    ],
)
def test_a_box_too_thin_for_two_decimals_is_widened_inside_the_image(box: Box, written: str) -> None:
    assert format_box(box) == written


@given(boxes(smallest_side=0.01))
def test_what_is_written_is_read_back_within_half_a_hundredth(box: Box) -> None:
    (read,) = parse_boxes(format_box(box))
    assert largest_difference(read, box) <= 0.005 + 1e-9


@given(boxes(smallest_side=1e-9))
def test_even_a_thin_box_is_read_back_within_one_and_a_half_hundredths(box: Box) -> None:
    (read,) = parse_boxes(format_box(box))
    assert largest_difference(read, box) <= 0.015 + 1e-9


@given(boxes(smallest_side=1e-9))
def test_writing_what_was_read_gives_the_same_text(box: Box) -> None:
    written = format_box(box)
    (read,) = parse_boxes(written)
    assert format_box(read) == written


@given(st.lists(boxes(smallest_side=0.01), min_size=1, max_size=6))
def test_lists_of_boxes_keep_number_and_order(many: list[Box]) -> None:
    read = parse_boxes(f"The findings are at {format_boxes(many)}.")
    assert [format_box(box) for box in read] == [format_box(box) for box in many]


# --- parsing -------------------------------------------------------------------------------------

HERE = Box(0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize(
    "text",
    [
        "[0.1, 0.2, 0.3, 0.4]",
        "[.1,.2,.3,.4]",
        "Opacity at [ 0.10 ,0.20,\n 0.30, 0.40 ].",
        "[1e-1, 2E-1, +0.3, 0.4]",
        "[[0.1, 0.2, 0.3, 0.4]]",
        "see [left lung]: [0.1, 0.2, 0.3, 0.4] (end",
        "[[[]]][0.1, 0.2, 0.3, 0.4]][[",
        "[0.10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000, 0.2, 0.3, 0.4]",
    ],
)
def test_the_parser_tolerates_what_models_write_around_a_box(text: str) -> None:
    assert scan_boxes(text) == ([HERE], [])


@pytest.mark.parametrize(
    "group",
    [
        "[nan, 0.2, 0.3, 0.4]",
        "[0.1, 0.2, inf, 0.4]",
        "[0.1, 0.2, 0.3]",
        "[0.1, 0.2, 0.3, 0.4, 0.5]",
        "[0.3, 0.2, 0.1, 0.4]",
        "[0.1, 0.4, 0.3, 0.2]",
        "[0.1, 0.2, 0.1, 0.4]",
        "[0.1, 0.2, 0.3, 0.4,]",
        "[0.1; 0.2, 0.3, 0.4]",
        "[0.1, 0.2, 0.3, 4]",
        "[-0.5, 0.2, 0.3, 0.4]",
        "[100, 200, 300, 400]",
        "[1.002, 0.2, 1.008, 0.4]",  # within the tolerance, but nothing of it inside
        "[x1, 0.2, 0.3, 0.4]",
        "[1_0, 0.2, 0.3, 0.4]",
        "[" + ", ".join(["0.1"] * 500) + "]",
        "[1" + "0" * 5000 + ", 0, 1, 1]",
    ],
)
def test_a_group_with_numbers_that_is_no_box_is_reported_and_the_rest_is_read(group: str) -> None:
    assert scan_boxes(f"{group} and [0.1, 0.2, 0.3, 0.4]") == ([HERE], [group])
    assert parse_boxes(group) == []


@pytest.mark.parametrize(
    "text", ["", "No nodule.", "[left lung]", "[]", "[ , , , ]", "[0.1, 0.2, 0.3, 0.4", "0.1, 0.2]"]
)
def test_text_without_a_bracketed_number_has_neither_boxes_nor_malformed_ones(text: str) -> None:
    assert scan_boxes(text) == ([], [])


def test_an_overshoot_of_a_hundredth_is_cut_to_the_border() -> None:
    assert parse_boxes("[-0.01, 0, 1.005, 1.01]") == [Box(0, 0, 1, 1)]
    assert parse_boxes("[-0.011, 0, 1, 1]") == []


def test_thousandths_are_read_in_their_own_space() -> None:
    text = "[380, 470, 760, 620] then [0, 0, 1005, 1000] then [0, 0, 1100, 1000]"
    assert scan_boxes(text, space="thousandths") == (
        [Box(0.38, 0.47, 0.76, 0.62), Box(0, 0, 1, 1)],
        ["[0, 0, 1100, 1000]"],
    )
    assert parse_boxes(text) == []


def test_an_unknown_space_is_an_error() -> None:
    with pytest.raises(ValueError, match="'unit' or 'thousandths'"):
        parse_boxes("[0.1, 0.2, 0.3, 0.4]", space="pixels")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "noise",
    ["[" * 10_000, "]" * 10_000, "[]" * 10_000, "[" * 5_000 + "]" * 5_000, "[1," * 10_000, "[" + "1 " * 200_000],
    ids=["open", "close", "empty", "nested", "open-with-number", "never-closed"],
)
def test_ten_thousand_brackets_do_not_hide_the_box_after_them(noise: str) -> None:
    assert parse_boxes(noise + "][0.1, 0.2, 0.3, 0.4]") == [HERE]


@given(st.text(alphabet="[]0123456789.,-+enaif \n", max_size=200))
def test_any_text_is_parsed_without_error_into_real_boxes(text: str) -> None:
    found, malformed = scan_boxes(text)
    assert all(0 <= value <= 1 for box in found for value in box.to_list())
    assert all(group in text for group in malformed)
