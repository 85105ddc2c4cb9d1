"""Marked sentences: exactly the words that the rules find, on every line of a long sentence."""

import pytest

from radvlm_course.viz.priors import mark_priors


def marked(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_bbox_patch() is not None]


def test_the_words_of_a_reference_are_marked_and_its_rule_is_named(helpers):
    figure = mark_priors(["The heart size is unchanged.", "Small left effusion."])
    assert marked(figure) == ["unchanged."]
    assert {"unchanged", "none"} <= set(helpers.texts(figure))
    assert helpers.inside(figure)


def test_innocent_senses_are_not_marked():
    assert marked(mark_priors(["Consolidation is worse on the left.", "Prior granulomatous disease."])) == []


def test_a_long_sentence_is_broken_and_still_marked(helpers):
    long = "There is " + "very " * 40 + "much fluid, which has increased."
    figure = mark_priors([long])
    assert marked(figure) == ["has", "increased."]
    assert helpers.inside(figure)


def test_no_sentence_is_an_error():
    with pytest.raises(ValueError, match="expected at least one"):
        mark_priors([])
