"""The leaderboard: places, intervals and n in every line; no place between models of different examples."""

import math

import pytest

from radvlm_course.evaluation.leaderboard import leaderboard
from radvlm_course.evaluation.score import Scores
from radvlm_course.evaluation.statistics import Interval

TASK = "report_generation"


def scores(model, gleu, words=30.0, ids=("a", "b"), task=TASK, **more):
    metrics = {"gleu": gleu, "words": Interval(words, words - 1, words + 1, 40, 20), **more}
    rows = tuple({"example_id": name, "task": task} for name in ids)
    return Scores(model, rows, {task: metrics}, {}, {task: {"examples": 40}}, {}, {})


def interval(low, high, n=40):
    return Interval((low + high) / 2, low, high, n, 20)


def test_models_stand_by_value_with_the_places_that_their_intervals_allow():
    board = leaderboard(
        [scores("prior", interval(0.1, 0.2)), scores("a|b", interval(0.5, 0.7)), scores("sft", interval(0.4, 0.6))],
        TASK,
        ["gleu", "words"],
    )
    assert board.to_markdown() == (
        "**report generation**\n\n"
        "| place | model | GLEU ↑ | mean words | n | patients |\n"
        "| ---: | --- | ---: | ---: | ---: | ---: |\n"
        "| 1-2 | a\\|b | 0.600 [0.500, 0.700] | 30.0 [29.0, 31.0] | 40 | 20 |\n"
        "| 1-2 | sft | 0.500 [0.400, 0.600] | 30.0 [29.0, 31.0] | 40 | 20 |\n"
        "| 3 | prior | 0.150 [0.100, 0.200] | 30.0 [29.0, 31.0] | 40 | 20 |\n\n"
        "In brackets 95% intervals, by patient. Place: the ranks in GLEU that the intervals allow; a model stands "
        "before another only if its whole interval does.\n"
    )
    assert board._repr_markdown_() == board.to_markdown()


def test_the_lowest_is_first_where_lower_is_better_and_undefined_is_last():
    nothing = Interval(math.nan, math.nan, math.nan, 0, 0)
    entries = leaderboard(
        [
            scores("worse", interval(0, 1), radcliq=interval(1.3, 1.5)),
            scores("none", interval(0, 1), radcliq=nothing),
            scores("better", interval(0, 1), radcliq=interval(0.8, 0.9)),
        ],
        TASK,
        ["radcliq"],
    ).entries
    assert [(entry.name, str(entry.place)) for entry in entries] == [("better", "1"), ("worse", "2"), ("none", "None")]
    assert "| n/a | none | n/a | 0 | 0 |" in leaderboard([scores("none", nothing)], TASK, ["gleu"]).to_markdown()


def test_a_number_that_rests_on_other_examples_says_on_how_many():
    one = scores("m", interval(0.1, 0.2), recall=interval(0.3, 0.5, n=7))
    assert "0.400 [0.300, 0.500] (n = 7)" in leaderboard([one], TASK, ["gleu", "recall"]).to_markdown()


def test_names_can_be_given():
    board = leaderboard({"SFT": scores("m", interval(0.1, 0.2))}, TASK, ["gleu"])
    assert [entry.name for entry in board.entries] == ["SFT"]


def test_models_of_other_examples_or_of_one_name_are_not_compared():
    one, other = scores("m", interval(0, 1)), scores("n", interval(2, 3), ids=("a", "c"))
    with pytest.raises(ValueError, match="'n' and 'm' were not scored on the same examples"):
        leaderboard([one, other], TASK, ["gleu"])
    with pytest.raises(ValueError, match="different names, found m, m"):
        leaderboard([one, one], TASK, ["gleu"])
    with pytest.raises(ValueError, match="no model was scored on phrase_grounding"):
        leaderboard([one], "phrase_grounding", ["soft_f1"])
    with pytest.raises(ValueError, match="first metric with a direction"):
        leaderboard([one], TASK, ["words"])
