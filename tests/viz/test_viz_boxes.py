import numpy as np
import pytest

from radvlm_course.boxes import Box
from radvlm_course.viz.boxes import before_after, gallery, show_boxes


def films_in(figure):
    return [axes for axes in figure.axes if axes.images]


def rectangles(axes, kind):
    return [patch.get_bbox().extents.tolist() for patch in axes.patches if patch.get_gid() == kind]


def test_one_film_shows_boxes_labels_iou_and_score(wide_film, truth, helpers):
    figure = show_boxes(wide_film, truth, [Box(0.35, 0.51, 0.75, 0.64)], ["effusion"], ["effusion"], "Where is it?")
    (axes,) = films_in(figure)
    assert rectangles(axes, "truth") == [pytest.approx([76, 47, 152, 62])]
    assert rectangles(axes, "prediction") == [pytest.approx([70, 51, 150, 64])]
    texts = helpers.texts(figure)
    for expected in ("effusion", "effusion IoU 0.60", "soft-F1 0.60", "Where is it?", "ground truth", "prediction"):
        assert expected in texts
    assert helpers.inside(figure)


def test_the_film_keeps_its_shape(wide_film):
    figure = show_boxes(wide_film)
    (axes,) = films_in(figure)
    box = axes.get_window_extent()
    assert box.width / box.height == pytest.approx(2)


def test_without_boxes_there_is_no_legend_and_no_score(wide_film, helpers):
    assert helpers.texts(show_boxes(wide_film, title="Only a film")) == ["Only a film"]


def test_dollar_signs_are_text(wide_film, helpers):
    figure = show_boxes(wide_film, title="$5 and $6_x^")
    assert helpers.inside(figure)
    assert "$5 and $6_x^" in helpers.texts(figure)


def test_before_and_after_show_the_same_films_twice(wide_film, truth, helpers):
    square = np.zeros((50, 50))
    far = [Box(0, 0, 0.1, 0.1)]
    figure = before_after(
        [wide_film, square], [truth, truth], [far, []], [truth, truth], ["effusion", "a nodule"], ("SFT", "GRPO")
    )
    axes = films_in(figure)
    assert len(axes) == 4
    assert rectangles(axes[0], "prediction") == [pytest.approx([0, 0, 20, 10])]
    assert rectangles(axes[1], "prediction") == []
    assert rectangles(axes[2], "prediction") == rectangles(axes[2], "truth")
    texts = helpers.texts(figure)
    assert texts.count("soft-F1 1.00") == 2
    assert {"SFT", "GRPO", "effusion", "a nodule", "soft-F1 0.00", "soft-F1 0.00 (no box)"} <= set(texts)
    assert helpers.inside(figure)


def test_before_and_after_refuse_lists_of_other_lengths(wide_film, truth):
    with pytest.raises(ValueError, match="'after': 0"):
        before_after([wide_film], [truth], [[]], [])
    with pytest.raises(ValueError, match="found none"):
        before_after([], [], [], [])


def test_a_gallery_has_a_caption_below_each_film(wide_film, truth, helpers):
    captions = ["Normal chest radiograph.", "The heart is enlarged. " * 30, "Left effusion."]
    figure = gallery(
        [wide_film] * 3, captions, truth=[[], truth, []], truth_labels=[[], ["heart"], []], columns=2, title="three"
    )
    assert len(films_in(figure)) == 3
    texts = helpers.texts(figure)
    assert {"three", "Normal chest radiograph.", "Left effusion.", "heart", "ground truth"} <= set(texts)
    assert any(text.endswith(" …") and text.count("\n") == 3 for text in texts)
    assert helpers.inside(figure)


def test_a_gallery_refuses_nothing_and_captions_that_do_not_fit(wide_film):
    with pytest.raises(ValueError, match="found none"):
        gallery([])
    with pytest.raises(ValueError, match="captions for each of 2"):
        gallery([wide_film] * 2, ["one"])
