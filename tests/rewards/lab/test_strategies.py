"""The imperfect reader errs at its rates; the other strategies are what they are called."""

import numpy as np
import pytest

from radvlm_course.phantoms import FINDINGS, report_findings
from radvlm_course.phantoms.film import plan_film
from radvlm_course.phantoms.reports import Clause, join_clauses
from radvlm_course.rewards.facts import report_facts
from radvlm_course.rewards.lab.strategies import Reader, everything_at_once, sentence_chances, surest_first

FILMS = [plan_film(seed) for seed in range(150)]


def read(reader: Reader) -> list[str]:
    return [join_clauses(reader.report(film, np.random.default_rng(n))) for n, film in enumerate(FILMS)]


def test_a_reader_without_errors_reports_every_finding_and_no_other():
    for film, text in zip(FILMS, read(Reader.erring(0)), strict=True):
        assert report_findings(text) == report_findings(film.report)


def test_a_blind_reader_finds_nothing():
    blind = Reader(miss=1, wrong_side=0, wrong_grade=0, made_up=0)
    assert all(not report_findings(text) for text in read(blind))


def test_a_reader_misses_at_its_rate():
    found = true = 0
    for film, text in zip(FILMS, read(Reader(miss=0.4, wrong_side=0, wrong_grade=0, made_up=0)), strict=True):
        found, true = found + len(report_findings(text)), true + len(report_findings(film.report))
    assert found / true == pytest.approx(0.6, abs=0.06)


def test_a_mirroring_reader_never_names_the_right_side_of_a_one_sided_finding():
    mirrored = Reader(miss=0, wrong_side=1, wrong_grade=0, made_up=0)
    for film, text in zip(FILMS, read(mirrored), strict=True):
        other = {"left": "right", "right": "left", "": ""}
        assert report_findings(text) == {(name, other[side]) for name, side in report_findings(film.report)}


def test_a_rate_must_be_a_share():
    with pytest.raises(ValueError, match=r"miss within 0 and 1, found 1\.5"):
        Reader.erring(1.5)


def test_everything_at_once_affirms_and_denies_every_finding():
    facts = report_facts(everything_at_once())
    assert {(finding, "", False) for finding in FINDINGS if finding != "support devices"} <= facts
    assert {finding for finding, _, present in facts if present} == set(FINDINGS)
    assert {side for finding, side, present in facts if present and finding == "nodule"} == {"left", "right"}


EFFUSION = Clause("small left pleural effusion", ("pleural effusion",), 1)
CLEAR = Clause("no pneumothorax is seen", ("pneumothorax",), 0)
SUMMARY = Clause("normal chest radiograph", (), 0)


def test_chances_are_shares_of_right_facts_drawn_towards_one_half():
    reports = [([EFFUSION, CLEAR, SUMMARY], "Small left pleural effusion. Small left pneumothorax.")] * 3
    chances = sentence_chances(reports)
    assert chances == {(("pleural effusion",), 1): 4 / 5, (("pneumothorax",), 0): 1 / 5}


def test_the_surest_sentence_comes_first_and_one_that_states_nothing_last():
    chances = {(("pleural effusion",), 1): 0.3, (("pneumothorax",), 0): 0.9}
    assert surest_first([SUMMARY, EFFUSION, CLEAR], chances) == [CLEAR, EFFUSION, SUMMARY]
