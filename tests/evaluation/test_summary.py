"""Reading an evaluation back: order, the best prior of each label, verdicts."""

import pytest

from radvlm_course.boxes import Box, format_box
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.score import score
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.evaluation.summary import against_prior, is_prior, of_task, read_scores, verdict
from radvlm_course.records import Example

TRUE, NEAR, FAR = Box(0.2, 0.2, 0.4, 0.4), Box(0.2, 0.2, 0.4, 0.5), Box(0.7, 0.7, 0.9, 0.9)
TASK = "abnormality_grounding"


def example(name, label):
    return Example(name, TASK, "", "Where?", format_box(TRUE), (TRUE,), (label,), patient_id=name)


@pytest.fixture
def folder(tmp_path):
    examples = [example("1", "nodule"), example("2", "edema")]
    answers = {
        "sft": (TRUE, FAR),
        "prior: mean box": (FAR, NEAR),
        "prior: commonest side": (NEAR, FAR),
        "grpo_grounding": (TRUE, NEAR),
        "zebra": (FAR, FAR),
    }
    for number, (name, boxes) in enumerate(answers.items()):
        lines = [Prediction(e.id, format_box(b), format_box(b), name) for e, b in zip(examples, boxes, strict=True)]
        score(examples, lines, resamples=50).write(tmp_path / "scores" / str(number))
    return tmp_path


def test_priors_come_first_and_models_in_the_order_of_training(folder):
    names = list(read_scores(folder))
    assert names == ["prior: commonest side", "prior: mean box", "sft", "grpo_grounding", "zebra"]
    assert [is_prior(name) for name in names] == [True, True, False, False, False]


def test_each_label_meets_its_own_best_prior_and_the_smallest_gain_comes_first(folder):
    rows = against_prior(read_scores(folder), "sft", TASK, "soft_f1")
    assert [(row.label, row.prior_name) for row in rows] == [
        ("edema", "prior: mean box"),
        ("nodule", "prior: commonest side"),
    ]
    assert rows[0].gain == pytest.approx(-2 / 3)
    assert rows[1].gain == pytest.approx(1 / 3)


def test_missing_scores_and_priors_are_named(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="run the stage evaluate"):
        read_scores(tmp_path / "nowhere")
    without = {name: item for name, item in read_scores(folder).items() if not is_prior(name)}
    with pytest.raises(ValueError, match="expected a prior"):
        against_prior(without, "sft", TASK, "soft_f1")


def test_a_verdict_needs_the_whole_interval_on_one_side():
    assert verdict(Interval(0.1, 0.01, 0.2, 9, 9)) == "better"
    assert verdict(Interval(-0.1, -0.2, -0.01, 9, 9)) == "worse"
    assert verdict(Interval(0.1, 0.0, 0.2, 9, 9)) == "not shown"
    assert verdict(Interval(0.1, float("nan"), float("nan"), 1, 1)) == "not shown"


def test_metrics_of_a_task_have_their_titles_and_those_that_were_not_asked_are_left_out(folder):
    scores = read_scores(folder)
    found = of_task(scores, TASK, ["soft_f1"])
    assert found["sft"] == {"soft-F1": scores["sft"].tasks[TASK]["soft_f1"]} and set(found) == set(scores)
    assert of_task(scores, "report_generation", ["gleu"]) == {}
    with pytest.raises(KeyError):
        of_task(scores, TASK, ["gleu"])
