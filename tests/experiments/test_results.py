"""Answers from scores: differences by hand, for each seed and for all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from radvlm_course.boxes import Box
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.score import Scores, score
from radvlm_course.experiments.arms import Budget
from radvlm_course.experiments.catalogue import EXPERIMENTS, Question
from radvlm_course.experiments.results import Results, Watched, answer, load_results, stored_results
from radvlm_course.records import Example

TASK = "abnormality_grounding"
TRUTH = Box(0.2, 0.2, 0.6, 0.6)
HALF = "[0.20, 0.20, 0.60, 0.40]"  # soft-F1 0.5
EXACT = "[0.20, 0.20, 0.60, 0.60]"
EXAMPLES = [
    Example(f"e{n}", TASK, "a.png", "Where?", EXACT, (TRUTH,), ("nodule",), patient_id=f"p{n // 2}") for n in range(8)
]
QUESTION = Question("gain", "before", "after", TASK, "soft_f1")


def scored(answers: list[str]) -> Scores:
    predictions = [
        Prediction(example.id, text, text, "m", finish_reason="stop")
        for example, text in zip(EXAMPLES, answers, strict=True)
    ]
    return score(EXAMPLES, predictions, resamples=200)


def test_a_difference_is_the_mean_over_the_films_for_each_seed_and_over_all() -> None:
    before = {seed: scored([HALF] * 8) for seed in (0, 1)}
    after = {0: scored([EXACT] * 8), 1: scored([EXACT] * 4 + [HALF] * 4)}
    found = answer(QUESTION, {"before": before, "after": after})
    assert found.seeds[0].value == pytest.approx(0.5)
    assert found.seeds[1].value == pytest.approx(0.25)
    assert found.all_seeds.value == pytest.approx(0.375)
    assert (found.before, found.after) == (pytest.approx(0.5), pytest.approx(0.875))
    assert (found.examples, found.patients) == (8, 4)
    assert found.verdict == "higher"


@pytest.mark.parametrize(
    ("after", "verdict"), [([HALF] * 8, "no difference shown"), (["nothing"] * 8, "lower"), ([EXACT] * 8, "higher")]
)
def test_the_verdict_is_that_of_the_interval_over_all_seeds(after: list[str], verdict: str) -> None:
    scores = {"before": {0: scored([HALF] * 8)}, "after": {0: scored(after)}}
    assert answer(QUESTION, scores).verdict == verdict


def results() -> Results:
    scores = {"before": {0: scored([HALF] * 8)}, "after": {0: scored([EXACT] * 8)}}
    return Results(
        "thinking",
        "title",
        "the paper",
        "a command",
        Budget(steps=3, seeds=(0,)),
        (answer(QUESTION, scores),),
        {"arm": {"reward": [[0.1, 0.2]]}},
        {"arm": {TASK: Watched((0, 3), (0.4, 0.5))}},
        {"arm": 1.5},
    )


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    written = results()
    written.write(tmp_path / "results.json")
    assert load_results((tmp_path / "results.json").read_text()) == written


def test_the_table_has_each_seed_and_its_n() -> None:
    line = results().to_markdown().splitlines()[2]
    assert line == "| gain | soft_f1 | 0.500 | 1.000 | +0.500 [+0.500, +0.500] | +0.500 | 8 of 4 patients |"


def test_panels_are_by_task_and_metric() -> None:
    assert list(results().panels()) == ["abnormality grounding: soft_f1"]
    assert results().panels()["abnormality grounding: soft_f1"]["gain"].value == pytest.approx(0.5)


def test_an_experiment_that_nobody_stored_is_an_error_with_the_command() -> None:
    with pytest.raises(FileNotFoundError, match="python -m radvlm_course experiments nothing --store"):
        stored_results("nothing")


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_what_is_stored_answers_the_questions_of_today(name: str) -> None:
    try:
        stored = stored_results(name)
    except FileNotFoundError:
        return  # not every experiment is stored
    assert [item.question for item in stored.answers] == list(EXPERIMENTS[name].questions)
    assert set(stored.curves) == {arm.name for arm in EXPERIMENTS[name].arms}
    assert stored.command.startswith(f"python -m radvlm_course experiments {name} ")


@pytest.mark.parametrize(
    "values", [{"steps": 0}, {"seeds": ()}, {"seeds": (1, 1)}, {"test_examples": 0}, {"watches": -1}]
)
def test_an_impossible_budget_is_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="expected a step"):
        dataclasses.replace(Budget(), **values)
