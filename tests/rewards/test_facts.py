"""Facts of phantom reports: what is read, what agrees, and how each measure is cheated."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward
from radvlm_course.rewards.facts import compare_facts, report_facts

REFERENCE = "Mild cardiomegaly. Small left pleural effusion. No pneumothorax is seen."
TRUE = {("cardiomegaly", "", True), ("pleural effusion", "left", True), ("pneumothorax", "", False)}


def asked(report: str = REFERENCE, source: str = "phantom") -> Example:
    return Example("e1", "report_generation", "", "Write.", report, source=source)


def earned(response: str) -> tuple[float, ...]:
    return tuple(get_reward(f"fact_{kind}")([response], [asked()])[0] for kind in ("precision", "recall", "f1"))


def test_a_fact_is_a_finding_with_its_side_or_its_absence() -> None:
    assert report_facts(REFERENCE) == TRUE
    assert report_facts("The lungs are clear.") == {
        (finding, "", False) for finding in ("consolidation", "nodule", "atelectasis", "edema")
    }
    assert report_facts("Normal chest radiograph.") == report_facts("") == frozenset()


def test_who_says_both_states_both() -> None:
    both = report_facts("The lungs are clear. Left upper lung nodule. No nodule or mass.")
    assert {("nodule", "left", True), ("nodule", "", False)} <= both


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (REFERENCE, (1, 1, 1)),
        ("No pneumothorax.", (1, 1 / 3, 1 / 2)),  # one fact, right: precision is content
        ("Small right pleural effusion.", (0, 0, 0)),
        ("Mild cardiomegaly. Small right pleural effusion.", (1 / 2, 1 / 3, 2 / 5)),
        (f"{REFERENCE} No pleural effusion. Small right pneumothorax.", (3 / 5, 1, 3 / 4)),  # and recall is
        ("A fine film.", (0, 0, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_values_worked_out_by_hand(response: str, expected: tuple[float, ...]) -> None:
    assert earned(response) == pytest.approx(expected)


def test_severity_is_no_fact() -> None:
    assert earned(REFERENCE.replace("Small", "Large").replace("Mild", "Severe")) == (1, 1, 1)


def test_a_report_without_facts_is_matched_by_another_one() -> None:
    assert get_reward("fact_f1")(["All is well.", "Edema."], [asked("Normal chest radiograph.")] * 2) == [1.0, 0.0]


def test_reports_of_patients_are_refused() -> None:
    with pytest.raises(RewardError, match=r"'e1' comes from mimic_cxr: use radgraph or chexbert"):
        get_reward("fact_f1")(["No effusion."], [asked(source="mimic_cxr")])
    assert get_reward("fact_f1")(["No effusion."], [asked("No effusion.", source="")]) == [1.0]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="precision, recall, f1; found 'accuracy'"):
        get_reward("fact_f1", kind="accuracy")


FACTS = st.frozensets(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["left", "right", ""]), st.booleans()), max_size=6
)


@settings(deadline=None)
@given(FACTS, FACTS)
def test_f1_lies_between_precision_and_recall_and_swapping_swaps_them(stated, true) -> None:
    found, swapped = compare_facts(stated, true), compare_facts(true, stated)
    assert min(found["precision"], found["recall"]) <= found["f1"] + 1e-12
    assert found["f1"] <= max(found["precision"], found["recall"]) + 1e-12
    assert (found["precision"], found["f1"]) == (swapped["recall"], swapped["f1"])
    assert (found["f1"] == 1) == (stated == true)
