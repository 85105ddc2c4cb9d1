"""An experiment from beginning to end, with a model of a few parameters: arms, watches, scores, results, resuming."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from radvlm_course.experiments import command
from radvlm_course.experiments.arms import (
    GROUNDING,
    REPORTS,
    Arm,
    Budget,
    run_arm,
    score_start,
    trainer_options,
    watched_scores,
)
from radvlm_course.experiments.catalogue import Experiment, Question
from radvlm_course.experiments.results import collect, load_results
from radvlm_course.experiments.running import arm_folders, run_experiment
from radvlm_course.runs import RunError, read_metrics, read_rollouts
from radvlm_course.stages import Course, open_course

pytestmark = pytest.mark.slow
BUDGET = Budget(steps=2, seeds=(0,), test_examples=3, watched_examples=2, watches=1)
DIRECT = Arm("direct", "sft_early", (GROUNDING,), "soft_f1")
THINKING = Arm("thinking", "cold_start", (REPORTS,), {"gleu": 1.0, "thinking_format": 0.0}, thinking=True)
BOTH = Arm("both", "sft_early", (GROUNDING, REPORTS), {"soft_f1": 1.0, "gleu": 1.0})
EXPERIMENT = Experiment(
    "trial",
    "A trial",
    "Nothing.",
    (DIRECT, THINKING, BOTH),
    (
        Question("gain", "start: sft_early", "direct", GROUNDING, "soft_f1"),
        Question("thinking gain", "start: cold_start, thinking", "thinking", REPORTS, "gleu"),
        Question("other task", "start: sft_early", "both", REPORTS, "words"),
    ),
)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, small_course: dict[str, Any]) -> Course:
    folder = tmp_path_factory.mktemp("experiments")
    overrides = {**small_course, "curate.root": str(folder / "data")}
    return open_course("laptop", "small", overrides, root=folder / "runs", progress=False)


@pytest.fixture(scope="module")
def finished(course: Course) -> Path:
    return run_experiment(course, EXPERIMENT, BUDGET, workers=2, progress=False)


def test_every_arm_leaves_what_its_docstring_says(course: Course, finished: Path) -> None:
    for arm in EXPERIMENT.arms:
        folder = finished / arm.folder_name(0, 2)
        assert len(read_metrics(folder)) == 2
        assert (folder / "model" / "model.safetensors").exists()
        assert list(watched_scores(folder)) == [1, 2]
        assert len((folder / "test" / "per_example.jsonl").read_text().splitlines()) <= 6
        assert not list(folder.glob("checkpoint-*"))
        assert json.loads((folder / "done.json").read_text())["seed"] == 0


def test_an_arm_is_trained_on_its_tasks_in_its_mode(course: Course, finished: Path) -> None:
    tasks = {example.id: example.task for example in course.examples("train")}
    for arm in EXPERIMENT.arms:
        rollouts = read_rollouts(finished / arm.folder_name(0, 2))
        assert {tasks[rollout.example_id] for rollout in rollouts} <= set(arm.tasks)
    lines = (finished / THINKING.folder_name(0, 2) / "test/predictions.jsonl").read_text().splitlines()
    thoughts = [json.loads(line) for line in lines]
    assert all(line["generation"]["thinking"] for line in thoughts)


def test_results_answer_every_question_and_hold_the_curves(course: Course, finished: Path) -> None:
    results = collect(course, EXPERIMENT, BUDGET, "a command")
    assert [item.question for item in results.answers] == list(EXPERIMENT.questions)
    assert {"reward", "length", "format_rate"} <= set(results.curves["thinking"])
    assert "format_rate" not in results.curves["direct"]
    assert results.watched["direct"][GROUNDING].steps == (0, 1, 2)
    assert set(results.watched["both"]) == {GROUNDING, REPORTS}
    written = course.run.folder / "experiments" / EXPERIMENT.name
    assert (written / "results.md").read_text().count("\n") == 5
    assert load_results((written / "results.json").read_text()).curves == results.curves


def test_a_finished_arm_is_not_run_again_and_one_of_other_settings_is_refused(course: Course, finished: Path) -> None:
    folder = finished / DIRECT.folder_name(0, 2)
    before = (folder / "done.json").stat().st_mtime_ns
    assert run_arm(course, DIRECT, 0, BUDGET, finished) == folder
    more_seeds = Budget(steps=2, seeds=(0, 1), test_examples=3, watched_examples=2, watches=1)
    assert run_arm(course, DIRECT, 0, more_seeds, finished) == folder
    assert (folder / "done.json").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="holds a training with budget"):
        run_arm(course, DIRECT, 0, Budget(steps=2, seeds=(0,)), finished)


def test_a_training_that_was_killed_is_not_taken_up_with_other_settings(course: Course, finished: Path) -> None:
    folder = finished / BOTH.folder_name(0, 2)
    done = folder / "done.json"
    kept = done.read_bytes()
    done.unlink()
    with pytest.raises(ValueError, match="holds a training with arm"):
        run_arm(course, dataclasses.replace(BOTH, reward={"soft_f1": 1.0, "gleu": 0.5}), 0, BUDGET, finished)
    done.write_bytes(kept)


def test_a_start_that_was_scored_over_other_films_is_refused(course: Course, finished: Path) -> None:
    more = dataclasses.replace(BUDGET, test_examples=4)
    with pytest.raises(ValueError, match="holds a training with test_examples 3, asked for 4"):
        score_start(course, "sft_early", False, more, finished)


def test_two_experiments_that_want_the_same_training_share_it(course: Course, finished: Path) -> None:
    folder = finished / DIRECT.folder_name(0, 2)
    before = (folder / "done.json").stat().st_mtime_ns
    renamed = dataclasses.replace(DIRECT, name="called otherwise")
    question = Question("gain", "start: sft_early", renamed.name, GROUNDING, "soft_f1")
    other = Experiment("other", "Another", "Nothing.", (renamed,), (question,))
    assert run_experiment(course, other, BUDGET, progress=False) == finished
    assert (folder / "done.json").stat().st_mtime_ns == before
    same = collect(course, EXPERIMENT, BUDGET, "a command").answers[0]
    assert collect(course, other, BUDGET, "a command").answers[0].seeds == same.seeds


@pytest.mark.parametrize(
    "change",
    [
        {"start": "sft"},
        {"tasks": (GROUNDING, REPORTS)},
        {"reward": "gleu"},
        {"reward": {"soft_f1": 1.0, "gleu": 1.0}},
        {"thinking": True},
        {"trainer": {"beta": 0.5}},
    ],
    ids=lambda change: " ".join(change),
)
def test_trainings_that_differ_have_different_folders(change: dict[str, Any]) -> None:
    names = {arm.folder_name(0, 2) for arm in (DIRECT, dataclasses.replace(DIRECT, **change))}
    assert len(names | {DIRECT.folder_name(1, 2), DIRECT.folder_name(0, 3)}) == 4


def test_an_arm_that_was_killed_before_scoring_keeps_its_model(course: Course, finished: Path) -> None:
    folder = finished / DIRECT.folder_name(0, 2)
    model = (folder / "model" / "model.safetensors").stat().st_mtime_ns
    (folder / "done.json").unlink()
    run_arm(course, DIRECT, 0, BUDGET, finished)
    assert (folder / "model" / "model.safetensors").stat().st_mtime_ns == model


def test_an_unfinished_arm_is_named_when_results_are_collected(course: Course, finished: Path) -> None:
    with pytest.raises(FileNotFoundError, match="seed-7: expected a finished arm"):
        collect(course, EXPERIMENT, Budget(steps=2, seeds=(7,)), "a command")


def test_an_arm_that_fails_is_told_with_its_reason_and_its_log(course: Course, finished: Path) -> None:
    broken = Experiment("broken", "", "", (Arm("broken", "sft_early", (GROUNDING,), "gleu"),), ())
    with pytest.raises(RunError, match=r"1 of 1 failed.*broken, seed 0: .*gleu judges report_generation"):
        run_experiment(course, broken, BUDGET, progress=False)
    folder = course.run.folder / "experiments/trainings" / broken.arms[0].folder_name(0, BUDGET.steps)
    assert "Traceback" in (folder / "output.log").read_text()


WORKERS = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from radvlm_course.experiments.running import _end_with

def wait(path):
    open(path, "w").write(str(os.getpid()))
    time.sleep(120)

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_end_with, initargs=(os.getpid(), 0.1))
    pool.submit(wait, sys.argv[1])
    time.sleep(120)
"""


