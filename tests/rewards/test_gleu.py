"""gleu against hand-counted n-grams and the values that google_bleu's documentation gives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward
from radvlm_course.rewards.gleu import Gleu

VOCABULARY = ["No", "pleural", "effusion", "or", "pneumothorax", ".", ",", "heart", "1.5", "cm"]
words = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=20)
reports = words.map(" ".join)


def example(answer: str, identifier: str = "e1") -> Example:
    return Example(identifier, "report_generation", "film.png", "Report?", answer)


def gleu(response: str, reference: str) -> float:
    return get_reward("gleu")([response], [example(reference)])[0]


@pytest.mark.parametrize(
    ("response", "reference", "expected"),
    [
        # tokens: No effusion . (3 + 2 + 1 n-grams) against No pleural effusion . (4 + 3 + 2 + 1);
        # shared: No, effusion, ., "effusion ."
        ("No effusion.", "No pleural effusion.", 4 / 10),
        ("No pleural effusion.", "No effusion.", 4 / 10),
        # a negation flip: pleural effusion . (3 + 2 + 1) all shared, of 10
        ("pleural effusion.", "No pleural effusion.", 6 / 10),
        ("No effusion.", "No effusion.", 1.0),
        ("Normal", "normal", 0.0),  # case is kept
        ("a a a", "a", 1 / 6),  # repeated words are counted as often as the reference has them
        ("clear", "No effusion.", 0.0),
    ],
)
def test_hand_counted_pairs(response: str, reference: str, expected: float) -> None:
    assert gleu(response, reference) == pytest.approx(expected)


def test_tokens_are_those_of_13a() -> None:
    text = "The heart's 1.5 cm, (mildly) enlarged; no effusion/edema. &quot;x&quot;\nStable"
    assert Gleu().tokens(text) == [
        *["The", "heart's", "1.5", "cm", ",", "(", "mildly", ")", "enlarged", ";", "no", "effusion", "/", "edema"],
        *[".", '"', "x", '"', "Stable"],
    ]


def test_the_documented_example_of_google_bleu() -> None:
    from nltk.translate.gleu_score import corpus_gleu

    tokens = Gleu().tokens
    responses = [
        "It is a guide to action which ensures that the rubber duck always disobeys the commands of the cat",
        "he read the book because he was interested in world history",
    ]
    references = [
        "It is the guiding principle which guarantees the rubber duck forces never being under the command of the cat",
        "he was interested in world history because he read the book",
    ]
    pooled = corpus_gleu([[tokens(text)] for text in references], [tokens(text) for text in responses])
    assert round(pooled, 2) == 0.44  # the value on google_bleu's metric card
    # pair by pair: 17 of 70 and 30 of 38 n-grams
    scores = get_reward("gleu")(responses, [example(text, str(i)) for i, text in enumerate(references)])
    assert scores == pytest.approx([17 / 70, 30 / 38])


@given(reports, reports)
@settings(max_examples=50)
def test_range_symmetry_and_exact_match(first: str, second: str) -> None:
    assert 0.0 <= gleu(first, second) <= 1.0
    assert gleu(first, second) == pytest.approx(gleu(second, first))
    assert gleu(first, first) == 1.0


@given(st.lists(st.tuples(reports, reports), min_size=1, max_size=5))
@settings(max_examples=30)
def test_batch_gives_what_each_pair_gives_alone(pairs: list[tuple[str, str]]) -> None:
    score = get_reward("gleu")
    together = score([first for first, _ in pairs], [example(second) for _, second in pairs])
    assert together == [gleu(first, second) for first, second in pairs]


def test_a_hostile_completion_has_a_value() -> None:
    assert gleu("[" * 10_000, "No effusion.") == 0.0
    assert gleu("\udc80 \x00", "No effusion.") == 0.0


def test_an_empty_response_earns_zero_and_an_empty_reference_is_refused_by_name() -> None:
    assert gleu("", "No effusion.") == 0.0
    with pytest.raises(RewardError, match=r"reference of example 'e1' is empty"):
        gleu("No effusion.", " \n")
