"""The first cell of every notebook: find the repository, open the run, keep the output readable.

Notebooks are opened from anywhere and run in any order. :func:`open_lab` moves to the repository's
root, so that ``data/`` and ``runs/`` are the same folders as on the command line, and opens the run
that ``make course`` makes. Set ``RADVLM_COURSE_PROFILE`` or ``RADVLM_COURSE_RUN`` to work on another.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

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


def open_lab(profile: str | None = None, run: str | None = None, progress: bool = False) -> Course:
    """Open the course's run for a notebook.

    Args:
        profile: default ``RADVLM_COURSE_PROFILE``, else ``laptop``.
        run: default ``RADVLM_COURSE_RUN``, else ``course``.
        progress: show progress bars while stages run.
    """
    os.chdir(repository_root())
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if not progress:
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # also the bar of loading weights
    warnings.filterwarnings("ignore", category=UserWarning, module=r"(torch|transformers|trl)\.")
    profile = profile or os.environ.get("RADVLM_COURSE_PROFILE", "laptop")
    run = run or os.environ.get("RADVLM_COURSE_RUN", "course")
    course = open_course(profile, run, progress=progress)
    finished = [stage for stage in course.stages() if course.run.is_finished(stage)]
    done = ", ".join(finished) or "nothing yet"
    print(f"run {course.run.folder} under profile {course.profile.name}: finished {done}")
    return course