def test_a_worker_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "workers.py").write_text(WORKERS)
    told = tmp_path / "pid"
    found = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, str(tmp_path / "workers.py"), str(told)], env=found) as parent:
        _wait_until(lambda: told.exists() and bool(told.read_text()))
        parent.kill()
    worker = int(told.read_text())
    _wait_until(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)


def _wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_start_is_the_same_for_all_seeds(course: Course) -> None:
    folders = arm_folders(course, EXPERIMENT, Budget(seeds=(0, 1)))
    assert folders["start: sft_early"][0] == folders["start: sft_early"][1]
    assert folders["start: cold_start, thinking"][0].name == "cold-start-thinking"


def test_the_options_are_the_profiles_but_for_the_budget_and_the_length_of_thoughts(course: Course) -> None:
    settings = course.profile.grpo_grounding
    direct = trainer_options(settings, DIRECT, BUDGET, 14)
    assert {name: direct[name] for name in ("max_steps", "save_steps")} == {"max_steps": 2, "save_steps": 1}
    assert direct["max_completion_length"] == settings.trainer["max_completion_length"]
    assert trainer_options(settings, THINKING, BUDGET, 14)["max_completion_length"] == 14
    unchanged = set(settings.trainer) - {"max_steps", "save_steps"}
    assert all(direct[name] == settings.trainer[name] for name in unchanged)


def test_the_command_refuses_an_unknown_experiment() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(ValueError, match="no experiment called nothing; there are matched_rl"):
        command.run(parser.parse_args(["nothing"]))
