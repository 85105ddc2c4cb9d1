"""Verdicts on claims: each branch from answers made by hand, and all claims of all experiments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from radvlm_course.experiments.catalogue import EXPERIMENTS
from radvlm_course.experiments.claims import VERDICTS, judge, judge_claim, read_aloud
from radvlm_course.experiments.paper_claims import Claim
from radvlm_course.experiments.results import Results, stored_results
from radvlm_course.experiments.verdicts import Check

Make = Callable[..., Results]
ON_GROUNDING, ON_REPORTS = "on grounding: change in grounding", "on reports: change in reports"
CLAIM = Claim("Both rise.", checks=(Check("higher", ON_GROUNDING), Check("higher", ON_REPORTS)))


def verdict(made_results: Make, changes: dict[str, tuple[float, float]], claim: Claim = CLAIM, **more: Any) -> Any:
    results = made_results("cross_task", changes, **more)
    return judge_claim(claim, {answer.question.title: answer for answer in results.answers})


def test_all_that_is_expected_is_reproduced(made_results: Make) -> None:
    found = verdict(made_results, {ON_GROUNDING: (0.05, 0.01), ON_REPORTS: (0.03, 0.01)})
    assert found.verdict == "reproduced"
    assert "+0.050 [+0.040, +0.060]" in found.reason and "+0.030 [+0.020, +0.040]" in found.reason


def test_an_effect_the_other_way_is_not_reproduced_and_says_so(made_results: Make) -> None:
    found = verdict(made_results, {ON_GROUNDING: (0.05, 0.01), ON_REPORTS: (-0.03, 0.01)})
    assert found.verdict == "not reproduced"
    assert found.reason.startswith("the opposite is shown: on reports: change in reports -0.030")


def test_an_effect_that_is_excluded_is_not_reproduced(made_results: Make) -> None:
    found = verdict(made_results, {ON_GROUNDING: (0.05, 0.01), ON_REPORTS: (0.0, 0.01)})
    assert found.verdict == "not reproduced"
    assert found.reason.startswith("an effect of that size is excluded: on reports")


def test_an_effect_that_is_neither_shown_nor_excluded_is_not_testable(made_results: Make) -> None:
    found = verdict(made_results, {ON_GROUNDING: (0.05, 0.01), ON_REPORTS: (0.03, 0.05)})
    assert found.verdict == "not testable at this size"
    assert found.reason.startswith("1 of 2 shown; not decided: on reports")
    assert "the interval holds zero" in found.reason


def test_the_opposite_weighs_more_than_what_is_open(made_results: Make) -> None:
    found = verdict(made_results, {ON_GROUNDING: (-0.05, 0.01), ON_REPORTS: (0.03, 0.05)})
    assert found.verdict == "not reproduced"


def test_two_seeds_are_too_few(made_results: Make) -> None:
    found = verdict(made_results, {}, seeds=(0.0, 0.001))
    assert (found.verdict, found.reason) == ("not testable at this size", "expected at least 3 seeds, found 2")


def test_a_claim_whose_ground_is_lacking_is_not_testable(made_results: Make) -> None:
    claim = Claim("Reports follow.", checks=(Check("no gain", ON_REPORTS),), rests_on=(ON_GROUNDING,))
    still = {ON_GROUNDING: (0.0, 0.01), ON_REPORTS: (0.0, 0.01)}
    found = verdict(made_results, still, claim)
    assert found.verdict == "not testable at this size"
    assert found.reason.startswith("RL itself showed no gain here: on grounding: change in grounding +0.000")
    assert verdict(made_results, still | {ON_GROUNDING: (0.05, 0.01)}, claim).verdict == "reproduced"


def test_what_a_laptop_cannot_test_says_why(made_results: Make) -> None:
    found = verdict(made_results, {}, Claim("It is so.", untestable="no weights"))
    assert (found.verdict, found.reason, found.findings) == ("not testable at this size", "no weights", ())


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_every_experiment_has_a_verdict_on_each_of_its_claims(name: str, made_results: Make) -> None:
    found = judge(made_results(name))
    assert found and {item.verdict for item in found} <= set(VERDICTS)


def test_the_shortening_reward_is_judged_by_words_and_by_findings(made_results: Make) -> None:
    changes = {
        "fact_precision: change of words": (-6.0, 1.0),
        "fact_precision: change of finding_f1_micro": (0.05, 0.01),
        "gleu: change of words": (0.2, 0.3),
    }
    found = {item.claim.sentence: item for item in judge(made_results("reward_choice", changes))}
    shorter = next(item for sentence, item in found.items() if "won by shortening" in sentence)
    missed = next(item for sentence, item in found.items() if "miss findings" in sentence)
    kept = next(item for sentence, item in found.items() if "as long as they were" in sentence)
    assert shorter.verdict == "reproduced" and "-6.0 [-7.0, -5.0]" in shorter.reason
    assert missed.verdict == "not reproduced"
    assert kept.verdict == "reproduced"


def test_read_aloud_has_the_papers_numbers_and_ours() -> None:
    text = read_aloud(stored_results("thinking"), width=90)
    assert text.startswith("Does explicit thinking help?")
    assert max(map(len, text.splitlines())) <= 90
    assert [line.split(".")[0] for line in text.splitlines() if line.startswith("   Here: ")] == [
        "   Here: NOT TESTABLE AT THIS SIZE",
        "   Here: REPRODUCED",
    ]
    unbroken = " ".join(text.split())
    assert "Abnormality 45.9 → 43.9 (table 2, visual grounding)" in unbroken
    assert "ROUGE-L 29.9 → 30.0" in unbroken
    assert "thinking - direct -0.008 [-0.013, -0.002] (seeds -0.009, -0.008, -0.006)" in unbroken


def test_the_stored_comparison_of_thinking_reproduces_reports_and_leaves_grounding_open() -> None:
    verdicts = [item.verdict for item in judge(stored_results("thinking"))]
    assert verdicts == ["not testable at this size", "reproduced"]
