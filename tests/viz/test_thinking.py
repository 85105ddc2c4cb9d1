"""Pictures of the thinking mode show the text and the numbers that they were given."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from radvlm_course.boxes import Box
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.experiments.arms import Budget
from radvlm_course.experiments.results import Results, Watched
from radvlm_course.records import Example
from radvlm_course.viz.thinking import (
    draw_cut_thoughts,
    draw_length_and_reward,
    draw_planted,
    draw_stated,
    draw_thinking_over_time,
    show_completion,
    show_thought,
)

FILM = np.full((64, 64), 90, np.uint8)
EXAMPLE = Example(
    "e", "abnormality_grounding", "a.png", "Where?", "[0.10, 0.20, 0.50, 0.60]", (Box(0.1, 0.2, 0.5, 0.6),),
    thought="Pleura: the right angle is blunted.",
)  # fmt: skip


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return found + [axes.get_title(loc="left") for axes in figure.axes]


def test_a_thought_stands_beside_its_film_with_question_and_answer() -> None:
    shown = " ".join(texts(show_thought(FILM, EXAMPLE)))
    for part in ("Where? /think", "Pleura: the right angle is blunted.", "[0.10, 0.20, 0.50, 0.60]"):
        assert part in shown


@pytest.mark.parametrize(
    ("completion", "said"),
    [("<think>Look.</think> [0.1, 0.2, 0.3, 0.4]", "[0.1, 0.2, 0.3, 0.4]"), ("<think>Look", "was never closed")],
)
def test_a_completion_is_shown_in_its_parts_beside_the_truth(completion: str, said: str) -> None:
    shown = " ".join(texts(show_completion(FILM, EXAMPLE, completion)))
    assert "Look" in shown and said in shown and EXAMPLE.answer in shown


def test_planted_and_caught_faults_are_counted_beside_their_bars() -> None:
    assert "  3 of 5" in texts(draw_planted({"not_closed": (5, 3), "prior_study": (4, 4)}))


def test_a_lower_floor_leaves_less_between_the_whole_answers() -> None:
    figure = draw_cut_thoughts([-0.7, -1.3], {"low": -3.0, "high": -1.4})
    apart = [float(text.split()[-2]) for text in texts(figure) if text.endswith("apart")]
    # floor -3: deviation of (-0.7, -1.3, -3) is 1.193, so 0.6 / 1.193; floor -1.4: 0.379, so 0.6 / 0.379
    assert apart == [pytest.approx(0.50, abs=0.01), pytest.approx(1.58, abs=0.01)]


def test_stated_numbers_are_compared_with_the_true_ones() -> None:
    assert "n = 2, mean error 0.050" in " ".join(texts(draw_stated([(0.5, 0.6), (0.7, 0.7)])))


def test_length_and_reward_are_taken_from_each_groups_own_mean() -> None:
    groups = [([10, 20], [0.1, 0.3]), ([100, 110], [0.7, 0.9])]
    assert "4 rollouts of 2 groups: correlation +1.00" in texts(draw_length_and_reward(groups))
    assert "no spread" in " ".join(texts(draw_length_and_reward([([10, 20], [0.5, 0.5])])))


def results() -> Results:
    arms = [f"{task}, {mode}" for task in ("grounding", "reports") for mode in ("direct", "thinking")]
    curves = {
        arm: {"reward": [[0.1] * 8, [0.2] * 8], "length": [[30.0] * 8, [34.0] * 8]}
        | ({"format_rate": [[1.0] * 8, [0.9] * 8]} if "thinking" in arm else {})
        for arm in arms
    }
    watched = {arm: {"task": Watched((0, 4, 8), (0.3, 0.4, 0.5))} for arm in arms}
    return Results("thinking", "", "", "", Budget(steps=8, seeds=(0, 1)), (), curves, watched, {})


def test_lengths_form_reward_and_held_out_metric_are_drawn_for_both_tasks_and_modes() -> None:
    figure = draw_thinking_over_time(results(), window=2)
    assert len(figure.axes) == 8
    lines = {axes.get_title(loc="left"): len(axes.lines) for axes in figure.axes}
    assert lines["grounding: tokens of a completion"] == 6  # two seeds and their mean, two modes
    assert lines["reports: share with a closed thought"] == 3  # the direct mode has none
    assert lines["reports: GLEU on held-out films"] == 2


def test_results_of_another_experiment_are_refused_with_what_is_missing() -> None:
    other = dataclasses.replace(results(), curves={})
    with pytest.raises(ValueError, match="missing grounding, direct, grounding, thinking"):
        draw_thinking_over_time(other)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: draw_planted({}),
        lambda: draw_cut_thoughts([1.0], {"a": 0.0}),
        lambda: draw_cut_thoughts([1.0, 2.0], {}),
        lambda: draw_stated([]),
        lambda: draw_length_and_reward([]),
    ],
    ids=["planted", "one reward", "no floor", "stated", "lengths"],
)
def test_nothing_to_draw_is_an_error(draw) -> None:
    with pytest.raises(ValueError, match="expected at least"):
        draw()


def test_differences_of_the_results_can_be_drawn() -> None:
    from radvlm_course.experiments.catalogue import Question
    from radvlm_course.experiments.results import Answer
    from radvlm_course.viz.comparisons import draw_differences

    gain = Answer(
        Question("gain", "a", "b", "report_generation", "gleu"), {}, Interval(0.1, 0.05, 0.2, 8, 4), 0, 0, 8, 4
    )
    with_answers = dataclasses.replace(results(), answers=(gain,))
    assert "+0.100" in texts(draw_differences(with_answers.panels(), columns=1))
