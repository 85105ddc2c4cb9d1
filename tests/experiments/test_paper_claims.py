"""Claims are the paper's: its tables bear out each sentence, and each check asks a question that exists."""

from __future__ import annotations

import pytest

from radvlm_course.experiments.catalogue import EXPERIMENTS
from radvlm_course.experiments.paper_claims import Claim, Published, claims_of

EVERY = [(name, claim) for name in EXPERIMENTS for claim in claims_of(name)]
IDS = [f"{name}: {claim.sentence}" for name, claim in EVERY]


def test_the_papers_numbers_are_read_from_its_tables_in_their_direction() -> None:
    reports = Published(1, "RadVLM", "RadVLM+RL", ("rouge_l", "radcliq"))
    assert reports.values("rouge_l") == (26.0, 29.9)
    assert reports.change("rouge_l") == pytest.approx(3.9)
    assert reports.change("radcliq") == pytest.approx(0.28)  # 1.14 - 0.86, lower is better
    assert reports.in_words() == (
        "RadVLM → RadVLM+RL: ROUGE-L 26.0 → 29.9, RadCliQ 1.14 → 0.86 (lower is better) (table 1, report generation)"
    )


def test_a_row_that_the_paper_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError):
        Published(1, "RadVLM-Thinking", "RadVLM+RL", ("rouge_l",)).values("rouge_l")


@pytest.mark.parametrize(("name", "claim"), EVERY, ids=IDS)
def test_a_claim_has_checks_or_a_reason_and_asks_what_the_experiment_asks(name: str, claim: Claim) -> None:
    assert bool(claim.checks) != bool(claim.untestable)
    titles = {question.title for question in EXPERIMENTS[name].questions}
    asked = {check.question for check in claim.checks} | {check.than for check in claim.checks if check.than}
    assert asked | set(claim.rests_on) <= titles


@pytest.mark.parametrize(("name", "claim"), EVERY, ids=IDS)
def test_the_papers_tables_bear_out_the_claim(name: str, claim: Claim) -> None:
    for check in claim.checks:
        changes = [item.change(column) for item in claim.published for column in item.columns]
        if check.expects == "higher":
            assert min(changes) > 0
        elif check.expects == "lower":
            assert max(changes) < 0
        elif check.expects == "larger gain":
            larger, smaller = claim.published
            assert all(larger.change(column) > smaller.change(column) for column in larger.columns)
        else:
            befores = [item.values(column)[0] for item in claim.published for column in item.columns]
            assert all(change < 0.02 * before for change, before in zip(changes, befores, strict=True))


def test_an_experiment_without_claims_is_an_error() -> None:
    with pytest.raises(KeyError, match="expected an experiment of matched_rl"):
        claims_of("nothing")
