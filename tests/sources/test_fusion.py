"""Fusion of readers' boxes: by hand, and against the library called as RadVLM calls it."""

import pytest
from ensemble_boxes import weighted_boxes_fusion
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.boxes import Box
from radvlm_course.sources._fusion import fuse_boxes

side = st.floats(0, 0.7)
boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), side, side, st.floats(0.02, 0.3), st.floats(0.02, 0.3))


def test_overlapping_boxes_become_their_mean_and_others_stay() -> None:
    first, second, alone = Box(0.1, 0.1, 0.3, 0.3), Box(0.12, 0.14, 0.32, 0.34), Box(0.6, 0.6, 0.8, 0.8)
    (fused, agreeing), (kept, single) = fuse_boxes([("R1", first), ("R2", second), ("R1", alone)])
    assert fused.to_list() == pytest.approx([0.11, 0.12, 0.31, 0.32], abs=1e-6)
    assert kept.to_list() == pytest.approx(alone.to_list(), abs=1e-6)
    assert (agreeing, single) == (2, 1)


def test_two_boxes_of_one_reader_are_no_agreement() -> None:
    twice = [("R1", Box(0.1, 0.1, 0.3, 0.3)), ("R1", Box(0.11, 0.1, 0.31, 0.3)), ("R2", Box(0.7, 0.7, 0.9, 0.9))]
    assert [count for _, count in fuse_boxes(twice)] == [1, 1]


def test_the_threshold_decides_what_joins() -> None:
    first, second = Box(0.0, 0.0, 0.2, 0.2), Box(0.1, 0.0, 0.3, 0.2)  # intersection over union 1/3
    readings = [("R1", first), ("R2", second)]
    assert len(fuse_boxes(readings, threshold=0.3)) == 1
    assert len(fuse_boxes(readings, threshold=0.34)) == 2


def test_nothing_fuses_to_nothing() -> None:
    assert fuse_boxes([]) == ()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["R1", "R2", "R3"]), boxes), min_size=1, max_size=8))
def test_the_boxes_are_those_of_one_list_with_equal_scores(readings: list[tuple[str, Box]]) -> None:
    """As RadVLM does it: all readers' boxes in one list, score 1, label 1."""
    corners = [box.to_list() for _, box in readings]
    expected, _, _ = weighted_boxes_fusion(
        [corners], [[1.0] * len(corners)], [[1] * len(corners)], iou_thr=0.1, skip_box_thr=0.0
    )
    found = fuse_boxes(readings)
    assert sorted(expected.round(5).tolist()) == [
        pytest.approx(corners, abs=2e-5)
        for corners in sorted([round(value, 5) for value in box.to_list()] for box, _ in found)
    ]
    assert all(1 <= count <= len({reader for reader, _ in readings}) for _, count in found)
