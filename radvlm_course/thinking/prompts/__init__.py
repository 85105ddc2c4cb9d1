"""The texts that teachers are given: files in this folder, read as those of :mod:`radvlm_course.language.prompts`."""

from __future__ import annotations

import functools
from importlib import resources

from radvlm_course.language.prompts import Prompt

__all__ = ["load_prompt"]


@functools.cache
def load_prompt(name: str) -> Prompt:
    """The prompt in the file ``name``.txt of this folder.

    Raises:
        FileNotFoundError: there is none.
    """
    return Prompt(name, resources.files(__package__).joinpath(f"{name}.txt").read_text("utf-8").strip())
