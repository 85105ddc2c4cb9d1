"""Scenes of shapes: exact boxes, reproducible pictures, variety."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.general_base.shapes import KINDS, Scene, Shape, draw_scene, sample_scene

SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


def shape(kind: str = "square", outline=SQUARE, hole=(), contrast: float = 0.5, radius: float = 0.2) -> Shape:
    return Shape(kind, outline, hole, radius, contrast, 0.001, "flat")


@settings(max_examples=60)
@given(st.integers(0, 10**9))
def test_a_scene_has_one_to_three_shapes_inside_the_picture_that_hardly_overlap(seed: int) -> None:
    shapes = sample_scene(seed).shapes
    assert 1 <= len(shapes) <= 3
    boxes = [each.box for each in shapes]
    assert boxes == sorted(boxes)
    for first in range(len(boxes)):
        for second in range(first):
            assert boxes[first].iou(boxes[second]) < 0.1


def test_the_box_is_the_extent_of_the_corners() -> None:
    triangle = shape("triangle", ((0.2, 0.9), (0.5, 0.1), (0.6, 0.7)))
    assert triangle.box.to_list() == [0.2, 0.1, 0.6, 0.9]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_fills_the_box_and_nothing_outside(kind: str) -> None:
    found = next(
        each
        for seed in range(400)
        for each in sample_scene(seed, most=1).shapes
        if each.kind == kind and each.softness < 0.005
    )
    size = 120
    plain = Scene((Shape(kind, found.outline, found.hole, found.radius, 1.0, 0.0, "flat"),), 3)
    difference = draw_scene(plain, size).astype(int) - draw_scene(Scene((), 3), size).astype(int)
    rows, columns = np.nonzero(difference > 60)
    x1, y1, x2, y2 = found.box.to_pixels((size, size))
    assert columns.min() == pytest.approx(x1, abs=2.5)
    assert columns.max() + 1 == pytest.approx(x2, abs=2.5)
    assert rows.min() == pytest.approx(y1, abs=2.5)
    assert rows.max() + 1 == pytest.approx(y2, abs=2.5)


def test_a_ring_has_a_hole() -> None:
    hole = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))
    picture = draw_scene(Scene((shape("ring", hole=hole, contrast=1.0),), 0), 64).astype(int)
    empty = draw_scene(Scene((), 0), 64).astype(int)
    assert (picture - empty)[20, 20] > 60
    assert abs((picture - empty)[32, 32]) < 60


def test_bright_shapes_are_brighter_and_dark_ones_darker_than_what_is_behind() -> None:
    empty = draw_scene(Scene((), 1), 40)[20, 20].astype(int)
    assert draw_scene(Scene((shape(contrast=0.3),), 1), 40)[20, 20].astype(int) > empty
    assert draw_scene(Scene((shape(contrast=-0.3),), 1), 40)[20, 20].astype(int) < empty


def test_the_same_seed_gives_the_same_picture_and_another_seed_another() -> None:
    first, again, other = (draw_scene(sample_scene(seed), 32) for seed in (5, 5, 6))
    assert first.dtype == np.uint8
    assert first.shape == (32, 32)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_all_kinds_sizes_and_brightnesses_come_up() -> None:
    names = Counter(each.name for seed in range(400) for each in sample_scene(seed).shapes)
    kinds = Counter(name.split()[-1] for name in names.elements())
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) > 0.6 * sum(kinds.values()) / len(KINDS)
    assert len(names) == 4 * len(KINDS)


def test_a_name_has_size_brightness_and_kind() -> None:
    assert shape(contrast=-0.2, radius=0.2).name == "large dark square"
    assert shape(contrast=0.2, radius=0.1).name == "small bright square"


def test_a_picture_of_noise_has_no_shape() -> None:
    assert sample_scene(3, most=0).shapes == ()
    assert sample_scene(3, most=0).boxes() == {}
