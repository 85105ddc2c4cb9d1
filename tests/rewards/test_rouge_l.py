"""rouge_l against hand-computed longest common subsequences."""

import pytest

from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward


def rouge_l(response: str, reference: str) -> float:
    example = Example("e1", "report_generation", "film.png", "Report?", reference)
    return get_reward("rouge_l")([response], [example])[0]


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
def test_hand_computed_pairs(response: str, reference: str, expected: float) -> None:
    assert rouge_l(response, reference) == pytest.approx(expected)


def test_a_reference_without_a_word_is_refused_by_name() -> None:
    with pytest.raises(RewardError, match=r"example 'e1' has no word \('---'\)"):
        rouge_l("No effusion.", "---")
