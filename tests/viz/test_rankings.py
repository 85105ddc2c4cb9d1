"""Pictures of AP without confidences say the numbers of the metrics and of COCO's tool."""

import numpy as np
import pytest

from radvlm_course.boxes import Box
from radvlm_course.evaluation.coco import coco_table
from radvlm_course.viz.rankings import draw_coco_sizes, draw_ranking_freedom, draw_rankings, draw_stray_boxes

BOX, WRONG = Box(0.1, 0.1, 0.5, 0.5), Box(0.6, 0.6, 0.7, 0.7)
TABLE = coco_table([[WRONG, BOX]], [[BOX]], ["nodule"])


def test_a_stray_box_is_free_for_the_paper_and_dear_for_the_others(helpers):
    figure = draw_stray_boxes(BOX, [WRONG] * 3)
    lines = {tuple(np.round(line.get_ydata(), 3)) for line in figure.axes[0].get_lines()}
    assert lines == {(1, 1, 1, 1), (1, 0.667, 0.5, 0.4), (1, 0.5, 0.333, 0.25)}
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="stray box"):
        draw_stray_boxes(BOX, [])


def test_the_areas_of_three_rankings_are_written(helpers):
    half, whole = np.full(101, 0.5), np.ones(101)
    figure = draw_rankings({"as_written": half, "worst": half / 2, "best": whole}, "a title")
    texts = helpers.texts(figure)
    assert {"all wrong boxes first\nAP@0.5 = 0.250", "as written\nAP@0.5 = 0.500"} <= set(texts)
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="none of worst, best"):
        draw_rankings({"as_written": half})


def test_how_far_a_ranking_moves_each_model(helpers):
    figure = draw_ranking_freedom({"sft": TABLE, "a longer name": TABLE}, "a title")
    ends = [line.get_xdata() for line in figure.axes[1].get_lines() if len(line.get_xdata()) == 2]
    assert [list(np.round(end, 2)) for end in ends] == [[0.5, 1.0], [0.5, 1.0]]
    assert {"sft", "a longer name", "as written"} <= set(helpers.texts(figure))
    assert helpers.inside(figure)


def test_sizes_without_a_true_box_say_none(helpers):
    figure = draw_coco_sizes({"sft": TABLE}, "a title")
    texts = helpers.texts(figure)
    assert (texts.count("none"), texts.count("0.500"), texts.count("1.000")) == (4, 1, 3)
    assert helpers.inside(figure)


@pytest.mark.parametrize("draw", [draw_ranking_freedom, draw_coco_sizes])
def test_scores_without_the_tools_numbers_say_what_to_do(draw):
    with pytest.raises(ValueError, match=r"found old without.*run the stage evaluate again"):
        draw({"sft": TABLE, "old": {}})
    with pytest.raises(ValueError, match="found no model"):
        draw({})
