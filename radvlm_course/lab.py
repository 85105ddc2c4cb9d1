"""The first cell of every notebook: find the repository, open the run, keep the output readable.

Notebooks are opened from anywhere and run in any order. :func:`open_lab` moves to the repository's
root, so that ``data/`` and ``runs/`` are the same folders as on the command line, and opens the run
that ``make course`` makes. A run that exists keeps its profile; a new one gets the largest that fits the machine, on
Colab or a workstation as on a laptop. Set ``RADVLM_COURSE_PROFILE`` or ``RADVLM_COURSE_RUN`` to work on another.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from radvlm_course.choice import choose_profile
from radvlm_course.machine import Machine, quick_look
from radvlm_course.readiness import obstacles
from radvlm_course.stages import Course, open_course

__all__ = ["open_lab", "repository_root"]


def repository_root(start: Path | None = None) -> Path:
    """The nearest folder, from here upwards, that holds ``pyproject.toml`` and ``notebooks/``.

    Raises:
        FileNotFoundError: there is none; says where it looked from.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise FileNotFoundError(
        f"expected a folder with pyproject.toml and notebooks/ at or above {here}: start Jupyter with `make lab`"
    )


def open_lab(
    profile: str | None = None, run: str | None = None, progress: bool = False, machine: Machine | None = None
) -> Course:
    """Open the course's run for a notebook, and say under which profile and what that still lacks here.

    Args:
        profile: default ``RADVLM_COURSE_PROFILE``, else that of the run if it exists, else what fits the machine.
        run: default ``RADVLM_COURSE_RUN``, else ``course``.
        progress: show progress bars while stages run.
        machine: looked at if None.
    """
    os.chdir(repository_root())
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if not progress:
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # also the bar of loading weights
    warnings.filterwarnings("ignore", category=UserWarning, module=r"(torch|transformers|trl)\.")
    run = run or os.environ.get("RADVLM_COURSE_RUN", "course")
    profile = profile or os.environ.get("RADVLM_COURSE_PROFILE") or _profile_of(run) or _choose(machine or quick_look())
    course = open_course(profile, run, progress=progress)
    finished = [stage for stage in course.stages() if course.run.is_finished(stage)]
    done = ", ".join(finished) or "nothing yet"
    print(f"run {course.run.folder} under profile {course.profile.name}: finished {done}")
    for obstacle in obstacles(course.profile, machine) if "evaluate" not in finished else ():
        print(f"- to run its stages here, it still lacks something: {obstacle}")
    return course


def _profile_of(run: str) -> str | None:
    """The profile that a run was made under, as the run keeps it."""
    path = Path("runs") / run / "profile.yaml"
    return str(path) if path.is_file() else None


def _choose(machine: Machine) -> str:
    choice = choose_profile(machine)
    if machine.gpus:
        print(
            f"this machine: {choice.because}; so profile {choice.profile} was chosen. For another, set "
            "RADVLM_COURSE_PROFILE, for example to laptop, before the notebook starts"
        )
        for warning in choice.warnings:
            print(f"note: {warning}")
    return choice.profile
