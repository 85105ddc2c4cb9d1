"""When an answer is the true one: boxes as written or by overlap, labels as a set, reports by words or by findings."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box, format_box, format_boxes
from radvlm_course.records import Example
from radvlm_course.thinking import answer_filters
from radvlm_course.thinking.trace import FilterSettings, Trace

ONE, TWO = Box(0.38, 0.47, 0.76, 0.62), Box(0.1, 0.6, 0.35, 0.9)
AGREE = FilterSettings(report_check="findings", box_iou=0.5)
FILTERS = [
    "other_format",
    "box_outside_image",
    "malformed_box",
    "changed_box",
    "missing_box",
    "label_differs",
    "report_differs",
]


def example(task: str, answer: str, boxes: tuple[Box, ...] = (), labels: tuple[str, ...] = ()) -> Example:
    return Example("e", task, "f.png", "What is it?", answer, boxes, labels)


def fault(response: str, truth: Example, settings: FilterSettings | None = None, **more) -> str:
    """The first filter of the answer that finds something; empty if none does."""
    trace = Trace(f"<think>x</think> {response}", truth, settings or FilterSettings(), **more)
    return next((name for name in FILTERS if getattr(answer_filters, name)(trace)), "")


GROUNDED = example("abnormality_grounding", f"The nodule can be found at {format_boxes([ONE, TWO])}.", (ONE, TWO))
SINGLE = example("phrase_grounding", format_box(ONE), (ONE,))
DETECTED = example(
    "abnormality_detection",
    f"I find cardiomegaly at {format_box(ONE)}; pleural effusion at {format_box(TWO)}.",
    (ONE, TWO),
    ("Cardiomegaly", "pleural effusion"),
)
NOTHING = example("abnormality_detection", "I find no abnormality to mark.")
CLASSIFIED = example("abnormality_classification", "There are signs of edema and nodule.", (), ("edema", "nodule"))
HEALTHY = example("abnormality_classification", "I see nothing abnormal.")
REPORT = example(
    "report_generation", "Moderate right pleural effusion. The heart size is normal.", (), ("pleural effusion",)
)


@pytest.mark.parametrize("truth", [GROUNDED, SINGLE, DETECTED, NOTHING, CLASSIFIED, HEALTHY, REPORT])
@pytest.mark.parametrize("settings", [FilterSettings(), AGREE])
def test_the_true_answer_passes_whatever_is_compared(truth: Example, settings: FilterSettings) -> None:
    assert fault(truth.answer, truth, settings) == ""
    assert fault(truth.answer.replace(" ", "\n "), truth, settings) == ""


@pytest.mark.parametrize(
    ("response", "truth", "code"),
    [
        ("[0.38, 0.47, 0.76, 0.62], [0.10, 0.60, 0.35, 0.90]", GROUNDED, ""),  # words around boxes are free
        ("[0.10, 0.60, 0.35, 0.90] and [0.38, 0.47, 0.76, 0.62]", GROUNDED, ""),
        ("[0.38, 0.47, 0.76, 0.62]", GROUNDED, "missing_box"),
        ("It lies on the right.", SINGLE, "missing_box"),
        ("[0.38, 0.47, 0.76, 0.63]", SINGLE, "changed_box"),
        ("[0.38,0.47,0.76,0.62]", SINGLE, "changed_box"),
        ("[0.380, 0.470, 0.760, 0.620]", SINGLE, "changed_box"),
        ("[0.38, 0.47, 0.76, 0.62] and [0.38, 0.47, 0.76, 0.62]", SINGLE, "changed_box"),
        ("[380, 470, 760, 620]", SINGLE, "box_outside_image"),
        ("[0.38, 0.47, 1.76, 0.62]", SINGLE, "box_outside_image"),
        ("[-0.5, 0.47, 0.76, 0.62]", SINGLE, "box_outside_image"),
        ("[0.76, 0.47, 0.38, 0.62]", SINGLE, "malformed_box"),
        ("[0.38, 0.47, 0.76]", SINGLE, "malformed_box"),
        ("[0.38, 0.47, 0.76, nan]", SINGLE, "malformed_box"),
        ("Answer: [0.38, 0.47, 0.76, 0.62]", SINGLE, "other_format"),
        ("<answer>[0.38, 0.47, 0.76, 0.62]</answer>", SINGLE, "other_format"),
        ('[{"bbox_2d": [380, 470, 760, 620]}]', SINGLE, "other_format"),
        ("```\n[0.38, 0.47, 0.76, 0.62]\n```", SINGLE, "other_format"),
        (f"cardiomegaly at {format_box(TWO)}; pleural effusion at {format_box(ONE)}", DETECTED, "changed_box"),
        (f"cardiomegaly at {format_box(ONE)}; effusions at {format_box(TWO)}", DETECTED, ""),
        (f"cardiomegaly at {format_box(ONE)}; nodule at {format_box(TWO)}", DETECTED, "changed_box"),
        (f"{DETECTED.answer} There is a fracture.", DETECTED, "label_differs"),
        (f"nodule at {format_box(ONE)}", NOTHING, "changed_box"),
        ("Pneumonia.", NOTHING, "label_differs"),
        ("Edema, nodules.", CLASSIFIED, ""),
        ("Oedema and nodule; no pneumothorax.", CLASSIFIED, ""),
        ("Edema.", CLASSIFIED, "label_differs"),
        ("Edema, no nodule.", CLASSIFIED, "label_differs"),
        ("Edema, nodule and pneumonia.", CLASSIFIED, "label_differs"),
        ("The film is unremarkable.", HEALTHY, ""),
        ("Something is there.", HEALTHY, "label_differs"),
        ("Moderate right pleural effusion. The heart size is normal. Thanks.", REPORT, "report_differs"),
        ("Moderate left pleural effusion. The heart size is normal.", REPORT, "report_differs"),
    ],
)
def test_an_answer_that_must_be_copied(response: str, truth: Example, code: str) -> None:
    assert fault(response, truth) == code


@pytest.mark.parametrize(
    ("response", "truth", "code"),
    [
        ("[0.4, 0.47, 0.76, 0.62]", SINGLE, ""),  # IoU 0.36 / 0.38
        ("[0.38, 0.47, 0.5699, 0.62]", SINGLE, "changed_box"),  # just below a half
        ("[0.38, 0.47, 0.5701, 0.62]", SINGLE, ""),
        ("[0.1, 0.1, 0.2, 0.2]", SINGLE, "changed_box"),
        ("[0.38, 0.47, 0.76, 0.62], [0.1, 0.1, 0.2, 0.2]", SINGLE, "changed_box"),
        ("It lies on the right.", SINGLE, "missing_box"),
        ("[380, 470, 760, 620]", SINGLE, "box_outside_image"),
        ("[0.11, 0.6, 0.35, 0.9], [0.38, 0.47, 0.75, 0.62]", GROUNDED, ""),
        ("[0.38, 0.47, 0.76, 0.62], [0.38, 0.47, 0.75, 0.62]", GROUNDED, "changed_box"),  # both on one truth
        ("cardiomegaly at [0.38, 0.47, 0.75, 0.62]; effusion at [0.1, 0.6, 0.34, 0.9]", DETECTED, ""),
        ("effusion at [0.38, 0.47, 0.75, 0.62]; cardiomegaly at [0.1, 0.6, 0.34, 0.9]", DETECTED, "changed_box"),
        ("There is a large pleural effusion on the right, the heart is of normal size.", REPORT, ""),
        ("Possible right pleural effusion.", REPORT, ""),
        ("No pleural effusion.", REPORT, "report_differs"),
        ("Moderate right pleural effusion. Severe cardiomegaly.", REPORT, "report_differs"),
    ],
)
def test_an_answer_that_must_agree(response: str, truth: Example, code: str) -> None:
    assert fault(response, truth, AGREE) == code


def test_reports_are_read_by_the_labeller_that_is_given() -> None:
    def first_word(report: str) -> dict[str, int]:
        return {report.split()[0]: 1}

    assert fault("Moderate anything.", REPORT, AGREE, labeller=first_word) == ""
    assert fault("Small right pleural effusion.", REPORT, AGREE, labeller=first_word) == "report_differs"


def test_a_heading_that_the_true_report_has_is_none_to_object_to() -> None:
    headed = dataclasses.replace(REPORT, answer="Findings: right pleural effusion.")
    assert fault("Findings: right pleural effusion.", headed) == ""
    assert fault("Findings: left pleural effusion.", headed) == "report_differs"
    assert fault("**Findings:** right pleural effusion.", headed) == "other_format"
    here = dataclasses.replace(SINGLE, answer="Here is the nodule: [0.38, 0.47, 0.76, 0.62].")
    assert fault("Here is the nodule: [0.38, 0.47, 0.76, 0.63].", here) == "changed_box"
    assert fault(f"Here is the answer: {here.answer}", here) == "other_format"


unit = st.integers(0, 100)


@given(unit, unit, unit, unit, st.integers(0, 3), st.sampled_from([-1, 1]))
def test_a_box_that_is_moved_by_a_hundredth_is_never_taken_for_the_true_one(x1, y1, x2, y2, place, step) -> None:
    corners = [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]
    moved = [corner + step * (index == place) for index, corner in enumerate(corners)]
    if not all(low[0] < low[2] and low[1] < low[3] and min(low) >= 0 and max(low) <= 100 for low in (corners, moved)):
        return
    true, other = (Box(*(corner / 100 for corner in box)) for box in (corners, moved))
    truth = example("abnormality_grounding", format_box(true), (true,))
    assert fault(format_box(true), truth) == "" and fault(format_box(other), truth) == "changed_box"
