"""Several processes, one set of examples: who answers what, and all of it read back.

Process I of N answers the examples whose id falls to it by a hash, so that nobody has to agree on anything: the same id
falls to the same shard on any machine, whatever the order of the examples and whichever of them are there. Each shard
is a file of its own (``predictions.0-of-4.jsonl``; one process alone writes ``predictions.jsonl``), and a lock keeps a
second process off it. :func:`read_folder` puts the shards together and refuses whatever would make the scores wrong.

The shards are equal on average only: of 3,000 examples each of 8 gets 375, give or take 40.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.evaluation.predictions import Prediction, PredictionError, read_predictions

__all__ = ["Shard", "alone", "read_folder", "shard_files"]

_NAME = re.compile(r"predictions(?:\.(\d+)-of-(\d+))?\.jsonl")


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a set of examples; ``index`` counts from 0.

    Raises:
        ValueError: the index is not among 0 to count - 1.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(
                f"shard {self.index}/{self.count}: expected 0/{self.count} to {self.count - 1}/{self.count}"
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``I/N``.

        Raises:
            ValueError: not of that form, or no such shard.

        >>> Shard.parse("0/4")
        Shard(index=0, count=4)
        """
        found = re.fullmatch(r"(\d+)/([1-9]\d*)", text.strip())
        if not found:
            raise ValueError(f"expected a shard as I/N, from 0/N to N-1/N, found {text!r}")
        return cls(int(found[1]), int(found[2]))

    def holds(self, example_id: str) -> bool:
        """Whether an example falls to this shard."""
        digest = hashlib.blake2b(example_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.index

    @property
    def file_name(self) -> str:
        return "predictions.jsonl" if self.count == 1 else f"predictions.{self.index}-of-{self.count}.jsonl"


def shard_files(folder: str | os.PathLike[str]) -> dict[Shard, Path]:
    """The predictions files of a folder.

    Raises:
        PredictionError: files of two different divisions lie side by side, so that examples would count twice.
    """
    found: dict[Shard, Path] = {}
    for path in sorted(Path(folder).glob("predictions*.jsonl")):
        if name := _NAME.fullmatch(path.name):
            found[Shard(int(name[1]), int(name[2])) if name[1] else Shard()] = path
    if len(counts := sorted({shard.count for shard in found})) > 1:
        raise PredictionError(
            f"{folder} holds predictions in {' and in '.join(map(str, counts))} shards: expected one division; "
            "move one of them to another folder"
        )
    return found


def read_folder(folder: str | os.PathLike[str], example_ids: Collection[str] | None = None) -> Iterator[Prediction]:
    """Read all predictions of a folder, one line at a time, shard after shard.

    Args:
        example_ids: the examples that were asked; None accepts any.

    Raises:
        FileNotFoundError: there is no predictions file.
        PredictionError: a shard's file is missing, a line is corrupt, doubled, of an example that was not asked or that
            falls to another shard, or two models wrote the folder; names the file and, where there is one, the line.
    """
    files = shard_files(folder)
    if not files:
        raise FileNotFoundError(f"expected predictions in {folder} (predictions.jsonl, or one file for each shard)")
    count = next(iter(files)).count
    if absent := [str(index) for index in range(count) if Shard(index, count) not in files]:
        raise PredictionError(
            f"{folder}: of {count} shards {', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not there: "
            f"expected {Shard(int(absent[0]), count).file_name}; run evaluate predict with --shard {absent[0]}/{count}"
        )
    return _read(files, example_ids)


def _read(files: dict[Shard, Path], example_ids: Collection[str] | None) -> Iterator[Prediction]:
    known = None if example_ids is None else frozenset(example_ids)
    first: tuple[str, Path] | None = None
    for shard, path in sorted(files.items(), key=lambda item: item[0].index):
        for prediction in read_predictions(path, known, shard.holds):
            first = first or (prediction.model, path)
            if prediction.model != first[0]:
                raise PredictionError(
                    f"{path}: written by model {prediction.model!r}, but {first[1]} by {first[0]!r}: keep each model "
                    "in a folder of its own"
                )
            yield prediction


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes off a predictions file while the block runs; a killed process lets go of it.

    On systems and file systems without file locks the block runs all the same, after a warning.

    Raises:
        PredictionError: another process writes the file.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PredictionError(
                f"{path}: another process is writing this file. Wait for it, or give each process its own --shard I/N"
            ) from error
        except OSError as error:
            warnings.warn(f"{path}: this file system has no locks ({error}): start each shard only once", stacklevel=3)
        yield
