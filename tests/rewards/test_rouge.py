"""rouge_1, rouge_2, rouge_l against hand-counted words, pairs of words and common subsequences."""

import pytest

from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward


def rouge(kind: str, response: str, reference: str) -> float:
    example = Example("e1", "report_generation", "film.png", "Report?", reference)
    return get_reward(f"rouge_{kind}")([response], [example])[0]


@pytest.mark.parametrize(
    ("response", "reference", "expected"),
    [
        ("No pleural effusion.", "no pleural effusion", 1.0),  # case and punctuation do not count
        ("small effusions", "Small effusion.", 1.0),  # stems
        # common subsequence "no effusion": precision 2/2, recall 2/3
        ("No effusion.", "No pleural effusion.", 2 * 1 * (2 / 3) / (1 + 2 / 3)),
        # order counts: only one of the two words is in order
        ("effusion no", "no effusion", 0.5),
        ("clear", "no effusion", 0.0),
        ("[" * 10_000, "no effusion", 0.0),
        (" ", "no effusion", 0.0),
    ],
)
def test_hand_computed_pairs_of_rouge_l(response: str, reference: str, expected: float) -> None:
    assert rouge("l", response, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("response", "reference", "one", "two"),
    [
        ("No pleural effusion.", "no pleural effusion", 1.0, 1.0),
        ("effusion no", "no effusion", 1.0, 0.0),  # the same words, no pair in common
        # words: 2 of 2 and 2 of 3; pairs: none of 1 and 2
        ("No effusion.", "No pleural effusion.", 0.8, 0.0),
        # words: 3 of 4 on each side; pairs: "no pleural" of 3 on each side
        ("no pleural thickening effusion", "no pleural effusion seen", 0.75, 1 / 3),
        ("clear", "clear", 1.0, 0.0),  # one word makes no pair
    ],
)
def test_hand_computed_pairs_of_rouge_1_and_2(response: str, reference: str, one: float, two: float) -> None:
    assert rouge("1", response, reference) == pytest.approx(one)
    assert rouge("2", response, reference) == pytest.approx(two)


def test_a_reference_without_a_word_is_refused_by_name() -> None:
    with pytest.raises(RewardError, match=r"example 'e1' has no word \('---'\)"):
        rouge("l", "No effusion.", "---")


def test_an_unknown_kind_is_refused() -> None:
    from radvlm_course.rewards.rouge import Rouge

    with pytest.raises(ValueError, match="'1', '2' or 'l', found '3'"):
        Rouge("3")  # type: ignore[arg-type]
