"""Reports tell the truth of the film, in few words."""

import re

import pytest

from radvlm_course.phantoms import Phantom, label_report, report_findings
from radvlm_course.phantoms.film import plan_film
from radvlm_course.phantoms.findings import MOST_FINDINGS
from radvlm_course.phantoms.reports import Clause, join_clauses, wordings
from radvlm_course.phantoms.shapes import Lesion

WORD = re.compile(r"[a-z-]+")


def test_the_labeller_reads_every_report_back(phantoms: list[Phantom]) -> None:
    assert len(phantoms) >= 500
    for phantom in phantoms:
        assert report_findings(phantom.report) == phantom.affirmed, (phantom.seed, phantom.report)


def test_whatever_a_report_says_agrees_with_the_labels(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        labels = label_report(phantom.report)
        assert labels == {name: phantom.findings[name] for name in labels}, (phantom.seed, phantom.report)
        assert {name for name, value in phantom.findings.items() if value} <= set(labels)


def test_the_usual_negatives_are_never_left_out(phantoms: list[Phantom]) -> None:
    usual = {"cardiomegaly", "pleural effusion", "pneumothorax", "consolidation"}
    assert all(usual <= set(label_report(phantom.report)) for phantom in phantoms)


def test_reports_are_short_and_the_vocabulary_small(phantoms: list[Phantom]) -> None:
    words = [WORD.findall(phantom.report.lower()) for phantom in phantoms]
    assert min(map(len, words)) >= 11 and max(map(len, words)) <= 45
    assert len({word for each in words for word in each}) < 150
    assert max(len(phantom.abnormalities) for phantom in phantoms) <= MOST_FINDINGS


def test_normal_films_get_normal_reports(phantoms: list[Phantom]) -> None:
    normal = [phantom for phantom in phantoms if not phantom.abnormalities]
    assert normal and all(not report_findings(phantom.report) and not phantom.phrases for phantom in normal)
    assert len({phantom.report for phantom in normal}) > 5


def test_synonyms_order_and_doubt_vary(phantoms: list[Phantom]) -> None:
    text = " ".join(phantom.report.lower() for phantom in phantoms)
    for wording in ("cardiomegaly", "enlarged cardiac silhouette", "heart is mildly enlarged", "possible "):
        assert wording in text
    starts = {phantom.report.split(".")[0].lower() for phantom in phantoms}
    assert any("heart" in start for start in starts) and any("lung" in start for start in starts)


def test_phrases_stand_in_the_report_with_the_boxes_of_their_finding(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        for phrase, boxes in phantom.phrases.items():
            assert phrase in phantom.report.lower()
            (finding,) = {name for name, _ in report_findings(phrase)}
            assert boxes == phantom.abnormalities[finding]
        assert len(phantom.phrases) == len(phantom.abnormalities)


@pytest.mark.parametrize("finding", ["pleural effusion", "pneumothorax", "nodule", "consolidation"])
def test_sides_are_named(phantoms: list[Phantom], finding: str) -> None:
    for phantom in phantoms:
        sides = {side for name, side in report_findings(phantom.report) if name == finding}
        assert "" not in sides


def test_every_clause_is_one_of_its_wordings_and_all_of_them_say_the_same() -> None:
    for seed in range(150):
        film = plan_film(seed)
        assert join_clauses(film.clauses) == film.report
        for clause in film.clauses:
            said = wordings(clause, film.case.lesions)
            assert clause.text in said
            read = {(report_findings(text), tuple(label_report(text).items())) for text in said}
            assert len(read) == 1, said


def test_wordings_of_the_mirror_image_differ_in_the_side_alone() -> None:
    clause = Clause("", ("pleural effusion",), 1)
    left, right = (wordings(clause, [Lesion("pleural effusion", side, "lower", "small")]) for side in ("left", "right"))
    assert len(left) == 3
    assert right == tuple(text.replace("left", "right") for text in left)


def test_doubt_has_one_wording() -> None:
    nodule = Lesion("nodule", "left", "upper", "nodule")
    assert wordings(Clause("", ("nodule",), -1), [nodule]) == ("possible nodule in the left upper lung",)
