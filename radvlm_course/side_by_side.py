"""Stages that need nothing of each other, at the same time, each on its share of the cores.

The two GRPO stages both start from the SFT model. Two small models trained side by side on one core each are done
sooner than one after the other on two: most of a small model's work is too small to split. On one GPU the opposite
holds, so a profile has to ask for it (``side_by_side``).
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from radvlm_course.processes import process_count
from radvlm_course.runs import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from radvlm_course.stages import Course

__all__ = ["ensure_side_by_side"]

OUTPUT = "output.log"


def ensure_side_by_side(course: Course, stages: Sequence[str]) -> None:
    """Run stages that are not finished yet: the first here with its progress bar, the others in processes of their own.

    What those print goes to ``output.log`` in their stage's folder. If one fails, the others still finish or keep
    their checkpoints; the same call goes on from there. Under a launcher of several processes, which share each stage
    among them, one stage runs after the other.

    Raises:
        RunError: another process failed; names its log and gives its last line.
    """
    todo = course.unfinished(stages)
    if len(todo) < 2 or process_count() > 1:
        for stage in todo:
            course.ensure(stage)
        return
    threads = max(1, (os.cpu_count() or 1) // len(todo))
    here, *others = todo
    context = multiprocessing.get_context("spawn")
    children = {}
    for stage in others:
        folder = course.run.stage_folder(stage)
        arguments = (dataclasses.replace(course, progress=False), stage, threads, str(folder / OUTPUT))
        children[stage] = context.Process(target=_ensure, args=arguments, name=stage)
    try:
        for child in children.values():
            child.start()
        with _torch_threads(threads):
            course.ensure(here)
        for child in children.values():
            child.join()
    finally:
        _stop(children.values())
    for stage, child in children.items():
        if child.exitcode != 0:
            raise RunError(_failure(course, stage, child.exitcode))


def _ensure(course: Course, stage: str, threads: int, output: str) -> None:
    """What a child process does."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor in (1, 2):  # what libraries print too
        os.dup2(file, descriptor)
    with _torch_threads(threads):
        course.ensure(stage)


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _stop(children: Any) -> None:
    """End children that still run (this process failed or was interrupted); they resume from their checkpoints."""
    for child in children:
        if child.is_alive():
            child.terminate()
            child.join()


def _failure(course: Course, stage: str, exitcode: int | None) -> str:
    log = course.run.stage_folder(stage) / OUTPUT
    lines = log.read_text(encoding="utf-8").strip().splitlines() if log.exists() else []
    reason = lines[-1] if lines else f"exit code {exitcode}"
    return f"stage {stage!r} failed: {reason} (all of its output: {log}); the same command goes on from its checkpoint"
