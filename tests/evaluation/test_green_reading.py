"""GREEN's answers: the published format, good and broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.evaluation.green_reading import GreenJudgement, parse_green

GOOD = """[Explanation]:
The candidate misses a fracture and puts the effusion on the other side.

[Clinically Significant Errors]:
(a) False report of a finding in the candidate: 0.
(b) Missing a finding present in the reference: 2. Rib fractures; No pneumothorax.
(c) Misidentification of a finding's anatomic location/position: 1. Effusion is left, not right.
(d) Misassessment of the severity of a finding: 0.
(e) Mentioning a comparison that isn't in the reference: 0.
(f) Omitting a comparison detailing a change from a prior study: 0.

[Clinically Insignificant Errors]:
(a) False report of a finding in the candidate: 1. Clips.

[Matched Findings]:
3. Cardiomegaly; Atelectasis; Clear right lung."""


def test_counts_of_a_whole_answer() -> None:
    found = parse_green(GOOD)
    assert found == GreenJudgement((0, 2, 1, 0, 0, 0), (1, 0, 0, 0, 0, 0), 3)
    assert found.value == found.value_paper == 0.5


def test_insignificant_errors_cost_nothing() -> None:
    assert parse_green(GOOD.replace("1. Clips", "9. Clips")).value == 0.5


@pytest.mark.parametrize(
    ("text", "value", "paper"),
    [
        (GOOD.replace("3. Cardio", "0. Cardio"), 0.0, 0.0),
        (GOOD.replace("[Matched Findings]", "[Findings]"), None, 0.0),
        (GOOD.replace("[Clinically Significant Errors]", "[Errors]"), None, 1.0),
        ("I cannot judge this.", None, 0.0),
        ("", None, 0.0),
        ("[Clinically Significant Errors]:\nNone.\n\n[Matched Findings]:\n2. A; B", 1.0, 1.0),
        (
            "[Clinically Significant Errors]:\n(1) False: 1. A\n(4) Severity: 1. B\n\n[Matched Findings]:\n2. C; D",
            0.5,
            0.5,
        ),
        ("[Clinically Significant Errors]:\n(f) x: 1. B\n(b) y: 2. B\n\n[Matched Findings]:\n1. C", 0.25, 0.25),
        ("[Clinically Significant Errors]:\n(a) x: 0.\n\n[Matched Findings]:\nNo matched findings.", 0.0, 0.0),
    ],
    ids=range(9),
)
def test_values_of_odd_answers(text: str, value: float | None, paper: float) -> None:
    found = parse_green(text)
    assert (found.value, found.value_paper) == (value, paper)


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    found = parse_green(text)
    assert 0.0 <= found.value_paper <= 1.0
    assert found.value is None or found.value == found.value_paper
