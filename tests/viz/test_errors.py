"""The error browser: pages in order, controls that move through them, kinds of errors that add up."""

import numpy as np
import pytest
from PIL import Image

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.evaluation.errors import Case, finding_errors
from radvlm_course.phantoms import report_findings
from radvlm_course.records import Example
from radvlm_course.viz.errors import ALL, ErrorBrowser, draw_box_errors, draw_finding_errors, draw_report_change

TRUE, MIRRORED = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.1, 0.9, 0.4)


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(np.zeros((40, 60), dtype=np.uint8)).save(tmp_path / "film.png")
    return tmp_path


def boxed(number, value, box, label):
    example = Example(f"e{number}", "abnormality_grounding", "film.png", "Where?", "", (TRUE,), (label,))
    return Case(example, format_boxes([box]) if box else "None.", {}, value)


def grounding():
    worst = [boxed(number, 0.0, MIRRORED, "nodule") for number in range(9)]
    return {"sft": [*worst, boxed(9, 1.0, TRUE, "edema")], "other": [boxed(0, 0.0, None, "nodule")]}


def reports():
    texts = (("Right nodule.", 0.1), ("Left pleural effusion.", 0.9))
    example = Example("r", "report_generation", "film.png", "Write.", "Left pleural effusion.")
    return {"m": [Case(example, text, {}, value) for text, value in texts]}


def test_the_worst_come_first_a_page_at_a_time(folder, helpers):
    browser = ErrorBrowser(grounding(), "soft_f1", root=folder)
    figure = browser.render()
    texts = helpers.texts(figure)
    assert "sft, all labels, worst first: 1 to 8 of 10" in texts
    assert any(text.replace("\n", " ") == "nodule: soft-F1 0.00, other side" for text in texts)
    assert helpers.inside(figure)
    browser.place = 8
    assert any("edema: soft-F1 1.00, right" in text for text in helpers.texts(browser.render()))


def test_the_best_come_first_if_asked_and_a_label_can_be_chosen(folder, helpers):
    browser = ErrorBrowser(grounding(), "soft_f1", root=folder, worst_first=False)
    assert browser.shown[0].value == 1.0
    browser.label = "nodule"
    assert "sft, nodule, best first: 1 to 8 of 9" in helpers.texts(browser.render())
    assert browser.labels == [ALL, "edema", "nodule"]


def test_the_controls_change_what_is_shown_and_a_place_beyond_the_end_moves_back(folder):
    browser = ErrorBrowser(grounding(), "soft_f1", root=folder)
    drawn = []
    model, order, label, place = browser.controls(lambda: drawn.append(browser.place)).children
    place.value = 8
    assert (browser.place, drawn) == (8, [8])
    label.value = "edema"
    assert (browser.label, browser.place, place.max) == ("edema", 0, 0)
    label.value = ALL
    model.value = "other"
    order.value = False
    assert (browser.model, browser.worst_first, len(browser.shown)) == ("other", False, 1)


def test_reports_are_shown_one_by_one_with_their_findings(folder, helpers):
    browser = ErrorBrowser(reports(), "gleu", report_findings, folder)
    figure = browser.render()
    texts = helpers.texts(figure)
    assert "worst first: 1 of 2, GLEU 0.10" in texts
    assert "matched: none · missed: left pleural effusion · invented: right nodule" in texts
    assert helpers.inside(figure)


def test_what_cannot_be_browsed_is_refused():
    with pytest.raises(ValueError, match="found none"):
        ErrorBrowser({}, "soft_f1")
    with pytest.raises(ValueError, match="a labeller"):
        ErrorBrowser(reports(), "gleu")
    with pytest.raises(ValueError, match="abnormality_grounding, report_generation"):
        ErrorBrowser(grounding() | reports(), "gleu")


def test_the_kinds_of_box_errors_add_up_to_n(helpers):
    figure = draw_box_errors(grounding()["sft"], "a title")
    texts = helpers.texts(figure)
    assert {"nodule (n = 9)", "edema (n = 1)", "9", "1", "other side", "right"} <= set(texts)
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="at least one case"):
        draw_box_errors([])


def test_the_findings_of_reports_add_up_to_n(helpers):
    rows = [
        {"findings_predicted": [["nodule", "left"]], "findings_true": [["nodule", side]]} for side in ("left", "right")
    ]
    figure = draw_finding_errors(finding_errors(rows))
    assert {"nodule (n = 2)", "matched", "wrong side", "missed", "invented"} <= set(helpers.texts(figure))
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="at least one finding"):
        draw_finding_errors({})


def test_reports_of_one_film_stand_below_each_other_with_their_scores(folder, helpers):
    before, after = reports()["m"]
    for case in (before, after):
        object.__setattr__(case.example, "image_path", str(folder / "film.png"))
    figure = draw_report_change({"start": before, "trained": after}, "GLEU", report_findings)
    assert {"start, GLEU 0.10", "trained, GLEU 0.90"} <= set(helpers.texts(figure))
    with pytest.raises(ValueError, match="answers to one example, found e0, r"):
        draw_report_change({"start": before, "other": boxed(0, 0.0, None, "nodule")}, "GLEU", report_findings)
