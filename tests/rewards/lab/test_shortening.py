"""Expected precision, recall and F1 by hand, their best lengths, and the same on phantoms."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.phantoms.film import plan_film
from radvlm_course.phantoms.reports import join_clauses
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.lab.shortening import best_length, expected_scores, measure_lengths
from radvlm_course.rewards.lab.strategies import Reader
from radvlm_course.rewards.lab.survey import phantom_example, read_films


def test_expectations_by_hand():
    scores = expected_scores([0.9, 0.6, 0.3], true=4)
    assert scores["precision"] == pytest.approx([0, 0.9, 0.75, 0.6])
    assert scores["recall"] == pytest.approx([0, 0.225, 0.375, 0.45])
    assert scores["f1"] == pytest.approx([0, 1.8 / 5, 3.0 / 6, 3.6 / 7])


def test_expectations_equal_the_mean_over_all_outcomes():
    chances, true = [0.8, 0.5, 0.4], 3
    found = expected_scores(chances, true)
    for stated in (1, 2, 3):
        mean = {"precision": 0.0, "recall": 0.0, "f1": 0.0}
        for outcome in itertools.product([0, 1], repeat=stated):
            weight = np.prod([p if right else 1 - p for p, right in zip(chances, outcome, strict=False)])
            agreed = sum(outcome)
            mean["precision"] += weight * agreed / stated
            mean["recall"] += weight * agreed / true
            mean["f1"] += weight * 2 * agreed / (stated + true)
        for kind, value in mean.items():
            assert found[kind][stated] == pytest.approx(value)


CHANCES = st.lists(st.floats(0.01, 1), min_size=1, max_size=12).map(lambda values: sorted(values, reverse=True))


@settings(deadline=None)
@given(CHANCES, st.integers(1, 12))
def test_precision_wants_one_fact_recall_all_and_f1_those_above_half_of_itself(chances, true):
    scores = expected_scores(chances, true)
    assert scores["precision"][best_length(scores["precision"])] == pytest.approx(chances[0])
    assert scores["recall"][-1] == max(scores["recall"])
    best = best_length(scores["f1"])
    assert all(chance >= scores["f1"][best] / 2 - 1e-9 for chance in chances[:best])
    assert all(chance <= scores["f1"][best] / 2 + 1e-9 for chance in chances[best:])


def test_a_stricter_match_makes_f1_prefer_shorter_reports():
    chances = np.linspace(0.95, 0.3, 8)
    lengths = [best_length(expected_scores(chances**parts, 8)["f1"]) for parts in (1, 2, 3)]
    assert lengths == [7, 6, 5]


def test_certainty_is_worth_everything():
    assert best_length(expected_scores([1.0] * 5, 5)["f1"]) == 5


@pytest.mark.parametrize("chances", [[0.5, 0.6], [1.2], [-0.1]])
def test_chances_out_of_order_or_range_are_refused(chances):
    with pytest.raises(ValueError, match="within 0 and 1 from the surest down"):
        expected_scores(chances, 3)
    with pytest.raises(ValueError, match="at least one fact"):
        expected_scores([0.5], 0)


@pytest.fixture(scope="module")
def lengths():
    return measure_lengths(range(80), reader=Reader.erring(0.4))


def test_on_phantoms_too_precision_shortens_and_recall_and_f1_do_not(lengths):
    last = len(lengths.characters)
    assert lengths.best("fact_precision") == 1
    assert lengths.best("fact_recall") >= last - 2 and lengths.best("fact_f1") >= 4
    assert lengths.rewards["fact_recall"] == sorted(lengths.rewards["fact_recall"])


def test_reports_grow_with_the_sentences_kept_until_they_are_whole(lengths):
    assert list(lengths.characters) == sorted(lengths.characters)
    assert lengths.characters[0] < 40 < 100 < lengths.characters[-1]
    films = [plan_film(seed) for seed in range(80)]
    whole = [join_clauses(clauses) for clauses in read_films(films, Reader.erring(0.4), seed=0)]
    for name, earned in lengths.rewards.items():
        honest = get_reward(name)(whole, [phantom_example(film) for film in films])
        assert earned[-1] == pytest.approx(np.mean(honest))


def test_no_phantom_is_refused():
    with pytest.raises(ValueError, match="at least one phantom"):
        measure_lengths([])
