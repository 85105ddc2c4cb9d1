"""One module per dataset; each has ``read(root, split) -> Iterator[Study]``.

A dataset's module is imported when it is first asked for, so that a reader's dependencies are paid for by
those who use it. To add a dataset, write its module and add its name to :data:`READERS`.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from radvlm_course.records import Study
from radvlm_course.sources._report import ReadReport, SourceError, SourceWarning

__all__ = ["READERS", "ReadReport", "Source", "SourceError", "SourceWarning", "get_reader"]

READERS = {
    "phantom": "radvlm_course.sources.phantom",
    "nih_chestxray14": "radvlm_course.sources.nih_chestxray14",
    "chestx_det": "radvlm_course.sources.chestx_det",
    "mimic_cxr": "radvlm_course.sources.mimic_cxr",
    "chexpert": "radvlm_course.sources.chexpert",
    "chexpert_plus": "radvlm_course.sources.chexpert_plus",
    "chest_imagenome": "radvlm_course.sources.chest_imagenome",
    "ms_cxr": "radvlm_course.sources.ms_cxr",
    "vindr_cxr": "radvlm_course.sources.vindr_cxr",
    "padchest_gr": "radvlm_course.sources.padchest_gr",
    "rsna_pneumonia": "radvlm_course.sources.rsna_pneumonia",
    "open_i": "radvlm_course.sources.open_i",
    "tbx11k": "radvlm_course.sources.tbx11k",
}
_TABLE_SUFFIXES = (".csv", ".gz", ".json", ".jsonl", ".txt", ".yaml")


def get_reader(name: str) -> Any:
    """The module that reads the dataset ``name``; its ``read`` is the reader.

    Raises:
        SourceError: there is no such dataset; lists those that exist.
    """
    if name not in READERS:
        raise SourceError(f"source: expected one of {', '.join(READERS)}; found {name!r}")
    return importlib.import_module(READERS[name])


class Source:
    """One dataset in one folder: call it with a split to get its studies.

    Args:
        name: one of :data:`READERS`.
        root: the dataset's folder.
        options: passed on to the dataset's ``read``; they go before options of a single call.

    Raises:
        SourceError: there is no such dataset, or its reader has no such option.

    Attributes:
        reports: split -> what its latest reading kept and left out (for readers that report it).
    """

    def __init__(self, name: str, root: str | Path, **options: Any) -> None:
        self.name, self.root, self.options = name, Path(root), options
        self.reports: dict[str, ReadReport] = {}
        self._read = get_reader(name).read
        self._known = tuple(inspect.signature(self._read).parameters)
        self._check(self.options)

    def __call__(self, split: str, **options: Any) -> Iterator[Study]:
        """The studies of a split, read with further options.

        Raises:
            SourceError: the dataset's reader has no such option, or cannot read the dataset.
        """
        self._check(options)
        options |= self.options
        if "report" in self._known:
            self.reports[split] = options["report"] = ReadReport()
        studies: Iterator[Study] = self._read(self.root, split, **options)
        return studies

    def has_option(self, name: str) -> bool:
        """Whether the dataset's reader has this option."""
        return name in self._known and name not in ("root", "split", "report")

    def _check(self, options: Mapping[str, Any]) -> None:
        if unknown := [name for name in options if not self.has_option(name)]:
            known = ", ".join(name for name in self._known if self.has_option(name)) or "none"
            raise SourceError(f"{self.name}: unknown option {', '.join(unknown)}; its reader has {known}")

    def fingerprint(self) -> str:
        """A digest of the folder: every file's name and size, and the content of the tables at its top.

        Changes when a table, the set of images or an option changes; an image that was replaced by one of
        exactly the same number of bytes goes unnoticed.
        """
        digest = hashlib.sha256(repr((self.name, sorted(self.options.items()))).encode())
        for name, size in _files(self.root):
            digest.update(f"{name} {size}\n".encode())
            if "/" not in name and name.endswith(_TABLE_SUFFIXES):
                with (self.root / name).open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def _files(folder: str | Path, inside: str = "") -> Iterator[tuple[str, int]]:
    """(path below the first folder, size in bytes) of every file, in the order of the paths' parts."""
    if not Path(folder).is_dir():
        return
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, f"{inside}{entry.name}/")
        elif entry.is_file():
            yield f"{inside}{entry.name}", entry.stat().st_size
