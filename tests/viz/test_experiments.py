"""Pictures of experiments: what is written in them is what was measured, and nothing leaves the canvas."""

import dataclasses

import pytest

from radvlm_course.experiments.catalogue import EXPERIMENTS
from radvlm_course.experiments.results import stored_results
from radvlm_course.viz import style
from radvlm_course.viz.experiments import (
    draw_answers,
    draw_before_and_after,
    draw_gain_against_start,
    experiment_pictures,
    picture_kinds,
    show_experiment,
)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_every_experiment_has_whole_pictures(name, made_results, helpers):
    results = made_results(name)
    pictures = experiment_pictures(results)
    assert tuple(pictures) == picture_kinds(name)
    for figure in pictures.values():
        assert helpers.inside(figure)
        assert helpers.texts(figure)
    shown = show_experiment(results)
    assert helpers.inside(shown)  # draws it: ticks are made that late
    assert helpers.texts(shown) == helpers.texts(next(iter(pictures.values())))


def test_answers_are_marked_by_the_rule_and_each_seed_is_a_dot(made_results, helpers):
    changes = {
        "GRPO on grounding, direct: gain": (0.05, 0.01),
        "GRPO on grounding, thinking: gain": (-0.05, 0.01),
        "grounding, before GRPO: thinking - direct": (0.01, 0.005),  # zero is out, but too small
    }
    figure = draw_answers(made_results("thinking", changes))
    assert {"+0.050", "-0.050", "+0.010", "grounding: soft-F1", "reports: GLEU"} <= set(helpers.texts(figure))
    grounding = next(axes for axes in figure.axes if axes.get_title(loc="left") == "grounding: soft-F1")
    marks = [(line.get_marker(), line.get_color()) for line in grounding.get_lines() if line.get_markersize() == 7]
    assert marks[:3] == [("^", style.BETTER), ("v", style.WORSE), ("o", "#8A8A8A")]
    dots = [line for line in grounding.get_lines() if line.get_markersize() == 3.5]
    assert [round(float(x), 3) for x in dots[0].get_xdata()] == [0.046, 0.05, 0.054]


def test_the_stored_comparison_of_thinking_is_drawn(helpers):
    figure = show_experiment(stored_results("thinking"))
    assert {"-0.004", "-0.038", "+0.019", "-0.008"} <= set(helpers.texts(figure))
    assert helpers.inside(figure)


def test_before_and_after_has_both_levels_of_each_base_task_and_mode(made_results, helpers):
    changes = {"GRPO on grounding from the general base, direct: gain": (0.11, 0.01)}
    figure = draw_before_and_after(made_results("matched_rl", changes))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:4] == ["grounding, direct", "grounding, thinking", "reports, direct", "reports, thinking"]
    texts = helpers.texts(figure)
    assert texts.count("0.400") == 8
    assert texts.count("0.510 (+0.110)") == 1 and texts.count("0.450 (+0.050)") == 7


def test_the_gain_stands_at_the_strength_of_its_start(made_results, helpers):
    results = made_results("sft_matters", {"gain from sft": (0.0, 0.01)})
    levels = {"gain from sft_early": 0.3, "gain from sft": 0.5, "after GRPO: sft - sft_early": 0.35}
    answers = tuple(
        dataclasses.replace(a, before=levels[a.question.title], after=levels[a.question.title] + a.all_seeds.value)
        for a in results.answers
    )
    figure = draw_gain_against_start(dataclasses.replace(results, answers=answers))
    assert {"early SFT: 0.300 → 0.350 (+0.050)", "SFT: 0.500 → 0.500 (+0.000)"} <= set(helpers.texts(figure))


def test_an_experiment_that_compares_no_arm_with_its_start_is_refused(made_results):
    results = made_results("sft_matters")
    last = dataclasses.replace(results, answers=results.answers[-1:])
    with pytest.raises(ValueError, match="compared with their start, found none in 'sft_matters'"):
        draw_gain_against_start(last)
    with pytest.raises(ValueError, match="at least one answer"):
        draw_answers(dataclasses.replace(results, answers=()))
