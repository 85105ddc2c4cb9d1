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
from radvlm_course.sources._fingerprint import add_folder, place_digest
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

    def fingerprint(self, others: dict[str, str] | None = None) -> str:
        """A digest of the dataset's files and of its options, by :mod:`._fingerprint`: no image is read.

        Options whose names end in ``_root`` name other folders: their paths and files count too, so that a change of
        MIMIC-CXR's metadata is a change of Chest ImaGenome. The path of ``root`` itself does not count.

        Args:
            others: other folder -> its digest, where it was taken before; new ones are added. Several datasets may be
                drawn on the films of one, whose folder then is walked once.
        """
        others = {} if others is None else others
        places = {name: os.fspath(value) for name, value in self.options.items() if _is_place(name, value)}
        rest = sorted((name, value) for name, value in self.options.items() if name not in places)
        digest = hashlib.sha256(repr((self.name, rest)).encode())
        add_folder(digest, self.root)
        for name, place in sorted(places.items()):
            if place not in others:
                others[place] = place_digest(place)
            digest.update(f"{name} {place} {others[place]}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


def _is_place(option: str, value: Any) -> bool:
    return option.endswith("_root") and value is not None
