"""The picture of a paper's table: every number of the paper, ours with interval and n, inside the canvas."""

import math

import pytest

from radvlm_course.evaluation.beside_paper import OurScores, beside_paper
from radvlm_course.evaluation.published import TABLES, load_table
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.viz.beside_paper import draw_beside_paper


def side(number=2, **bounds):
    tasks = ("abnormality_grounding", "anatomical_grounding")
    return beside_paper(
        load_table(number),
        [
            OurScores(name, {task: {"map50_paper": Interval((low + high) / 2, low, high, 1480, 160)} for task in tasks})
            for name, (low, high) in bounds.items()
        ],
    )


@pytest.mark.parametrize("number", TABLES)
def test_every_number_of_the_paper_is_shown_with_its_source(number, helpers):
    figure = draw_beside_paper(side(number))
    texts = " ".join(helpers.texts(figure))
    table = load_table(number)
    for key, column in table.columns.items():
        if column.metric:
            assert all(column.text(row.values[key]) in texts for row in table.rows)
    assert "2512.10691" in texts and "Our rows" not in texts
    assert helpers.inside(figure)


def test_ours_have_interval_n_and_place_and_stay_in_their_panel(helpers):
    figure = draw_beside_paper(side(low=(0.0, 0.004), high=(0.97, 1.0)))
    texts = helpers.texts(figure)
    assert {"0.2, n = 1,480, place 2", "98.5, n = 1,480, place 1"} <= set(texts)
    assert {"low (ours, not said)", "high (ours, not said)"} <= set(texts)
    assert texts.count("n/a") == 4  # both of ours lack both phrase columns
    bars = [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == "interval"]
    assert [list(line.get_xdata()) for line in bars[:2]] == [[0.0, pytest.approx(0.4)], [97.0, 100.0]]
    assert helpers.inside(figure)


def test_a_number_without_an_interval_is_a_dot_without_a_bar(helpers):
    tasks = {"abnormality_grounding": {"map50_paper": Interval(0.5, math.nan, math.nan, 3, 1)}}
    figure = draw_beside_paper(beside_paper(load_table(2), [OurScores("m", tasks)]))
    assert not [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == "interval"]
    assert "50.0, n = 3" in helpers.texts(figure)
