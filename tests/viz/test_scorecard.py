import pytest

from radvlm_course.phantoms.labeller import report_findings
from radvlm_course.records import Example
from radvlm_course.viz.scorecard import FINDINGS_SCORE, draw_scorecard, finding_agreement, score_reports

REFERENCE = "The heart size is normal. Small left pleural effusion. No pneumothorax is seen."
ASKED = Example("e1", "report_generation", "", "Write a report.", REFERENCE)


def test_words_and_facts_disagree_on_the_wrong_side():
    scores = score_reports({"same": REFERENCE, "side": REFERENCE.replace("left", "right")}, ASKED, report_findings)
    assert scores["same"] == {"GLEU": 1.0, "ROUGE-L": 1.0, FINDINGS_SCORE: 1.0}
    assert scores["side"]["GLEU"] > 0.7 and scores["side"][FINDINGS_SCORE] == 0.0


def test_without_a_labeller_there_is_no_column_of_facts():
    assert set(score_reports({"same": REFERENCE}, ASKED)["same"]) == {"GLEU", "ROUGE-L"}


@pytest.mark.parametrize(
    ("response", "reference", "expected"),
    [
        ("No effusion.", "The lungs are clear.", 1.0),
        ("No effusion.", REFERENCE, 0.0),
        ("Small left effusion. Left nodule.", REFERENCE, 2 / 3),
        ("", REFERENCE, 0.0),
    ],
)
def test_agreement_is_the_f1_of_findings_with_sides(response, reference, expected):
    assert finding_agreement(response, reference, report_findings) == pytest.approx(expected)


def test_the_picture_writes_every_value(helpers):
    scores = {"first": {"GLEU": 0.25, "facts": 1.0}, "second": {"GLEU": 0.75, "facts": 0.0}}
    figure = draw_scorecard(scores, "Two reports")
    assert {"0.25", "0.75", "1.00", "0.00", "first", "second", "Two reports"} <= set(helpers.texts(figure))
    assert helpers.inside(figure)


def test_no_report_is_no_picture():
    with pytest.raises(ValueError, match="at least one report"):
        draw_scorecard({})
