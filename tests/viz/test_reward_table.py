import numpy as np
import pytest

from radvlm_course.rewards.lab.boxes import BOX_KINDS, BOX_STRATEGIES
from radvlm_course.rewards.lab.candidates import KINDS
from radvlm_course.rewards.lab.survey import HONEST, STRATEGIES, Survey
from radvlm_course.viz.reward_table import draw_margins, draw_reward_table

SCORES = {
    "reference": {"words": 1.0, "soft_f1_published": 1.4},
    "paraphrase": {"words": 0.25, "soft_f1_published": 1.1},
    "wrong side": {"words": 0.75, "soft_f1_published": -2.45},
}


def framed(figure) -> int:
    """How many cells have a frame."""
    return sum(not patch.get_fill() for patch in figure.axes[0].patches)


def test_every_value_every_note_and_both_names_are_written(helpers):
    notes = {"wrong side": "one finding on the other side"}
    figure = draw_reward_table(SCORES, notes, title="A table", caption="Source: nobody.")
    texts = helpers.texts(figure)
    assert {"1.00", "0.25", "0.75", "1.40", "1.10", "-2.45", "words", "A table", "Source: nobody."} <= set(texts)
    assert {"reference", "paraphrase", "wrong side", "one finding on the other side"} <= set(texts)
    assert "soft_f1_\npublished" in texts
    assert helpers.inside(figure)


def test_a_wrong_answer_that_earns_no_less_than_the_yardstick_is_framed(helpers):
    figure = draw_reward_table(SCORES, right=("reference", "paraphrase"), yardstick="paraphrase")
    assert framed(figure) == 1  # words pay the wrong side more
    assert "no less than \u201cparaphrase\u201d" in " ".join(helpers.texts(figure))
    tie = {**SCORES, "wrong side": SCORES["paraphrase"]}
    assert framed(draw_reward_table(tie, right=("reference", "paraphrase"), yardstick="paraphrase")) == 2
    assert framed(draw_reward_table(SCORES)) == 0


def test_long_notes_are_cut_and_stay_inside(helpers):
    figure = draw_reward_table(SCORES, {"reference": "what it is " * 20})
    assert any(text.endswith("…") for text in helpers.texts(figure))
    assert helpers.inside(figure)


@pytest.mark.parametrize(
    "about", [KINDS, STRATEGIES, BOX_KINDS, BOX_STRATEGIES], ids=["reports", "strategies", "boxes", "box strategies"]
)
def test_no_note_of_the_lab_is_cut(about, helpers):
    notes = {kind: getattr(said, "says", said) for kind, said in about.items()}
    figure = draw_reward_table({kind: {"gleu": 0.5} for kind in about}, notes)
    assert set(notes.values()) <= set(helpers.texts(figure))


def test_nothing_to_draw_and_an_unknown_yardstick_are_refused():
    with pytest.raises(ValueError, match="at least one candidate"):
        draw_reward_table({})
    with pytest.raises(ValueError, match=r"yardstick among reference.*found 'truth'"):
        draw_reward_table(SCORES, yardstick="truth")


@pytest.fixture
def survey():
    """Two films: one strategy pays under "short", no mistake costs under "blind"."""
    kinds = {*KINDS, *STRATEGIES}
    values = {kind: {"short": np.array([0.4, 0.5]), "blind": np.array([0.6, 0.6])} for kind in kinds}
    values["surest sentence"]["short"] = np.array([0.9, 0.98])
    for kind in ("sentence added", "flipped negation", "wrong side", "changed severity", "omission"):
        values[kind]["short"] = np.array([0.1, 0.1])
    values[HONEST]["blind"] = np.array([0.7, 0.7])
    values["empty"]["blind"] = np.array([0.0, np.nan])
    return Survey(values)


def test_margins_are_written_with_their_sign_and_what_pays_is_framed(survey, helpers):
    figure = draw_margins(survey, "Margins")
    texts = helpers.texts(figure)
    assert {"+0.49", "-0.35", "-0.70", "-0.10", "+0.00", "Margins"} <= set(texts)
    assert any("Means over 2 phantoms" in text for text in texts)
    assert framed(figure) == 1 + 5  # the surest sentence under "short", every mistake under "blind"
    assert helpers.inside(figure)
