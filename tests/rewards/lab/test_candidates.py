"""Candidates are what their names promise, as the labeller reads them."""

import numpy as np
import pytest

from radvlm_course.phantoms import label_report, report_findings
from radvlm_course.phantoms.film import plan_film
from radvlm_course.rewards.facts import report_facts
from radvlm_course.rewards.lab.candidates import KINDS, make_candidates, normal_report, random_lesion


@pytest.fixture(scope="module")
def every():
    """Films with their candidates."""
    films = [plan_film(seed) for seed in range(200)]
    return [(film, make_candidates(film, np.random.default_rng(number))) for number, film in enumerate(films)]


def having(every, kind):
    found = [(film, made[kind]) for film, made in every if kind in made]
    assert len(found) >= 100
    return found


def test_kinds_come_in_order_and_a_seed_gives_the_same_texts(every):
    for number, (film, made) in enumerate(every):
        assert list(made) == [kind for kind in KINDS if kind in made]
        assert made == make_candidates(film, np.random.default_rng(number))
        assert made["reference"] == film.report and made["empty"] == ""


def test_normal_films_lack_what_needs_a_finding(every):
    for film, made in every:
        missing = set(KINDS) - set(made)
        assert missing <= {"wrong side", "changed severity", "omission"}
        assert ("omission" in missing) == (not film.case.lesions)


def test_a_paraphrase_says_the_same_in_other_words(every):
    for film, text in having(every, "paraphrase"):
        assert report_facts(text) == report_facts(film.report)
        assert text != film.report
        assert len(text.split(". ")) == len(film.report.split(". "))


def test_a_wrong_side_is_one_word_and_one_finding(every):
    for film, text in having(every, "wrong side"):
        before, after = film.report.lower().split(), text.lower().split()
        changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        assert len(changed) == 1
        assert {word.strip(".") for word in changed[0]} == {"left", "right"}
        assert len(report_findings(film.report) - report_findings(text)) == 1


def test_a_changed_severity_keeps_every_fact_and_changes_one_word_a_sentence(every):
    for film, text in having(every, "changed severity"):
        assert report_facts(text) == report_facts(film.report)
        pairs = zip(film.report.split(". "), text.split(". "), strict=True)
        changed = [pair for pair in pairs if pair[0] != pair[1]]
        assert len(changed) == 1


def test_an_omission_says_nothing_of_one_finding_and_the_same_of_the_others(every):
    for film, text in having(every, "omission"):
        before, after = label_report(film.report), label_report(text)
        assert len(set(before) - set(after)) == 1
        assert all(after[finding] == before[finding] for finding in after)


def test_a_flipped_negation_turns_one_finding_over_with_a_small_word(every):
    for film, text in having(every, "flipped negation"):
        before, after = label_report(film.report), label_report(text)
        turned = [finding for finding in after if bool(before.get(finding)) != bool(after[finding])]
        assert turned
        if film.case.lesions:
            assert len(turned) == 1 and after[turned[0]] == 0
        else:
            assert all(after[finding] == 1 for finding in turned)
        assert abs(len(text.split()) - len(film.report.split())) <= 1


def test_an_added_sentence_is_a_finding_that_is_not_there(every):
    for film, text in having(every, "sentence added"):
        assert text.startswith(film.report)
        (finding,) = {name for name, _ in report_findings(text) - report_findings(film.report)}
        assert finding not in {lesion.finding for lesion in film.case.lesions}


def test_the_normal_report_denies_everything_that_it_names():
    assert normal_report().startswith("No acute abnormality. The heart size is normal.")
    assert not report_findings(normal_report())
    assert set(label_report(normal_report()).values()) == {0}


@pytest.mark.parametrize("finding", ["cardiomegaly", "nodule", "support devices"])
def test_a_random_lesion_has_what_its_wording_needs(finding):
    lesion = random_lesion(finding, np.random.default_rng(0))
    assert (lesion.side == "") == (finding == "cardiomegaly")
    assert (lesion.severity == "") == (finding == "support devices")
    assert (lesion.kind != "") == (finding == "support devices")
