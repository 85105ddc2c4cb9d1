"""Predictions on disk: one JSON line for each example, appended as they come.

Predicting takes hours on a real model, and machines are killed. So every line is written in one piece and
handed to the operating system at once, a torn last line (the process died while writing) is cut off when
the run resumes, and a full disk ends in an error that says what is kept. Everything else that is wrong with
a file (a corrupt line in the middle, an example twice, an unknown example, two models in one file) is
refused with the line's number, because metrics over such a file would be numbers about nothing.

Left out: protection against power loss (no ``fsync``) and two processes writing one file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NoReturn

from radvlm_course.chat import split_thought

__all__ = ["Prediction", "PredictionError", "PredictionWriter", "completed_ids", "read_predictions"]

FINISH_REASONS = ("stop", "length", "")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PredictionError(ValueError):
    """Predictions that cannot be read, written or scored; the message names the file, line and remedy."""


@dataclass(frozen=True)
class Prediction:
    """What one model answered to one example.

    Attributes:
        example_id: the example's id.
        completion: all text that the model wrote.
        response: the completion without its thought; None if a thinking model never got to it.
        model: which model wrote it, as tables name it.
        generation: the settings it was generated with (temperature, max_new_tokens, ...).
        finish_reason: ``stop`` (ended by itself), ``length`` (cut off at the limit), or empty if unknown.
    """

    example_id: str
    completion: str
    response: str | None
    model: str
    generation: dict[str, Any] = field(default_factory=dict)
    finish_reason: str = ""

    def __post_init__(self) -> None:
        for name in ("example_id", "completion", "model", "finish_reason"):
            if not isinstance(getattr(self, name), str):
                raise PredictionError(f"{name}: expected text, found {getattr(self, name)!r:.80}")
        if not (self.response is None or isinstance(self.response, str)):
            raise PredictionError(f"response: expected text or null, found {self.response!r:.80}")
        if not isinstance(self.generation, dict):
            raise PredictionError(f"generation: expected an object of settings, found {self.generation!r:.80}")
        if self.finish_reason not in FINISH_REASONS:
            raise PredictionError(f"finish_reason: expected stop, length or empty, found {self.finish_reason!r:.80}")

    @classmethod
    def from_completion(
        cls,
        example_id: str,
        completion: str,
        model: str,
        generation: dict[str, Any] | None = None,
        finish_reason: str = "",
        thinking: bool = False,
    ) -> Prediction:
        """A prediction whose response is taken out of the completion by ``chat.split_thought``."""
        response = split_thought(completion, thinking).response
        return cls(example_id, completion, response, model, dict(generation or {}), finish_reason)

    def to_line(self) -> bytes:
        """The JSON line, UTF-8, with its newline."""
        text = json.dumps({f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace") + b"\n"  # a lone surrogate becomes its JSON escape

    @classmethod
    def from_line(cls, line: bytes) -> Prediction:
        """The inverse of :meth:`to_line`.

        Raises:
            PredictionError: not JSON, not an object, or fields are missing, unknown or of the wrong type.
        """
        try:
            values = json.loads(line)
        except ValueError as error:  # also UnicodeDecodeError
            raise PredictionError(f"not a JSON line ({error})") from error
        names = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(values, dict):
            raise PredictionError(f"expected a JSON object with {', '.join(sorted(names))}, found {values!r:.80}")
        missing = {"example_id", "completion", "response", "model"} - set(values)
        if missing or set(values) - names:
            raise PredictionError(
                f"expected the fields {', '.join(sorted(names))}; "
                f"missing: {', '.join(sorted(missing)) or 'none'}; "
                f"unknown: {', '.join(sorted(set(values) - names)) or 'none'}"
            )
        return cls(**values)


def read_predictions(
    path: str | os.PathLike[str],
    example_ids: Collection[str] | None = None,
    belongs: Callable[[str], bool] | None = None,
) -> Iterator[Prediction]:
    """Read a predictions file, one line at a time.

    A torn last line is left out with a warning; the file is not changed.

    Args:
        example_ids: the examples that were asked; None accepts any.
        belongs: whether an example's line may stand in this file, where several processes write one file each.

    Raises:
        PredictionError: a line is corrupt, an example appears twice or is not among ``example_ids``, or two
            models wrote the file; names the file and the line.
        FileNotFoundError: there is no such file.
    """
    known = None if example_ids is None else frozenset(example_ids)
    first_seen: dict[str, int] = {}
    model: str | None = None
    for number, prediction in _numbered(path):
        where = f"{path}, line {number}"
        if known is not None and prediction.example_id not in known:
            raise PredictionError(
                f"{where}: example {prediction.example_id!r} is not among the {len(known)} examples asked: "
                "these predictions belong to another set of examples"
            )
        if belongs is not None and not belongs(prediction.example_id):
            raise PredictionError(f"{where}: example {prediction.example_id!r} falls to another shard's file")
        if prediction.example_id in first_seen:
            raise PredictionError(
                f"{where}: example {prediction.example_id!r} was already answered in line "
                f"{first_seen[prediction.example_id]}: remove one of the two lines"
            )
        if model is not None and prediction.model != model:
            raise PredictionError(f"{where}: written by model {prediction.model!r}, the lines before by {model!r}")
        model = prediction.model
        first_seen[prediction.example_id] = number
        yield prediction


def _numbered(path: str | os.PathLike[str]) -> Iterator[tuple[int, Prediction]]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                prediction = Prediction.from_line(line)
            except PredictionError as error:
                if not line.endswith(b"\n"):
                    warnings.warn(f"{path}, line {number} is torn (the run was killed): left out", stacklevel=3)
                    return
                raise PredictionError(f"{path}, line {number}: {error}") from error
            yield number, prediction


def completed_ids(path: str | os.PathLike[str]) -> set[str]:
    """The examples that a predictions file already answers; empty if there is no file.

    Raises:
        PredictionError: as :func:`read_predictions`.
    """
    return {prediction.example_id for prediction in read_predictions(path)} if Path(path).exists() else set()


class PredictionWriter:
    """Appends predictions to a file, resuming where a killed run stopped.

    Opening repairs the end of the file: a torn last line is cut off with a warning, its example is then
    missing from :attr:`completed` and will be asked again.

    Args:
        path: the JSONL file; made, with its folder, if missing.
        example_ids: the examples that may be written; None accepts any.

    Attributes:
        completed: ids of the examples that the file answers, kept up to date.

    Raises:
        PredictionError: the file is corrupt (see :func:`read_predictions`).
    """

    def __init__(self, path: str | os.PathLike[str], example_ids: Collection[str] | None = None) -> None:
        self.path = Path(path)
        self._known = None if example_ids is None else frozenset(example_ids)
        self._model: str | None = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _repair_end(self.path)
        self.completed: set[str] = set()
        if self.path.exists():
            for prediction in read_predictions(self.path, self._known):
                self.completed.add(prediction.example_id)
                self._model = prediction.model
        self._file: BinaryIO = open(self.path, "ab", buffering=0)  # noqa: SIM115 (closed by close)
        self._whole = self._file.tell()

    def write(self, prediction: Prediction) -> None:
        """Append one line and hand it to the operating system.

        Raises:
            PredictionError: the example is unknown, already answered or of another model than the file's; or
                the disk is full, in which case all earlier lines are kept and the file ends after them.
        """
        identifier = prediction.example_id
        if self._known is not None and identifier not in self._known:
            raise PredictionError(f"{self.path}: example {identifier!r} is not among the {len(self._known)} asked")
        if identifier in self.completed:
            raise PredictionError(f"{self.path}: example {identifier!r} is already answered")
        if self._model is not None and prediction.model != self._model:
            raise PredictionError(
                f"{self.path} holds predictions of model {self._model!r}, found {prediction.model!r}: "
                "write each model to its own file"
            )
        try:
            self._append(prediction.to_line())
        except OSError as error:
            self._give_up(identifier, error)
        self._whole = self._file.tell()
        self.completed.add(identifier)
        self._model = prediction.model

    def _append(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _give_up(self, identifier: str, error: OSError) -> NoReturn:
        with contextlib.suppress(OSError):  # a torn end that cannot be cut now is cut when the run resumes
            self._file.truncate(self._whole)
        self._file.close()
        reason = "the disk is full" if error.errno in _DISK_FULL else "the file system refused"
        raise PredictionError(
            f"{self.path}: could not write the prediction of example {identifier!r}: {reason} ({error}). "
            f"All {len(self.completed)} predictions before it are kept. Free some space and run the same command "
            "again: it continues after them"
        ) from error

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> PredictionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _repair_end(path: Path) -> None:
    """Make the file end with a whole line: finish one that only lacks its newline, cut off a torn one."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with open(path, "rb+") as file:
        last, start = _last_line(file)
        if last.endswith(b"\n"):
            return
        try:
            Prediction.from_line(last)
        except PredictionError:
            file.truncate(start)
            warnings.warn(
                f"{path}: the last line is torn ({len(last)} bytes, the run was killed while writing it); it was cut "
                "off and its example will be asked again",
                stacklevel=3,
            )
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")


def _last_line(file: BinaryIO, block: int = 65_536) -> tuple[bytes, int]:
    """The bytes after the last newline that is not the file's end, and where they start."""
    position = file.seek(0, os.SEEK_END)
    tail = b""
    while position > 0:
        step = min(block, position)
        position -= step
        file.seek(position)
        tail = file.read(step) + tail
        newline = tail.rfind(b"\n", 0, len(tail) - 1)
        if newline >= 0:
            return tail[newline + 1 :], position + newline + 1
    return tail, 0
