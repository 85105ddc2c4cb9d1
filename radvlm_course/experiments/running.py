"""All arms of an experiment, a few at a time, each in a process of its own with its share of the cores.

A killed run resumes: finished arms are left as they are, the others go on from their last checkpoint. An arm that
fails does not stop the others; all failures are told at the end.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from radvlm_course.experiments.arms import GENERAL_BASE, Arm, Budget, run_arm, score_start, start_folder
from radvlm_course.experiments.catalogue import Experiment
from radvlm_course.runs import RunError

if TYPE_CHECKING:
    from radvlm_course.stages import Course

__all__ = ["arm_folders", "experiment_folder", "run_experiment", "start_names", "trainings_folder"]


def experiment_folder(course: Course, experiment: Experiment) -> Path:
    """Where an experiment's results lie: ``runs/<run>/experiments/<experiment>``."""
    return course.run.folder / "experiments" / experiment.name


def trainings_folder(course: Course) -> Path:
    """Where the arms of all experiments lie: ``runs/<run>/experiments/trainings``."""
    return course.run.folder / "experiments" / "trainings"


def start_names(experiment: Experiment) -> list[tuple[str, bool]]:
    """The models before training, (name, thinking), that the questions compare with."""
    wanted = []
    for question in experiment.questions:
        for side in (question.before, question.after):
            if side.startswith("start: "):
                name, _, mode = side.removeprefix("start: ").partition(", ")
                if (name, mode == "thinking") not in wanted:
                    wanted.append((name, mode == "thinking"))
    return wanted


def arm_folders(course: Course, experiment: Experiment, budget: Budget) -> dict[str, dict[int, Path]]:
    """Name of an arm or of a start -> seed -> its folder, finished or not; a start is the same for all seeds."""
    root = trainings_folder(course)
    folders = {
        arm.name: {seed: root / arm.folder_name(seed, budget.steps) for seed in budget.seeds} for arm in experiment.arms
    }
    for name, thinks in start_names(experiment):
        side = f"start: {name}{', thinking' if thinks else ''}"
        folders[side] = dict.fromkeys(budget.seeds, start_folder(root, name, thinks))
    return folders


def run_experiment(
    course: Course, experiment: Experiment, budget: Budget, workers: int = 1, progress: bool = True
) -> Path:
    """Run what is not finished, of this experiment or of another one. Returns the folder of all trainings.

    Args:
        workers: arms at a time, each with ``cores / workers`` threads.

    Raises:
        RunError: some arms failed; names them with their last lines. The others are finished and kept.
    """
    from tqdm.auto import tqdm

    root = trainings_folder(course)
    root.mkdir(parents=True, exist_ok=True)
    for stage in {arm.start for arm in experiment.arms if "/" not in arm.start} - {GENERAL_BASE}:
        course.ensure("sft" if stage == "sft_early" else stage)
    quiet = dataclasses.replace(course, progress=False)
    jobs = [(arm, seed) for seed in budget.seeds for arm in experiment.arms]
    threads = max(1, (os.cpu_count() or 1) // workers)
    failures: list[str] = []
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)) as pool,
        tqdm(total=len(jobs) + len(start_names(experiment)), desc=experiment.name, disable=not progress) as bar,
    ):
        futures: dict[Future[str], str] = {
            pool.submit(_score_start, quiet, name, thinks, budget, root, threads): f"start {name}"
            for name, thinks in start_names(experiment)
        }
        futures |= {
            pool.submit(_run_arm, quiet, arm, seed, budget, root, threads): f"{arm.name}, seed {seed}"
            for arm, seed in jobs
        }
        for future in as_completed(futures):
            if failure := future.result():
                failures.append(f"{futures[future]}: {failure}")
            bar.update()
    if failures:
        raise RunError(f"{len(failures)} of {len(futures)} failed, the others are kept: " + "; ".join(failures))
    return root


def _end_with(parent: int, every: float = 2.0) -> None:
    """Let this worker end as soon as the process that started it is gone: two that train in one folder spoil it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_arm(course: Course, arm: Arm, seed: int, budget: Budget, root: Path, threads: int) -> str:
    """What a worker does: empty if all went well, else what went wrong (its log has the whole of it)."""
    log = root / arm.folder_name(seed, budget.steps) / "output.log"
    return _logged(log, threads, lambda: run_arm(course, arm, seed, budget, root))


def _score_start(course: Course, start: str, thinking: bool, budget: Budget, root: Path, threads: int) -> str:
    log = start_folder(root, start, thinking) / "output.log"
    return _logged(log, threads, lambda: score_start(course, start, thinking, budget, root))


def _logged(log: Path, threads: int, work: Callable[[], object]) -> str:
    import torch

    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):  # what libraries print too
        os.dup2(file, descriptor)
    os.close(file)
    torch.set_num_threads(threads)
    try:
        work()
    except (ValueError, RuntimeError, OSError) as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error} (all of its output: {log})"
    return ""
