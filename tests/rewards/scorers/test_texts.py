"""Preparing texts: strip, cut, lower case, half surrogates."""

from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.rewards.scorers.texts import MAX_CHARACTERS, prepare


def test_a_text_is_stripped_then_cut_then_lower_cased() -> None:
    assert prepare("  No Effusion. ", lower=True, max_characters=6) == "no eff"
    assert prepare(" " * 5000 + "Clear", max_characters=MAX_CHARACTERS) == "Clear"
    assert prepare("No Effusion.") == "No Effusion."


def test_half_surrogates_become_question_marks_and_whole_characters_stay() -> None:
    assert prepare("\udc80 clear 😀 é") == "? clear 😀 é"


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=50))
def test_every_text_can_be_encoded_afterwards(text: str) -> None:
    prepare(text, lower=True, max_characters=20).encode()
