"""Margins, and what they say of each reward."""

import math

import numpy as np
import pytest

from radvlm_course.phantoms.film import plan_film
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.lab.candidates import KINDS, make_candidates
from radvlm_course.rewards.lab.survey import (
    HONEST,
    STRATEGIES,
    Survey,
    looking_pays,
    phantom_example,
    score_candidates,
    survey_rewards,
)


@pytest.fixture(scope="module")
def survey() -> Survey:
    return survey_rewards(range(60), ["gleu", "fact_precision", "fact_recall", "fact_f1"])


def test_the_table_of_one_film_holds_what_each_reward_says():
    film = plan_film(0)
    example, made = phantom_example(film), make_candidates(film, np.random.default_rng(0))
    table = score_candidates(made, example, ["gleu", get_reward("fact_f1")])
    assert list(table) == list(made)
    for kind, text in made.items():
        assert table[kind] == {name: get_reward(name)([text], [example])[0] for name in ("gleu", "fact_f1")}
    assert set(table["reference"].values()) == {1.0} and set(table["empty"].values()) == {0.0}


def test_every_kind_is_scored_on_the_films_that_have_it(survey):
    assert set(survey.values) == {*KINDS, *STRATEGIES}
    normal = [not plan_film(seed).case.lesions for seed in range(60)]
    assert np.isnan(survey.values["omission"]["gleu"]).tolist() == normal
    assert survey.mean("reference", "fact_f1") == 1.0


def test_a_margin_is_the_mean_of_differences_on_common_films():
    nan = math.nan
    values = {HONEST: {"r": np.array([0.2, 0.4, 0.9])}, "wrong side": {"r": np.array([0.5, 0.5, nan])}}
    margin = Survey(values).margin("wrong side", "r")
    assert margin.mean == pytest.approx(0.2)  # differences 0.3 and 0.1
    assert margin.error == pytest.approx(0.1)  # their standard deviation 0.141 over the root of 2
    assert margin.films == 2 and not margin.is_clear


def test_one_film_has_no_standard_error():
    margin = Survey({HONEST: {"r": np.array([0.0])}, "empty": {"r": np.array([1.0])}}).margin("empty", "r")
    assert math.isnan(margin.error) and not margin.is_clear


def test_precision_is_gamed_by_shortening_recall_by_saying_everything_and_f1_by_neither(survey):
    assert list(survey.gamed_by("fact_precision")) == ["surest sentence"]
    assert list(survey.gamed_by("fact_recall")) == ["everything at once"]
    assert survey.gamed_by("fact_f1") == {}


def test_words_pay_every_error_above_the_paraphrase_and_facts_see_all_but_severity(survey):
    wrong = {"sentence added", "flipped negation", "wrong side", "changed severity", "omission"}
    assert set(survey.blind_to("gleu")) == wrong
    assert set(survey.blind_to("fact_f1")) == {"changed severity"}
    assert set(survey.blind_to("fact_precision")) == {"changed severity", "omission"}


def test_a_seed_gives_the_same_survey(survey):
    again = survey_rewards(range(60), ["fact_f1"])
    for kind in survey.values:
        np.testing.assert_array_equal(again.values[kind]["fact_f1"], survey.values[kind]["fact_f1"])


def test_looking_pays_for_good_readers_and_not_for_bad_ones():
    curve = looking_pays(range(60), ["gleu", "fact_f1"], [0.0, 0.4, 0.9])
    for earned, blind in curve.values():
        assert sorted(earned, reverse=True) == earned
        assert earned[0] > blind > earned[-1]


def test_normal_films_alone_have_no_side_to_swap():
    normal = [seed for seed in range(60) if not plan_film(seed).case.lesions][:3]
    survey = survey_rewards(normal, ["fact_f1"])
    assert survey.mistakes() == ["sentence added", "flipped negation"]
    assert survey.films == 3 and survey.blind_to("fact_f1") == {}


def test_no_phantom_is_refused():
    with pytest.raises(ValueError, match="at least one phantom"):
        survey_rewards([], ["gleu"])
