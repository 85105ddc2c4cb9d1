"""Where a build keeps its parts until it is finished, so that a killed one need not read everything again."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

from radvlm_course.instructions._files import LeakError
from radvlm_course.instructions._parts import Part, Reading
from radvlm_course.instructions.mixture_settings import MixtureError

__all__ = ["Scratch"]


class Scratch:
    """A hidden folder beside the files of a build, removed when the build is finished or cannot succeed.

    It outlives a build that was killed only if the settings have a fingerprint of the data: without one, nobody could
    tell whether the parts still fit the data.
    """

    def __init__(self, output_folder: Path, settings: dict[str, Any]) -> None:
        self.folder = output_folder / ".parts"
        self._settings = json.dumps(settings, sort_keys=True)
        self._can_resume = bool(settings["fingerprint"])

    def __enter__(self) -> Scratch:
        told = self.folder / "settings.json"
        if not (self._can_resume and told.is_file() and told.read_text(encoding="utf-8") == self._settings):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            told.write_text(self._settings, encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None or not self._can_resume or issubclass(kind, (LeakError, MixtureError)):
            shutil.rmtree(self.folder)

    def lines(self, number: int) -> Path:
        """The file for the lines of part ``number``."""
        return self.folder / f"{number}.jsonl"

    def names(self, number: int) -> Path:
        """The file for the names of its films."""
        return self.folder / f"{number}.names"

    def save(self, number: int, part: Part) -> None:
        """Remember a finished part."""
        partial = self.folder / f"{number}.partial"
        partial.write_bytes(pickle.dumps(part))
        partial.replace(self.folder / f"{number}.part")

    def load(self, number: int, reading: Reading) -> Part | None:
        """A part that an earlier build with the same settings finished, or ``None``."""
        path = self.folder / f"{number}.part"
        if not path.is_file():
            return None
        part: Part = pickle.loads(path.read_bytes())  # written by this class, beside the output of the user's own build
        return part if part.reading == reading else None
