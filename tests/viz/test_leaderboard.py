"""The leaderboard as a picture: values with intervals, the places that they allow, nothing for those without."""

import math

import pytest

from radvlm_course.evaluation.leaderboard import leaderboard
from radvlm_course.evaluation.score import Scores
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.viz.leaderboard import draw_leaderboard

TASK = "report_generation"


def scores(model, low, high):
    value = Interval((low + high) / 2, low, high, 1200, 20)
    return Scores(
        model, ({"example_id": "a", "task": TASK},), {TASK: {"gleu": value}}, {}, {TASK: {"examples": 1}}, {}, {}
    )


def test_values_intervals_and_places_are_drawn(helpers):
    models = [scores("prior: x", 0.1, 0.2), scores("a model of a long name", 0.5, 0.7), scores("sft", 0.4, 0.6)]
    figure = draw_leaderboard(leaderboard(models, TASK, ["gleu"]), ["prior: x"])
    texts = helpers.texts(figure)
    assert {"0.600", "0.500", "0.150", "3", "GLEU ↑", "report generation"} <= set(texts)
    assert texts.count("1-2") == 2
    assert "n = 1,200 examples of 20 patients, 95% intervals by patient" in texts
    assert len(figure.findobj(lambda artist: artist.get_gid() == "interval")) == 3
    assert helpers.inside(figure)


def test_who_stands_alone_has_no_place(helpers):
    figure = draw_leaderboard(leaderboard([scores("a", 0.1, 0.2), scores("b", math.nan, 0.4)], TASK, ["gleu"]), (), "T")
    texts = helpers.texts(figure)
    assert {"no place", "a", "T"} <= set(texts) and "b" not in texts  # b has no value


def test_nobody_to_order_is_an_error():
    board = leaderboard([scores("a", math.nan, math.nan)], TASK, ["gleu"])
    with pytest.raises(ValueError, match="nobody has a value of gleu on report_generation"):
        draw_leaderboard(board)
