"""What an experiment found: every question with its difference, for each seed and for all together.

Intervals are bootstrap intervals by patient. That of all seeds together holds each film once a seed, so it speaks of
the mean over these seeds; how far the seeds lie apart is told beside it. ``results.json`` has everything that the
pictures and the notebooks need; a copy of a finished experiment can be stored in the package (``stored/``), with the
command that made it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from radvlm_course.evaluation.score import Scores, compare, load_scores
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.experiments.arms import Budget, watched_scores
from radvlm_course.experiments.catalogue import METRICS, Experiment, Question
from radvlm_course.experiments.running import arm_folders, experiment_folder
from radvlm_course.runs import read_metrics

if TYPE_CHECKING:
    from radvlm_course.stages import Course

__all__ = ["Answer", "Results", "Watched", "collect", "load_results", "stored_results"]

# What the pictures show of a training, and what TRL calls it.
CURVES = {
    "reward": "reward",
    "length": "completions/mean_length",
    "format_rate": "rewards/thinking_format/mean",
    "spread": "reward_std",
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """One question answered.

    Attributes:
        seeds: seed -> difference after - before, over the films of the test set.
        all_seeds: the mean difference over these seeds.
        before, after: mean values over the seeds.
        examples, patients: how many each seed's difference is over.
    """

    question: Question
    seeds: dict[int, Interval]
    all_seeds: Interval
    before: float
    after: float
    examples: int
    patients: int

    @property
    def verdict(self) -> str:
        """``higher``, ``lower`` or ``no difference shown``, by the interval over all seeds."""
        if self.all_seeds.low > 0:
            return "higher"
        return "lower" if self.all_seeds.high < 0 else "no difference shown"


@dataclasses.dataclass(frozen=True)
class Watched:
    """A metric on the validation films during a training: steps, and for each its mean over the seeds."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Results:
    """All of an experiment.

    Attributes:
        curves: arm -> name of :data:`CURVES` -> one list of values for each seed, a value a step.
        watched: arm -> task -> metric over time.
        seconds: arm -> mean seconds of a training with its scoring.
        command: what made it.
    """

    experiment: str
    title: str
    paper: str
    command: str
    budget: Budget
    answers: tuple[Answer, ...]
    curves: dict[str, dict[str, list[list[float]]]]
    watched: dict[str, dict[str, Watched]]
    seconds: dict[str, float]

    def panels(self) -> dict[str, dict[str, Interval]]:
        """Task and metric -> question -> difference over all seeds: panels of ``draw_differences``."""
        panels: dict[str, dict[str, Interval]] = {}
        for item in self.answers:
            name = f"{item.question.task.replace('_', ' ')}: {item.question.metric}"
            panels.setdefault(name, {})[item.question.title] = item.all_seeds
        return panels

    def to_markdown(self) -> str:
        """The table of all questions."""
        seeds = ", ".join(str(seed) for seed in self.budget.seeds)
        lines = [
            f"| question | metric | before | after | difference | seeds {seeds} | n |",
            "|---|---|---:|---:|---:|---:|---:|",
        ]
        for answer in self.answers:
            one = answer.all_seeds
            lines.append(
                f"| {answer.question.title} | {answer.question.metric} | {answer.before:.3f} | {answer.after:.3f} | "
                f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}] | "
                f"{', '.join(f'{item.value:+.3f}' for item in answer.seeds.values())} | "
                f"{answer.examples} of {answer.patients} patients |"
            )
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")
        partial.replace(path)


def collect(course: Course, experiment: Experiment, budget: Budget, command: str) -> Results:
    """Read the finished arms of an experiment and answer its questions.

    Raises:
        FileNotFoundError: an arm has not finished; names its folder.
    """
    folders = arm_folders(course, experiment, budget)
    for every in folders.values():
        for folder in every.values():
            if not (folder / "done.json").exists():
                raise FileNotFoundError(f"{folder}: expected a finished arm, found none: run the experiment first")
    root = experiment_folder(course, experiment)
    root.mkdir(parents=True, exist_ok=True)
    scores = {name: {seed: load_scores(path / "test") for seed, path in by.items()} for name, by in folders.items()}
    results = Results(
        experiment.name,
        experiment.title,
        experiment.paper,
        command,
        budget,
        tuple(answer(question, scores) for question in experiment.questions),
        {arm.name: _curves(list(folders[arm.name].values())) for arm in experiment.arms},
        _watched(experiment, folders),
        {arm.name: _seconds(list(folders[arm.name].values())) for arm in experiment.arms},
    )
    results.write(root / "results.json")
    (root / "results.md").write_text(results.to_markdown(), encoding="utf-8")
    return results


