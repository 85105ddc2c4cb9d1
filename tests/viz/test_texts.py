import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.rewards.gleu import Gleu
from radvlm_course.viz import style
from radvlm_course.viz.texts import comparison_html, draw_words, mark_words, missed_words, plain_words, words_height

VOCABULARY = ["no", "effusion", "seen", "the", "heart", "is", "enlarged", "."]
WORDS = st.lists(st.sampled_from(VOCABULARY), max_size=14).map(" ".join)


def runs(text, other):
    return [word.run for word in mark_words(text, other)]


def test_runs_are_counted_up_to_four():
    assert runs("a b c d e", "a b c d e") == [4] * 5
    assert runs("no pneumothorax", "pneumothorax no") == [1, 1]
    assert runs("new text", "old words") == [0, 0]


def test_a_word_that_the_reference_holds_once_is_shared_once():
    assert runs("effusion effusion effusion", "an effusion") == [1, 0, 0]


def test_case_matters_as_in_gleu():
    assert runs("the heart", "The heart") == [0, 1]


@given(WORDS, WORDS)
def test_a_word_is_shaded_exactly_if_gleu_counts_it(text, other):
    shared = Counter(text.split()) & Counter(other.split())
    marked = [word for word in mark_words(text, other) if word.run]
    assert shared <= Counter(word.text for word in marked)
    assert all(word.text in other.split() for word in marked)


def test_tokens_are_those_of_the_reward():
    text = "Heart size is normal. A 1.5 cm nodule (left lung), no effusion; well-defined: stable."
    assert [word.text for word in mark_words(text, "")] == Gleu().tokens(text)


def test_finding_words_say_whether_the_other_text_has_them():
    marked = {word.text: word.finding for word in mark_words("Left Effusion and a nodule.", "No effusion.")}
    assert marked["Effusion"] == "agreed"
    assert marked["nodule"] == "only here"
    assert marked["Left"] == ""


def test_missed_words_are_listed_once_in_order():
    assert missed_words("No effusion.", "Edema. Effusion. A nodule, another Nodule.") == ["edema", "nodule"]


def test_own_finding_words_replace_the_common_ones():
    assert missed_words("", "A widget and an effusion.", {"widget"}) == ["widget"]


def test_plain_words_are_not_shaded():
    assert {(word.run, word.finding) for word in plain_words("An effusion.")} == {(0, ""), (0, "named")}


def test_words_are_drawn_within_their_width_and_height():
    figure = style.new_figure(4, 3)
    paper = style.page(figure)
    words = mark_words("The heart is mildly enlarged. No effusion. " * 4, "No effusion.")
    height = draw_words(paper, words, 0.5, 0.25, 2.0)
    assert height == pytest.approx(words_height(words, 2.0))
    assert len(paper.texts) == len(words)
    for text, word in zip(paper.texts, words, strict=True):
        x, y = text.get_position()
        assert 0.5 <= x <= 2.5
        assert 0.25 <= y <= 0.25 + height
        assert (text.get_fontweight() == "bold") == bool(word.finding)


def test_html_is_escaped_and_holds_every_word():
    shown = comparison_html("<script>alert(1)</script> effusion", "No effusion & nodule")
    assert "<script>" not in shown
    assert "&lt;" in shown
    assert "&amp;" in shown
    assert "effusion nodule" not in shown
    assert re.sub(r"<[^>]+>", "", shown).count("effusion") == 2


def test_an_empty_text_is_said_to_be_empty():
    assert "(empty)" in comparison_html("", "No effusion.")
