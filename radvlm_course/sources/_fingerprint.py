"""A digest of the files of a dataset, by which a build knows that its data is still the same.

Every file counts with its name and size, and tables with their content: the tables at the top of a folder, and in a
folder further down CSV, JSON and YAML files where there are few of them. So a changed label in
``annotations/annotations_train.csv`` is found, and neither 300,000 films nor 240,000 scene graphs are read. What goes
unnoticed: a film, a report or a scene graph that was replaced by one of exactly the same number of bytes. Hidden files
and folders are no part of a dataset (``.downloads``, ``.DS_Store``).
"""

from __future__ import annotations

import hashlib
import os
from typing import Protocol

__all__ = ["add_folder", "place_digest"]

TABLES = (".csv", ".csv.gz", ".json", ".json.gz", ".jsonl", ".jsonl.gz", ".yaml")
AT_THE_TOP = (*TABLES, ".txt")  # lists of files; further down a text file is a report
FEW = 100  # a folder with more such files holds one for each film


class Digest(Protocol):
    """What ``hashlib`` gives."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""


def add_folder(digest: Digest, folder: str | os.PathLike[str]) -> None:
    """Add a folder's files to a digest, in an order that does not depend on the file system.

    Links to folders are followed, but for one that leads back to a folder that it lies in.
    """
    if os.path.isdir(folder):
        real = os.path.realpath(folder)
        _add(digest, os.fspath(folder), "", (real,))


def place_digest(place: str | os.PathLike[str]) -> str:
    """The digest of a folder, or of a single file with its content; of nothing at all if there is neither."""
    digest = hashlib.sha256()
    if os.path.isfile(place):
        digest.update(_content(os.fspath(place)))
    else:
        add_folder(digest, place)
    return digest.hexdigest()


def _add(digest: Digest, folder: str, inside: str, above: tuple[str, ...]) -> None:
    """Add a folder.

    Args:
        inside: its path below the first folder, ending in a slash; empty for the first.
        above: the real paths of this folder and of those that it was reached through.
    """
    with os.scandir(folder) as entries:
        listed = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
    suffixes = TABLES if inside else AT_THE_TOP
    tables = [entry.name for entry in listed if entry.name.endswith(suffixes)]
    read = frozenset(tables if len(tables) <= FEW else ())
    for entry in listed:
        if entry.is_dir():
            real = os.path.realpath(entry.path) if entry.is_symlink() else f"{above[-1]}{os.sep}{entry.name}"
            if real not in above:
                _add(digest, entry.path, f"{inside}{entry.name}/", (*above, real))
        elif entry.is_file():
            digest.update(f"{inside}{entry.name} {entry.stat().st_size}\n".encode(errors="surrogateescape"))
            if entry.name in read:
                digest.update(_content(entry.path))


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
