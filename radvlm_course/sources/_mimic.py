"""What the readers of MIMIC-CXR and of the datasets drawn on its films share.

One film has the same name everywhere: ``patient_id`` is the ``subject_id``, ``study_id`` is
``<study>_<dicom_id>`` (a study has several films, and a record is one film), ``image_path`` is the file below the
folder of MIMIC-CXR-JPG. So a film that stands in two datasets is found by any of the three.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.sources._common import find_table, read_rows
from radvlm_course.sources._report import SourceError

__all__ = [
    "FRONTAL",
    "WHERE",
    "Film",
    "SplitTable",
    "film_ids",
    "image_path",
    "read_metadata",
    "read_split_table",
    "record_id",
    "view_name",
]

WHERE = "download it from https://physionet.org/content/mimic-cxr-jpg/ (credentialed access)"
FRONTAL = ("AP", "PA")
SPLIT_TABLES = ("mimic-cxr-2.0.0-split.csv",)
SPLIT_COLUMNS = ("dicom_id", "study_id", "subject_id", "split")
METADATA_TABLES = ("mimic-cxr-2.0.0-metadata.csv",)
METADATA_COLUMNS = ("dicom_id", "subject_id", "study_id", "ViewPosition", "Rows", "Columns")
_SPLITS: Mapping[str, str] = {"train": "train", "validate": "validation", "test": "test"}
_IDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4} 1[0-9]{7} 5[0-9]{7}")
_PATH = re.compile(r"files/p1\d/p(\d{8})/s(\d{8})/([0-9a-f-]{44})\.\w+")
_LATERAL = ("LATERAL", "LL", "RL", "LEFT LATERAL", "RIGHT LATERAL", "XTABLE LATERAL")


@dataclass(frozen=True)
class Film:
    """One row of the metadata.

    Attributes:
        view_position: as written, for example ``AP``, ``LL`` or empty.
        size: (width, height) in pixels of the original image; ``None`` if the table does not say.
        place: file and line.
    """

    dicom_id: str
    subject_id: str
    study_id: str
    view_position: str
    size: tuple[int, int] | None
    place: str


@dataclass(frozen=True)
class SplitTable:
    """The official split: ``dicom_id`` -> split, and ``subject_id`` -> split."""

    of_image: Mapping[str, str]
    of_patient: Mapping[str, str]


def well_named(dicom_id: str, subject_id: str, study_id: str) -> bool:
    """Whether the three identifiers look as MIMIC-CXR writes them; only then may they become a path."""
    return _IDS.fullmatch(f"{dicom_id} {subject_id} {study_id}") is not None


def film_ids(path: str) -> tuple[str, str, str] | None:
    """(dicom, subject, study) from a path such as ``files/p19/p19999999/s59999999/<dicom_id>.jpg``, else ``None``."""
    match = _PATH.fullmatch(path)
    ids = (match.group(3), match.group(1), match.group(2)) if match else ("", "", "")
    return ids if well_named(*ids) else None


def image_path(root: str, dicom_id: str, subject_id: str, study_id: str, suffix: str = ".jpg") -> str:
    """Where MIMIC-CXR-JPG keeps a film."""
    return os.path.join(root, "files", f"p{subject_id[:2]}", f"p{subject_id}", f"s{study_id}", f"{dicom_id}{suffix}")


def record_id(study_id: str, dicom_id: str) -> str:
    """The ``study_id`` of a record of one film."""
    return f"{study_id}_{dicom_id}"


def view_name(view_position: str) -> str:
    """``PA``, ``AP``, ``lateral``, or empty for anything else."""
    if view_position in FRONTAL:
        return view_position
    return "lateral" if view_position in _LATERAL else ""


def read_split_table(root: Path, damaged: Callable[[str, str], None]) -> SplitTable:
    """The official split.

    Args:
        damaged: called with the reason and the place of each row that cannot be used.

    Raises:
        SourceError: there is no table, it lacks a column, or it puts a patient into two splits.
    """
    path = find_table(root, SPLIT_TABLES, WHERE)
    of_image: dict[str, str] = {}
    of_patient: dict[str, str] = {}
    short = "row of the split table with too few cells"
    for place, row in read_rows(path, SPLIT_COLUMNS, WHERE, lambda place: damaged(short, place)):
        split = _SPLITS.get(row["split"])
        dicom, subject = row["dicom_id"], row["subject_id"]
        if split is None or not well_named(dicom, subject, row["study_id"]):
            damaged("row of the split table with an unknown split or identifier", place)
            continue
        if of_patient.setdefault(subject, split) != split:
            raise SourceError(
                f"{path}: expected every patient in one split, found {subject} in {of_patient[subject]} and {split}"
            )
        if dicom in of_image:
            damaged("second row of an image in the split table", place)
            continue
        of_image[dicom] = split
    return SplitTable(of_image, of_patient)


def read_metadata(root: Path, damaged: Callable[[str, str], None]) -> Iterator[Film]:
    """The rows of the metadata, in their order.

    Args:
        damaged: called with the reason and the place of each row that cannot be used.

    Raises:
        SourceError: there is no table, or it lacks a column.
    """
    path = find_table(root, METADATA_TABLES, WHERE)
    sizes: dict[tuple[str, str], tuple[int, int] | None] = {}  # few sizes, many films: each is kept once
    short = "row of the metadata with too few cells"
    for place, row in read_rows(path, METADATA_COLUMNS, WHERE, lambda place: damaged(short, place)):
        ids = (row["dicom_id"], row["subject_id"], row["study_id"])
        if not well_named(*ids):
            damaged("row of the metadata whose identifiers are not as MIMIC-CXR writes them", place)
            continue
        written = (row["Columns"], row["Rows"])
        if written not in sizes:
            sizes[written] = _size(*written)
        yield Film(*ids, row["ViewPosition"], sizes[written], place)


def _size(width: str, height: str) -> tuple[int, int] | None:
    try:
        size = (int(float(width)), int(float(height)))
    except (ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None
