"""Priors: mean boxes, constant reports, commonest findings, scored like any model."""

import pytest

from radvlm_course.boxes import Box, parse_boxes
from radvlm_course.evaluation.baselines.priors import (
    best_constant_report,
    commonest_findings,
    commonest_side_box,
    constant_report,
    mean_box,
)
from radvlm_course.evaluation.reports import phantom_labeller
from radvlm_course.evaluation.score import score
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward

LEFT = (Box(0.1, 0.2, 0.3, 0.4), Box(0.2, 0.2, 0.4, 0.4), Box(0.15, 0.2, 0.35, 0.4))
RIGHT = (Box(0.7, 0.2, 0.9, 0.4),)


def grounding(identifier: str, boxes: tuple[Box, ...], label: str = "nodule") -> Example:
    return Example(identifier, "abnormality_grounding", "a.png", "Where?", "There.", boxes, (label,), source="phantom")


def report(identifier: str, text: str) -> Example:
    return Example(identifier, "report_generation", "a.png", "Report?", text, source="phantom")


TRAIN = [grounding(f"t{i}", (box,)) for i, box in enumerate((*LEFT, *RIGHT))]
TEST = [grounding("a", RIGHT), grounding("b", ())]


def test_the_mean_box_is_the_mean_of_all_training_boxes_of_the_label() -> None:
    predictions = list(mean_box(TRAIN, TEST))
    assert [item.example_id for item in predictions] == ["a", "b"]
    assert {item.response for item in predictions} == {"[0.29, 0.20, 0.49, 0.40]"}  # x1: (0.1 + 0.2 + 0.15 + 0.7) / 4


def test_the_commonest_side_takes_the_fuller_half_of_the_image() -> None:
    (first, _) = commonest_side_box(TRAIN, TEST)
    assert first.response == "[0.15, 0.20, 0.35, 0.40]"
    (tied, _) = commonest_side_box([TRAIN[0], TRAIN[3]], TEST)
    assert parse_boxes(tied.completion) == list(RIGHT)


def test_labels_of_different_tasks_are_kept_apart() -> None:
    heart = Example("h", "anatomical_grounding", "a.png", "q", "a", (Box(0.5, 0.5, 1, 1),), ("nodule",))
    (first, _) = mean_box([*TRAIN, heart], TEST)
    assert first.response == "[0.29, 0.20, 0.49, 0.40]"


def test_an_unseen_label_gets_the_mean_of_all_boxes_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"no training box for \{'edema': 1\}"):
        (only,) = mean_box(TRAIN, [grounding("c", RIGHT, "edema")])
    assert only.response == "[0.29, 0.20, 0.49, 0.40]"


def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="training examples with boxes, found none"):
        mean_box([report("r", "Normal.")], TEST)
    with pytest.raises(ValueError, match="report_generation, found none"):
        constant_report(TRAIN, TEST)
    with pytest.raises(ValueError, match="affirm findings, found none in 1"):
        commonest_findings([report("r", "No pleural effusion.")], TEST, phantom_labeller())


def test_the_constant_report_is_the_most_central_one() -> None:
    reports = ["No effusion. No nodule.", "No effusion. No edema.", "No effusion. No nodule. No edema.", "Mass."]
    gleu, targets = get_reward("gleu"), [report(str(i), text) for i, text in enumerate(reports)]
    assert best_constant_report(reports) == max(reports, key=lambda text: sum(gleu([text] * 4, targets)))
    assert best_constant_report(["Mass."] * 5 + reports[:1]) == "Mass."


def test_the_constant_report_does_not_depend_on_the_order_of_equal_candidates() -> None:
    reports = ["No effusion.", "No nodule."]
    assert best_constant_report(reports) == best_constant_report(reports[::-1])


def test_commonest_findings_affirm_as_many_as_pay_off() -> None:
    common, rare = "Small left pleural effusion. No pneumothorax.", "Large right pneumothorax."
    train = [report(f"t{i}", common) for i in range(6)] + [report("t9", rare), report("t10", "No pneumothorax.")]
    test = [report("a", common), report("b", rare)]
    predictions = list(commonest_findings(train, test, phantom_labeller()))
    assert {item.response for item in predictions} == {"Small left pleural effusion."}
    both = [report(f"u{i}", f"{common.split('. ')[0]}. {rare}") for i in range(6)]
    (first, _) = commonest_findings(both, test, phantom_labeller())
    assert phantom_labeller()(first.completion) == {("pleural effusion", "left"), ("pneumothorax", "right")}


def test_priors_are_scored_like_any_model() -> None:
    scores = score(TEST[:1], mean_box(TRAIN, TEST[:1]))
    assert scores.model == "prior: mean box"
    assert scores.tasks["abnormality_grounding"]["soft_f1"].value == 0.0
    scores = score([report("a", "Normal.")], constant_report([report("t", "Normal.")], [report("a", "Normal.")]))
    assert scores.tasks["report_generation"]["gleu"].value == 1.0
