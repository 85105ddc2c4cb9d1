"""Several datasets in one folder: a sub-folder each, named as the readers are.

::

    data/mimic_cxr/            MIMIC-CXR-JPG with the reports
    data/chest_imagenome/      no image: it looks for those of data/mimic_cxr
    data/nih_chestxray14/
    ...

Each sub-folder holds the dataset as delivered; the reader's docstring lists the files. Written conversations may lie in
a dataset's folder too, in ``conversations/``, where ``data_scripts/write_conversations.py`` puts them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from radvlm_course.sources import READERS, Source, SourceError
from radvlm_course.sources._fingerprint import place_digest

__all__ = ["CONVERSATIONS", "find_conversations", "find_sources", "fingerprint"]

CONVERSATIONS = "conversations"
_MIMIC = "mimic_cxr"


def find_sources(
    folder: str | os.PathLike[str] | None,
    names: Collection[str] | None = None,
    roots: Mapping[str, str | os.PathLike[str]] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Source]:
    """Dataset -> its source, for every sub-folder that has a reader's name, in the order of :data:`READERS`.

    Datasets that annotate films of MIMIC-CXR without delivering them look for them in ``mimic_cxr`` beside them.

    Args:
        folder: ``None`` if ``roots`` names all folders.
        names: only these datasets, if given; one that is nowhere is simply not among the sources.
        roots: dataset -> its folder, where that is another than the sub-folder.
        options: dataset -> options of its reader.

    Raises:
        SourceError: there is no such folder, no dataset is found, a dataset or an option does not exist, or there are
            options of a dataset that is not among the sources.
    """
    roots, options = roots or {}, options or {}
    if unknown := sorted({*roots, *options, *(names or ())} - READERS.keys()):
        raise SourceError(f"datasets: expected some of {', '.join(READERS)}; found {', '.join(unknown)}")
    places = (_sub_folders(folder) if folder is not None else {}) | {name: Path(roots[name]) for name in roots}
    found: dict[str, Source] = {}
    for name in READERS:
        if name in places and (names is None or name in names):
            source = found[name] = Source(name, places[name], **options.get(name, {}))
            if name != _MIMIC and source.has_option("mimic_root") and _MIMIC in places:
                source.options.setdefault("mimic_root", places[_MIMIC])
    if idle := sorted(options.keys() - found.keys()):
        there = ", ".join(found) or "none"
        raise SourceError(f"expected options of the datasets that are read ({there}) only, found {', '.join(idle)}")
    if not found:
        raise SourceError(_nothing(folder, READERS if names is None else names))
    return found


def _sub_folders(folder: str | os.PathLike[str]) -> dict[str, Path]:
    if not Path(folder).is_dir():
        raise SourceError(f"expected a folder with a sub-folder for each dataset at {folder}, found none")
    return {name: Path(folder) / name for name in READERS if (Path(folder) / name).is_dir()}


def _nothing(folder: str | os.PathLike[str] | None, names: Collection[str]) -> str:
    if folder is None:
        return f"expected the folder of at least one dataset ({', '.join(names)}), found none"
    there = ", ".join(sorted(path.name for path in Path(folder).iterdir() if path.is_dir())) or "no sub-folder"
    return f"{folder}: expected at least one sub-folder named like a dataset ({', '.join(names)}), found {there}"


def find_conversations(sources: Mapping[str, Source]) -> dict[str, str]:
    """Dataset -> the folder that holds its ``conversations/``, for those that have one."""
    return {name: str(source.root) for name, source in sources.items() if (source.root / CONVERSATIONS).is_dir()}


def fingerprint(sources: Mapping[str, Source], conversations: Mapping[str, str | os.PathLike[str]]) -> str:
    """A digest of several datasets and of the written conversations about them.

    The folders' paths count, since the pairs of a mixture name their images by them.
    """
    others: dict[str, str] = {}
    parts = [f"{name} {source.root} {source.fingerprint(others)}" for name, source in sorted(sources.items())]
    for name, folder in sorted(conversations.items()):
        inner = Path(folder) / CONVERSATIONS
        parts.append(f"{name} {place_digest(inner if inner.is_dir() else folder)}")
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()
