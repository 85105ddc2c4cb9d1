import numpy as np
import pytest

from radvlm_course.phantoms.labeller import report_findings
from radvlm_course.records import Example
from radvlm_course.viz.report_lab import OWN, ReportLab

REFERENCE = "The heart size is normal. Small left pleural effusion. No pneumothorax is seen."
ASKED = Example("e1", "report_generation", "", "Write a report.", REFERENCE)
CANDIDATES = {
    "reference": REFERENCE,
    "wrong side": REFERENCE.replace("left", "right"),
    "empty": "",
}


@pytest.fixture
def lab():
    film = np.zeros((40, 60))
    return ReportLab(
        ASKED, CANDIDATES, ["gleu", "fact_f1"], "wrong side", ["reference"], film, findings_of=report_findings
    )


def test_the_static_figure_shows_a_candidate_its_rewards_and_the_marks(lab, helpers):
    texts = helpers.texts(lab.render())
    assert {"reference", "wrong side", "gleu", "fact_f1", "what reference earns"} <= set(texts)
    assert f"{lab.scores()['fact_f1']:.2f}" == "0.67" and "0.67" in texts  # two of three facts on each side
    assert any("missed: left pleural effusion" in text for text in texts)
    assert helpers.inside(lab.render())


def test_a_report_of_ones_own_is_scored_and_a_known_one_is_recognised(lab, helpers):
    lab.write("Small left pleural effusion.")
    assert lab.name == OWN and lab.scores()["fact_f1"] == pytest.approx(1 / 2)
    assert "your own" in helpers.texts(lab.render())
    lab.write(REFERENCE)
    assert lab.name == "reference" and set(lab.scores().values()) == {1.0}


@pytest.mark.parametrize("text", ["", " \n", "word " * 3000, "épanchement 肺 😀 $x$"])
def test_any_text_can_be_tried(lab, helpers, text):
    lab.write(text)
    assert helpers.inside(lab.render())


def test_without_film_and_labeller_only_words_are_shown(helpers):
    lab = ReportLab(ASKED, CANDIDATES, ["gleu"])
    assert lab.name == "reference"
    assert not any("agrees" in text for text in helpers.texts(lab.render()))
    assert helpers.inside(lab.render())


def test_the_box_and_the_choice_move_together_and_redraw_once(lab):
    drawn = []
    choice, box, button = lab.controls(lambda: drawn.append((lab.name, lab.text))).children
    assert choice.value == "wrong side" and box.value == CANDIDATES["wrong side"]
    choice.value = "reference"
    assert box.value == REFERENCE and drawn == [("reference", REFERENCE)]
    box.value = "Large right pneumothorax."
    assert choice.value == OWN and drawn[1:] == [(OWN, "Large right pneumothorax.")]
    button.click()
    assert drawn[2:] == [(OWN, "Large right pneumothorax.")]


def test_candidates_must_exist():
    with pytest.raises(ValueError, match="at least one candidate"):
        ReportLab(ASKED, {}, ["gleu"])
    with pytest.raises(ValueError, match="found 'nobody'"):
        ReportLab(ASKED, CANDIDATES, ["gleu"], marks=["nobody"])
