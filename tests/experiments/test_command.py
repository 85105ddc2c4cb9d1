"""The command: what it prints and writes after the trainings, and the page of what is stored."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from radvlm_course.experiments import command, results, running


def options_of(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments)


def test_results_are_read_aloud_and_stand_on_the_page_of_the_run(
    tmp_path: Path, made_results: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = []

    def collect(course: Any, experiment: Any, budget: Any, made_by: str) -> Any:
        steps.append(budget.steps)
        found = made_results(experiment.name)
        folder = course.run.folder / "experiments" / experiment.name
        folder.mkdir(parents=True)
        found.write(folder / "results.json")
        return found

    monkeypatch.setattr(running, "run_experiment", lambda *arguments: None)
    monkeypatch.setattr(results, "collect", collect)
    assert command.run(options_of("thinking", "cross_task", "--runs-root", str(tmp_path), "--quiet")) == 0
    printed = capsys.readouterr().out
    assert printed.count("Here: REPRODUCED") == 2  # RL on each task lifts it, by 0.05
    assert printed.count("Here: NOT REPRODUCED") == 2  # thinking gains, by 0.05
    assert steps == [25, 40]  # each experiment's own
    page = tmp_path / "course" / "experiments" / "experiments.md"
    assert page.read_text(encoding="utf-8").count("Not run yet") == 3
    assert len(list(page.parent.glob("pictures/experiment_*.png"))) == 3


def test_the_page_of_what_is_stored_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run_experiment", lambda *arguments: pytest.fail("ran"))
    assert command.run(options_of("--page", str(tmp_path / "page.md"))) == 0
    assert "## Does explicit thinking help?" in (tmp_path / "page.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("others", [["thinking"], ["--store"]])
def test_the_page_is_asked_for_alone(others: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give it alone"):
        command.run(options_of(*others, "--page", str(tmp_path / "page.md")))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a folder .*nothing, found none"):
        command.run(options_of("--page", str(tmp_path / "nothing" / "page.md")))
