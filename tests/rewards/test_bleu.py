"""bleu against hand-counted n-grams and nltk."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.records import Example
from radvlm_course.rewards import get_reward

reports = st.lists(st.sampled_from(["No", "effusion", "pleural", "or", ".", "1.5"]), min_size=1, max_size=12).map(
    " ".join
)


def bleu(response: str, reference: str) -> float:
    return get_reward("bleu")([response], [Example("e1", "report_generation", "film.png", "Report?", reference)])[0]


def test_hand_counted_pairs() -> None:
    # 5 tokens each; 1- to 4-grams in common: 4 of 5, 2 of 4, 1 of 3, and none of 2, which smoothing makes half of one
    expected = (4 / 5 * 2 / 4 * 1 / 3 * (1 / 2) / 2) ** 0.25
    assert bleu("no large pleural effusion .", "no small pleural effusion .") == pytest.approx(expected)
    # a response of two tokens: single words and the pair; shorter than the reference by half
    assert bleu("no effusion", "no effusion is seen") == pytest.approx(math.exp(1 - 4 / 2))
    assert bleu("No effusion", "no effusion") < 1.0  # case is kept
    assert bleu("No effusion.", "No effusion .") == 1.0  # 13a takes the full stop off


@given(reports, reports)
def test_range_and_exact_match(first: str, second: str) -> None:
    assert 0.0 <= bleu(first, second) <= 1.0
    assert bleu(first, first) == pytest.approx(1.0)


def test_hostile_texts_have_a_value() -> None:
    assert bleu("", "No effusion.") == 0.0
    assert bleu("\udc80 \x00", "No effusion.") == 0.0
