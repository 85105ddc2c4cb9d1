"""The answers on disk: one file a job, whole or absent, so that a killed run loses and repeats nothing.

::

    FOLDER/NAME/KEY.SUFFIX           what is used later: the accepted outputs, and nothing else
    FOLDER/RUN.run/settings.json     model, prompts and settings: all answers of a run were made with the same
    FOLDER/RUN.run/records/KEY.json  the record of every finished job, accepted or not, with all attempts

A record is written before its output, and an output that is missing is written again from the record when the run
resumes. An output without a record (put there by hand) is left alone and counts as done. Calls that were under way
when a run was killed are the only ones made twice.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock

from radvlm_course.language.jobs import Job, Record
from radvlm_course.whole_files import write_whole

__all__ = ["AnswerStore", "StoreError"]

_KEY_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}")


class StoreError(RuntimeError):
    """Answers that cannot be kept in this folder; says why and what to do."""


class AnswerStore:
    """The folder of one run; use it in a ``with`` block, which holds its lock.

    Args:
        folder: where it lies.
        name: of the folder of outputs in it.
        suffix: of the files there, as in ``.txt``.
        run: name of the run; several runs may share a folder of outputs.
        settings: what all answers in it have in common, JSON-ready.

    Raises:
        StoreError: another process writes there, or the answers there were made with other settings.
    """

    def __init__(
        self, folder: str | os.PathLike[str], name: str, suffix: str, settings: Mapping[str, Any], run: str = ""
    ) -> None:
        self.outputs = Path(folder) / name
        self.run_folder = Path(folder) / f"{run or name}.run"
        self.records = self.run_folder / "records"
        self.suffix = suffix
        self.settings = json.loads(json.dumps(dict(settings)))
        self._lock = filelock.FileLock(self.run_folder / ".lock", timeout=0)

    def __enter__(self) -> AnswerStore:
        for folder in (self.outputs, self.records):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise StoreError(f"{self.run_folder}: another process is writing here; wait until it has ended") from error
        try:
            self._check_settings()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def pending(self, jobs: Iterable[Job], again: bool = False) -> list[Job]:
        """The jobs that are not done, in order; outputs that their records lack are written on the way.

        Args:
            again: do the rejected ones again.

        Raises:
            StoreError: two jobs have the same key, or a key does not make a file name.
        """
        records, outputs = _names(self.records, ".json"), _names(self.outputs, self.suffix)
        seen: set[str] = set()
        waiting = []
        for job in jobs:
            folded = _checked(job.key).casefold()  # some file systems do not tell A from a
            if folded in seen:
                raise StoreError(f"two jobs are called {job.key!r}: their files would overwrite each other")
            seen.add(folded)
            if job.key in outputs:
                continue
            if job.key in records and (record := self.read(job.key)) and not (again and record.outcome == "rejected"):
                self._write_output(record)
            else:
                waiting.append(job)
        return waiting

    def read(self, key: str) -> Record | None:
        """The record of a job; None if there is none, or an unreadable one (which is said)."""
        path = self._record_path(key)
        try:
            return Record.from_dict(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            warnings.warn(f"{path}: not a record ({error!r:.100}); its job is done again", stacklevel=2)
            return None

    def write(self, record: Record) -> None:
        """Keep a record and, if it was accepted, its output.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        text = json.dumps(record.to_dict(), ensure_ascii=False, indent=1)
        self._write_whole(self._record_path(record.key), text)
        self._write_output(record)

    def _write_output(self, record: Record) -> None:
        if record.outcome == "accepted":
            text = record.output if record.output.endswith("\n") else record.output + "\n"
            self._write_whole(self.outputs / f"{record.key}{self.suffix}", text)

    def _record_path(self, key: str) -> Path:
        return self.records / f"{_checked(key)}.json"

    def _write_whole(self, path: Path, text: str) -> None:
        partial = self.run_folder / ".writing"  # one file for all: nothing else writes while this does
        try:
            write_whole(path, text.encode("utf-8", "backslashreplace"), partial)
        except OSError as error:
            raise OSError(f"{path} cannot be written, what was kept before stays whole: {error}") from error

    def _check_settings(self) -> None:
        path = self.run_folder / "settings.json"
        try:
            before = json.loads(path.read_bytes())
        except FileNotFoundError:
            self._write_whole(path, json.dumps(self.settings, indent=1, ensure_ascii=False))
            return
        except ValueError as error:
            raise StoreError(f"{path}: expected the settings of the run, found {error}") from error
        different = sorted(
            name for name in {*before, *self.settings} if before.get(name, None) != self.settings.get(name, None)
        )
        if different:
            found = "; ".join(
                f"{name}: {before.get(name)!r} then, {self.settings.get(name)!r} now" for name in different
            )
            raise StoreError(
                f"{self.run_folder}: the answers here were made with other settings ({found}). Take another folder, so "
                "that answers of different origin are not mixed, or the settings of then"
            )


def _checked(key: str) -> str:
    if not all(_KEY_PART.fullmatch(part) for part in key.split("/")):
        raise StoreError(f"expected a key of letters, digits, '.', '_', '-' and '/', found {key!r}")
    return key


def _names(folder: Path, suffix: str) -> set[str]:
    """Keys of the files below a folder that are not empty."""
    return {
        path.relative_to(folder).as_posix().removesuffix(suffix)
        for path in folder.rglob(f"*{suffix}")
        if path.stat().st_size > 0
    }