def answer(question: Question, scores: Mapping[str, Mapping[int, Scores]]) -> Answer:
    """The paired difference that a question asks for, for each seed and over all."""
    before = {seed: _only(item, question.task) for seed, item in scores[question.before].items()}
    after = {seed: _only(item, question.task) for seed, item in scores[question.after].items()}
    seeds = {seed: compare(before[seed], after[seed])[question.task][question.metric] for seed in before}
    everything = compare(_pooled(before), _pooled(after))[question.task][question.metric]
    first = next(iter(before.values()))
    return Answer(
        question,
        seeds,
        everything,
        _mean([item.tasks[question.task][question.metric].value for item in before.values()]),
        _mean([item.tasks[question.task][question.metric].value for item in after.values()]),
        len(first.rows),
        len({row["patient_id"] for row in first.rows}),
    )


def load_results(text: str) -> Results:
    """The inverse of :meth:`Results.write`, from the JSON text."""
    values = json.loads(text)
    answers = tuple(
        Answer(
            Question(**item["question"]),
            {int(seed): Interval.from_dict(interval) for seed, interval in item["seeds"].items()},
            Interval.from_dict(item["all_seeds"]),
            item["before"],
            item["after"],
            item["examples"],
            item["patients"],
        )
        for item in values["answers"]
    )
    watched = {
        arm: {task: Watched(tuple(item["steps"]), tuple(item["values"])) for task, item in tasks.items()}
        for arm, tasks in values["watched"].items()
    }
    budget = Budget(**{**values["budget"], "seeds": tuple(values["budget"]["seeds"])})
    return Results(**{**values, "answers": answers, "watched": watched, "budget": budget})


def stored_results(name: str) -> Results:
    """What the package has of a finished experiment.

    Raises:
        FileNotFoundError: nothing is stored of it; says how to run it.
    """
    path = resources.files("radvlm_course.experiments") / "stored" / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"no stored results of {name!r}: python -m radvlm_course experiments {name} --store")
    return load_results(path.read_text(encoding="utf-8"))


def _only(scores: Scores, task: str) -> Scores:
    return dataclasses.replace(scores, rows=tuple(row for row in scores.rows if row["task"] == task))


def _pooled(by_seed: Mapping[int, Scores]) -> Scores:
    """The rows of all seeds; a film's rows stay together, since they have one patient."""
    rows = [row | {"example_id": f"{row['example_id']} seed {seed}"} for seed, s in by_seed.items() for row in s.rows]
    return dataclasses.replace(next(iter(by_seed.values())), rows=tuple(rows))


def _curves(folders: Sequence[Path]) -> dict[str, list[list[float]]]:
    logged = [read_metrics(folder) for folder in folders]
    return {
        name: [[round(float(row[key]), 5) for row in rows if key in row] for rows in logged]
        for name, key in CURVES.items()
        if all(key in rows[0] for rows in logged)
    }


def _watched(experiment: Experiment, folders: Mapping[str, Mapping[int, Path]]) -> dict[str, dict[str, Watched]]:
    found: dict[str, dict[str, Watched]] = {}
    for arm in experiment.arms:
        mode = ", thinking" if arm.thinking else ""
        starts = folders.get(f"start: {arm.start}{mode}", {})
        by_seed = [
            {**(watched_scores(starts[seed]) if seed in starts else {}), **watched_scores(folder)}
            for seed, folder in folders[arm.name].items()
        ]
        found[arm.name] = {
            task: Watched(
                tuple(by_seed[0]),
                tuple(
                    _mean([every[step].tasks[task][METRICS[task]].value for every in by_seed]) for step in by_seed[0]
                ),
            )
            for task in arm.tasks
        }
    return found


def _seconds(folders: Sequence[Path]) -> float:
    return _mean([json.loads((folder / "done.json").read_text(encoding="utf-8"))["seconds"] for folder in folders])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
