"""Captions and thoughts of scenes, by hand."""

from __future__ import annotations

import pytest

from radvlm_course.boxes import Box, parse_boxes
from radvlm_course.general_base.shapes import Scene, Shape, sample_scene
from radvlm_course.general_base.wording import caption, place, thought


def shape(kind: str, x: float, y: float, radius: float = 0.1, contrast: float = 0.3) -> Shape:
    corners = ((x - 0.1, y - 0.1), (x + 0.1, y - 0.1), (x + 0.1, y + 0.1), (x - 0.1, y + 0.1))
    return Shape(kind, corners, (), radius, contrast, 0.01, "flat")


SCENE = Scene((shape("disc", 0.2, 0.2), shape("bar", 0.3, 0.5, 0.2, -0.3), shape("disc", 0.8, 0.9)), 0)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0.1, 0.1, "upper left"),
        (0.5, 0.1, "top"),
        (0.9, 0.1, "upper right"),
        (0.1, 0.5, "left"),
        (0.5, 0.5, "center"),
        (0.9, 0.5, "right"),
        (0.1, 0.9, "lower left"),
        (0.5, 0.9, "bottom"),
        (0.9, 0.9, "lower right"),
    ],
)
def test_a_place_is_one_of_nine(x: float, y: float, expected: str) -> None:
    assert place(Box(x - 0.1, y - 0.1, x + 0.1, y + 0.1)) == expected


def test_a_caption_has_a_sentence_for_each_shape() -> None:
    expected = "Small bright disc at the upper left. Large dark bar at the left. Small bright disc at the lower right."
    assert caption(SCENE) == expected


def test_a_thought_reads_both_halves_and_then_concludes() -> None:
    text = thought(SCENE, "disc")
    assert "a small bright disc and a large dark bar" in text
    assert text.index("a large dark bar") < text.lower().index("right half")
    assert text.endswith("So the disc is near 0.2, 0.2 and 0.8, 0.9.")
    assert thought(SCENE).endswith("That makes 3 shapes.")


def test_the_thought_about_noise_sees_nothing() -> None:
    text = thought(Scene((), 4))
    assert text.count("nothing") == 2
    assert text.endswith("That makes 0 shapes.")


def test_both_wordings_come_up_and_the_seed_decides() -> None:
    texts = {thought(SCENE, "disc", seed) for seed in range(12)}
    assert len(texts) == 2
    assert thought(SCENE, "disc", 3) == thought(SCENE, "disc", 3)


def test_no_thought_quotes_a_box_or_a_tag() -> None:
    for seed in range(30):
        scene = sample_scene(seed)
        for kind in scene.boxes():
            text = thought(scene, kind, seed)
            assert parse_boxes(text) == []
            assert "<" not in text


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a scene with a star, found disc, bar"):
        thought(SCENE, "star")
    with pytest.raises(ValueError, match="expected a scene with a shape"):
        caption(Scene((), 0))
