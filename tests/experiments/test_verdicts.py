"""The rule: every outcome of every expectation, on differences written down by hand."""

from __future__ import annotations

import math

import pytest

from radvlm_course.evaluation.statistics import Interval
from radvlm_course.experiments.catalogue import Question
from radvlm_course.experiments.results import Answer
from radvlm_course.experiments.verdicts import Check, check_answers, describe, effect, least_effect, rule_in_words


def made(
    value: float,
    low: float,
    high: float,
    seeds: tuple[float, ...] | None = None,
    metric: str = "gleu",
    before: float = 0.4,
    title: str = "gain",
) -> Answer:
    question = Question(title, "start: sft", "arm", "report_generation", metric)
    by_seed = {n: Interval(v, v - 0.1, v + 0.1, 20, 10) for n, v in enumerate(seeds or (value, value, value))}
    return Answer(question, by_seed, Interval(value, low, high, 60, 10), before, before + value, 20, 10)


UP = made(0.05, 0.03, 0.07)
DOWN = made(-0.05, -0.07, -0.03)
NOTHING = made(0.005, -0.01, 0.015)  # whole interval within 0.02 of zero
WIDE = made(0.03, -0.01, 0.07)
SMALL = made(0.019, 0.007, 0.031)
DISAGREEING = made(0.03, 0.01, 0.05, (0.08, 0.02, -0.01))


@pytest.mark.parametrize(
    ("answer", "expected"), [(UP, 1), (DOWN, -1), (NOTHING, 0), (WIDE, 0), (SMALL, 0), (DISAGREEING, 0)]
)
def test_an_effect_needs_an_interval_without_zero_seeds_that_agree_and_a_size(answer: Answer, expected: int) -> None:
    assert effect(answer) == expected


def test_a_size_of_exactly_the_least_counts() -> None:
    assert effect(made(0.02, 0.01, 0.03)) == 1


def test_of_an_undefined_interval_there_is_no_effect() -> None:
    assert effect(made(0.05, math.nan, math.nan)) == 0
    assert check_answers(Check("higher", "gain"), {"gain": made(0.05, math.nan, math.nan)}).outcome == "open"


def test_of_a_length_a_twentieth_of_the_length_before_counts() -> None:
    assert least_effect(made(1.0, 0.5, 1.5, metric="words", before=24.0)) == pytest.approx(1.2)
    assert effect(made(1.0, 0.5, 1.5, metric="words", before=24.0)) == 0
    assert effect(made(1.3, 0.8, 1.8, metric="words", before=24.0)) == 1


@pytest.mark.parametrize(
    ("expects", "answer", "outcome", "said"),
    [
        ("higher", UP, "shown", "gain +0.050"),
        ("higher", DOWN, "opposite", "the opposite direction"),
        ("higher", NOTHING, "excluded", "0.02 or more is excluded"),
        ("higher", made(-0.01, -0.03, 0.01), "excluded", "0.02 or more is excluded"),
        ("higher", WIDE, "open", "the interval holds zero"),
        ("higher", SMALL, "open", "smaller than 0.02"),
        ("higher", DISAGREEING, "open", "the seeds disagree in sign"),
        ("lower", DOWN, "shown", "gain -0.050"),
        ("lower", UP, "opposite", "the opposite direction"),
        ("lower", NOTHING, "excluded", "0.02 or more is excluded"),
        ("lower", made(-0.03, -0.07, 0.01), "open", "the interval holds zero"),
        ("no gain", NOTHING, "shown", "gain +0.005"),
        ("no gain", DOWN, "shown", "gain -0.050"),
        ("no gain", UP, "opposite", "a change is shown"),
        ("no gain", WIDE, "open", "0.02 or more is not excluded"),
        ("unchanged", NOTHING, "shown", "gain +0.005"),
        ("unchanged", UP, "opposite", "a change is shown"),
        ("unchanged", DOWN, "opposite", "a change is shown"),
        ("unchanged", made(-0.01, -0.03, 0.01), "open", "0.02 or more is not excluded"),
    ],
)
def test_what_each_expectation_makes_of_an_answer(expects: str, answer: Answer, outcome: str, said: str) -> None:
    found = check_answers(Check(expects, "gain"), {"gain": answer})  # type: ignore[arg-type]
    assert found.outcome == outcome
    assert said in found.words


def test_a_start_that_earns_nothing_leaves_the_question_open_unless_rl_gains_all_the_same() -> None:
    nothing = made(0.0, 0.0, 0.0, before=0.003)
    found = check_answers(Check("higher", "gain"), {"gain": nothing})
    assert found.outcome == "open"
    assert "the start earns 0.003, next to nothing that RL could reinforce" in found.words
    gained = made(0.05, 0.03, 0.07, before=0.003)
    assert check_answers(Check("higher", "gain"), {"gain": gained}).outcome == "shown"
    assert check_answers(Check("lower", "gain"), {"gain": nothing}).outcome == "excluded"


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        (made(0.10, 0.08, 0.12), made(0.05, 0.03, 0.07), "shown"),
        (made(0.05, 0.03, 0.07), made(0.10, 0.08, 0.12), "opposite"),
        (made(0.10, 0.06, 0.14), made(0.05, 0.03, 0.07), "open"),  # the intervals overlap
        (made(0.10, 0.095, 0.105), made(0.09, 0.085, 0.094), "open"),  # by 0.01 only
        (made(0.10, 0.08, 0.12, (0.15, 0.12, 0.03)), made(0.05, 0.03, 0.07), "open"),  # not in the last seed
    ],
)
def test_one_gain_is_larger_if_it_is_so_in_the_mean_in_every_seed_and_apart(
    one: Answer, other: Answer, outcome: str
) -> None:
    assert check_answers(Check("larger gain", "one", "other"), {"one": one, "other": other}).outcome == outcome


def test_an_answer_is_told_with_its_interval_and_its_seeds() -> None:
    assert describe(SMALL) == "gain +0.019 [+0.007, +0.031] (seeds +0.019)"
    words = made(-3.0, -4.0, -2.0, (-2.5, -3.0, -3.5), "words", 24.0)
    assert describe(words) == "gain -3.0 [-4.0, -2.0] (seeds -2.5, -3.0, -3.5)"


def test_a_question_that_was_not_asked_is_an_error_that_lists_those_that_were() -> None:
    with pytest.raises(KeyError, match="expected the question 'loss', found gain"):
        check_answers(Check("higher", "loss"), {"gain": UP})


def test_the_rule_in_words_has_the_numbers_of_the_rule() -> None:
    assert "at least 0.02 " in rule_in_words() and "5% of the length before" in rule_in_words()
