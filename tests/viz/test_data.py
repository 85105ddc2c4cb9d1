"""Pictures of a dataset: what they count is what the studies say."""

import numpy as np
import pytest

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.viz.data import box_maps, box_sizes, coverage, label_bars, mixture_bars, report_lengths


def study(number: int, **findings: int) -> Study:
    return Study(f"{number}.png", (128, 128), str(number), str(number), "phantom", "train", findings=findings)


def test_label_bars_tell_present_from_doubted_and_count_normal_films(helpers):
    studies = [study(1, nodule=1, edema=-1), study(2, nodule=1, edema=0), study(3, nodule=0, edema=0)]
    figure = label_bars(studies, "labels")
    bars = {round(bar.get_width(), 3) for bar in figure.axes[0].patches}
    assert bars == {0.0, round(1 / 3, 3), round(2 / 3, 3)}
    texts = helpers.texts(figure)
    assert {" 2", " 0 + 1", " 1", "(none of them)", "share of 3 films"} <= set(texts)
    assert helpers.inside(figure)


def test_labels_that_are_not_mentioned_are_not_counted_as_absent(helpers):
    texts = helpers.texts(label_bars([study(1, nodule=1), study(2)]))
    assert " 1 of 1 labelled" in texts


def test_coverage_is_the_share_of_boxes_over_each_place():
    found = coverage([Box(0, 0, 0.5, 1), Box(0, 0, 1, 0.5)], 4)
    expected = np.array([[1, 1, 0.5, 0.5]] * 2 + [[0.5, 0.5, 0, 0]] * 2)
    np.testing.assert_allclose(found, expected)


def test_box_maps_draw_the_mean_box_and_leave_out_names_without_boxes(helpers):
    figure = box_maps({"heart": [Box(0.2, 0.2, 0.6, 0.6), Box(0.4, 0.2, 0.8, 0.6)], "nodule": []})
    outline = figure.axes[0].patches[0]
    assert outline.get_xy() == pytest.approx((0.3, 0.2))
    assert (outline.get_width(), outline.get_height()) == pytest.approx((0.4, 0.4))
    assert "heart (2)" in helpers.texts(figure)
    assert not any("nodule" in text for text in helpers.texts(figure))
    assert helpers.inside(figure)


def test_box_sizes_mark_the_median_area(helpers):
    figure = box_sizes({"heart": [Box(0, 0, 0.5, 0.5), Box(0, 0, 0.1, 0.1), Box(0, 0, 1, 1)]}, "sizes")
    assert figure.axes[0].lines[-1].get_xdata()[0] == pytest.approx(0.25)
    assert helpers.inside(figure)


def test_report_lengths_name_each_group_with_its_mean(helpers):
    figure = report_lengths({"normal": ["No nodule."], "abnormal": ["A nodule at the right."] * 3, "other": []})
    assert {"normal (1, mean 2 words)", "abnormal (3, mean 5 words)"} <= set(helpers.texts(figure))
    assert not any("other" in text for text in helpers.texts(figure))
    assert helpers.inside(figure)


def test_mixture_bars_show_what_was_possible_and_what_was_kept(helpers):
    kept = {"train": {"report_generation": 30, "abnormality_grounding": 70}, "test": {"report_generation": 5}}
    figure = mixture_bars(
        kept, {"train": {"report_generation": 0, "abnormality_grounding": 900}, "test": {}}, "mixture"
    )
    texts = helpers.texts(figure)
    assert {"train, possible (1000)", "train, kept (100)", "test, kept (5)", "970", "70"} <= set(texts)
    assert "test, possible (5)" not in texts
    kept_bar = [bar.get_width() for bar in figure.axes[0].patches][2:4]
    assert kept_bar == pytest.approx([0.7, 0.3])
    assert helpers.inside(figure)


def test_mixture_bars_without_thinning_have_one_bar_a_split(helpers):
    texts = helpers.texts(mixture_bars({"train": {"report_generation": 3}}))
    assert "train (3)" in texts


@pytest.mark.parametrize("draw", [label_bars, box_maps, box_sizes, report_lengths, mixture_bars])
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(ValueError, match="expected at least one"):
        draw([] if draw is label_bars else {})
