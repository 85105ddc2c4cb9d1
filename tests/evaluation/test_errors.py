"""Single answers: sorted by their score, and sorted into kinds of errors."""

import pytest

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.evaluation.errors import (
    BOX_ERRORS,
    FINDING_ERRORS,
    Case,
    box_error,
    by_gain,
    finding_errors,
    read_cases,
)
from radvlm_course.evaluation.predictions import Prediction, PredictionWriter
from radvlm_course.evaluation.score import score
from radvlm_course.records import Example

TRUE = Box(0.1, 0.1, 0.4, 0.4)


def example(name, *boxes):
    return Example(
        name, "abnormality_grounding", "", "Where?", format_boxes(boxes), boxes, ("nodule",), patient_id=name
    )


@pytest.mark.parametrize(
    ("predicted", "true", "kind"),
    [
        ([TRUE], [TRUE], "right"),
        ([], [], "right"),
        ([TRUE, Box(0.5, 0.5, 0.6, 0.6)], [TRUE], "partly right"),
        ([TRUE], [TRUE, Box(0.5, 0.5, 0.6, 0.6)], "partly right"),
        ([Box(0.25, 0.1, 0.55, 0.4)], [TRUE], "near miss"),  # IoU 1/3
        ([Box(0.6, 0.1, 0.9, 0.4)], [TRUE], "other side"),
        ([Box(0.1, 0.7, 0.4, 0.9)], [TRUE], "elsewhere"),
        ([], [TRUE], "nothing written"),
        ([TRUE], [], "nothing to find"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)}",
)
def test_every_answer_has_one_kind(predicted, true, kind):
    assert box_error(predicted, true) == kind
    assert kind in BOX_ERRORS


def test_findings_are_matched_missed_invented_or_on_the_wrong_side():
    rows = [
        {"findings_predicted": [["nodule", "left"], ["edema", ""]], "findings_true": [["nodule", "right"]]},
        {"findings_predicted": [["nodule", "left"]], "findings_true": [["nodule", "left"], ["effusion", "left"]]},
        {"findings_predicted": [["effusion", "left"]], "findings_true": [["effusion", "left"], ["effusion", "right"]]},
    ]
    found = finding_errors(rows)
    assert list(found) == ["edema", "effusion", "nodule"]
    assert {name: [counts[kind] for kind in FINDING_ERRORS] for name, counts in found.items()} == {
        "edema": [0, 0, 0, 1],
        "effusion": [0, 1, 1, 0],
        "nodule": [1, 1, 0, 0],
    }


@pytest.fixture
def folder(tmp_path):
    """An evaluation of two models, one with the name of a prior."""
    asked = [example("b", TRUE), example("a", TRUE), example("c", TRUE)]
    for (model, name), answers in {
        ("sft", "sft"): ["[0.5, 0.5, 0.6, 0.6]", None, format_boxes([TRUE])],
        ("prior: mean box", "prior_of_boxes"): [format_boxes([TRUE])] * 3,
    }.items():
        path = tmp_path / "predictions" / f"{name}.jsonl"
        with PredictionWriter(path) as writer:
            for one, answer in zip(asked, answers, strict=True):
                writer.write(Prediction(one.id, answer or "", answer, model))
        score(asked, [*_read(path)], resamples=10).write(tmp_path / "scores" / name)
    return tmp_path, {one.id: one for one in asked}


def _read(path):
    from radvlm_course.evaluation.predictions import read_predictions

    return read_predictions(path)


def test_cases_come_worst_first_with_their_answers(folder):
    path, examples = folder
    cases = read_cases(path, "sft", examples, "abnormality_grounding", "soft_f1")
    assert [(case.example.id, case.value) for case in cases] == [("a", 0.0), ("b", 0.0), ("c", 1.0)]
    assert (cases[0].response, cases[0].boxes, cases[2].boxes) == (None, [], [TRUE])
    prior = read_cases(path, "prior: mean box", examples, "abnormality_grounding", "soft_f1")
    assert [case.value for case in prior] == [1.0, 1.0, 1.0]


def test_what_is_not_there_is_named(folder):
    path, examples = folder
    with pytest.raises(ValueError, match="sft has no row of report_generation with gleu"):
        read_cases(path, "sft", examples, "report_generation", "gleu")
    with pytest.raises(ValueError, match=r"1 examples of the rows are not given, such as \['b'\]"):
        read_cases(path, "sft", {"a": examples["a"], "c": examples["c"]}, "abnormality_grounding", "soft_f1")
    with pytest.raises(FileNotFoundError, match="scores of 'none', found those of prior: mean box, sft"):
        read_cases(path, "none", examples, "abnormality_grounding", "soft_f1")


def test_pairs_of_answers_come_by_what_was_gained():
    def answers(**values):
        return [Case(example(name, TRUE), name, {}, value) for name, value in values.items()]

    pairs = by_gain(answers(a=0.5, b=0.2, c=0.9), answers(c=0.9, b=0.8, a=0.1))
    assert [(before.example.id, before.value, after.value) for before, after in pairs] == [
        ("a", 0.5, 0.1),
        ("c", 0.9, 0.9),
        ("b", 0.2, 0.8),
    ]
    with pytest.raises(ValueError, match="found 1 that one side lacks"):
        by_gain(answers(a=0.5), answers(a=0.5, b=0.1))
