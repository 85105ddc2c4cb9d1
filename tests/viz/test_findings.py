"""Highlighted findings: each sentence by what it affirms, stripes where that is mixed, nothing for a denial."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from radvlm_course.phantoms import report_findings
from radvlm_course.viz.findings import draw_findings, mark_findings

REFERENCE = "Small left pleural effusion. Mild cardiomegaly. No pneumothorax."


def kinds(figure):
    """Bands of each kind, by their name."""
    found = [patch.get_gid() for patch in figure.findobj(Rectangle) if patch.get_gid()]
    return {kind: found.count(kind) for kind in set(found)}


def test_a_sentence_is_marked_by_the_pairs_that_it_affirms():
    response = "Bilateral pleural effusions. No pneumothorax. Nodule in the right upper lung."
    marked = mark_findings(response, report_findings(REFERENCE), report_findings)
    assert [(sentence.text, sentence.states) for sentence in marked] == [
        (
            "Bilateral pleural effusions.",
            {("pleural effusion", "left"): "matched", ("pleural effusion", "right"): "invented"},
        ),
        ("No pneumothorax.", {}),
        ("Nodule in the right upper lung.", {("nodule", "right"): "invented"}),
    ]


def test_what_the_reference_has_alone_is_missed():
    marked = mark_findings(REFERENCE, {("pleural effusion", "left")}, report_findings, reference=True)
    states = [list(sentence.states.values()) for sentence in marked]
    assert states == [["matched"], ["missed"], []]


def test_a_sentence_adds_nothing_that_the_whole_report_does_not_affirm():
    def normal_if_nothing_else(text):
        return {("effusion", "")} if "effusion" in text.lower() else {("No Finding", "")}

    marked = mark_findings("Effusion. The heart is normal.", (), normal_if_nothing_else)
    assert [list(sentence.states) for sentence in marked] == [[("effusion", "")], []]


def test_reports_below_each_other_with_what_is_matched_missed_and_invented(helpers):
    film = np.zeros((60, 40))
    responses = {"sft": "Bilateral pleural effusions. No pneumothorax.", "silent": None}
    figure = draw_findings(responses, REFERENCE, report_findings, film, "a title that is long " * 8)
    assert kinds(figure) == {"matched": 2, "invented": 1, "missed": 1}
    texts = helpers.texts(figure)
    assert "matched: left pleural effusion · missed: cardiomegaly · invented: right pleural effusion" in texts
    assert {"reference (missed: by all)", "silent", "(no report)"} <= set(texts)
    assert helpers.inside(figure)


def test_a_band_runs_over_every_line_of_its_sentence(helpers):
    long = (
        "Small left pleural effusion " + "which is seen at the base of the lung and is small and on the left " * 3 + "."
    )
    figure = draw_findings({"m": long}, long, report_findings)
    assert kinds(figure)["matched"] > 4
    assert helpers.inside(figure)


def test_two_normal_reports_say_that_nothing_is_abnormal_in_either(helpers):
    figure = draw_findings({"m": "The lungs are clear."}, "No pneumothorax.", report_findings)
    assert "nothing abnormal in either" in helpers.texts(figure)
    assert kinds(figure) == {}


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="at least one report"):
        draw_findings({}, REFERENCE, report_findings)
