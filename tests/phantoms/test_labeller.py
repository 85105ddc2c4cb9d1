"""The labeller reads the grammar's reports back exactly, and survives any text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.phantoms import FINDINGS, label_report, report_findings
from radvlm_course.phantoms.labeller import find_mentions

CASES = [
    ("No pleural effusion or pneumothorax.", set()),
    ("There is no consolidation, pneumothorax or pleural effusion.", set()),
    ("Small left pleural effusion. No pneumothorax.", {("pleural effusion", "left")}),
    ("No pneumothorax but a small left effusion.", {("pleural effusion", "left")}),
    ("No pneumothorax, small left effusion.", {("pleural effusion", "left")}),
    ("Large right effusion, no pneumothorax.", {("pleural effusion", "right")}),
    ("Moderate bilateral pleural effusions.", {("pleural effusion", "left"), ("pleural effusion", "right")}),
    ("Effusions on both sides.", {("pleural effusion", "left"), ("pleural effusion", "right")}),
    ("Possible small left pleural effusion.", {("pleural effusion", "left")}),
    ("A left pneumothorax cannot be excluded.", {("pneumothorax", "left")}),
    ("Pneumothorax is not seen.", set()),
    ("Pleural effusion and pneumothorax are not seen.", set()),
    ("Effusion on the left, pneumothorax is not seen.", {("pleural effusion", "left")}),
    ("The heart is not enlarged.", set()),
    ("The heart is mildly enlarged.", {("cardiomegaly", "")}),
    ("Moderately enlarged cardiac silhouette.", {("cardiomegaly", "")}),
    ("No enlargement of the heart.", set()),
    ("Mild pulmonary edema.", {("edema", "left"), ("edema", "right")}),
    ("Mild edema in the left lung.", {("edema", "left")}),
    (
        "Nodule in the right upper lung and mass in the left lower lung.",
        {("nodule", "right"), ("nodule", "left")},
    ),
    (
        "Consolidation in the right upper and left mid lungs.",
        {("consolidation", "right"), ("consolidation", "left")},
    ),
    (
        "Small left pleural effusion and right chest tube.",
        {("pleural effusion", "left"), ("support devices", "right")},
    ),
    ("Left pleural effusion and pneumothorax.", {("pleural effusion", "left"), ("pneumothorax", "left")}),
    ("Left pacemaker with its lead in the right ventricle.", {("support devices", "left")}),
    ("Consolidation.", {("consolidation", "")}),
    ("", set()),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_affirmed_findings_and_sides(text: str, expected: set[tuple[str, str]]) -> None:
    assert report_findings(text) == expected


def test_doubt_counts_as_affirmed_and_is_labelled_apart() -> None:
    text = "Possible small left pleural effusion. No pneumothorax. Mild cardiomegaly."
    assert ("pleural effusion", "left") in report_findings(text)
    assert label_report(text) == {"cardiomegaly": 1, "pleural effusion": -1, "pneumothorax": 0}


def test_clear_lungs_and_a_normal_heart_deny_their_findings() -> None:
    labels = label_report("The lungs are clear. The heart size is normal.")
    assert labels == dict.fromkeys(("cardiomegaly", "consolidation", "nodule", "atelectasis", "edema"), 0)


def test_an_affirmation_outweighs_a_denial_elsewhere() -> None:
    assert label_report("No consolidation. Consolidation in the left lower lung.") == {"consolidation": 1}
    assert label_report("Consolidation in the left lower lung. No consolidation.") == {"consolidation": 1}


WORDS = st.sampled_from(
    [
        "no",
        "not",
        "without",
        "left",
        "right",
        "bilateral",
        "small",
        "effusion",
        "pneumothorax",
        "consolidation",
        "nodule",
        "and",
        "or",
        "with",
        ",",
        ".",
        "but",
        "possible",
        "edema",
        "heart",
        "is",
        "enlarged",
        "the",
        "cannot",
        "be",
        "excluded",
    ]
)


@given(st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=40).map(" ".join)))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_known_findings_and_sides(text: str) -> None:
    pairs = report_findings(text)
    assert all(finding in FINDINGS and side in ("left", "right", "") for finding, side in pairs)
    assert {finding for finding, _ in pairs} == {name for name, value in label_report(text).items() if value}


@pytest.mark.parametrize("text", ["no effusion and " * 5000, "[" * 10_000, "effusion " * 10_000, "not " * 20_000])
def test_long_texts_take_no_long_time(text: str) -> None:
    start = time.perf_counter()
    find_mentions(text)
    assert time.perf_counter() - start < 5
