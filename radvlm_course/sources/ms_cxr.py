"""MS-CXR: 1,162 phrases on films of MIMIC-CXR, each with boxes drawn and checked by radiologists.

Citation: B. Boecking, N. Usuyama, S. Bannur, et al., "Making the Most of Text Semantics to Improve Biomedical
Vision-Language Processing", ECCV 2022, arXiv 2204.09817.
Licence and access: PhysioNet Credentialed Health Data License 1.5.0; become a credentialed user, sign the data use
agreement, download https://physionet.org/content/ms-cxr/. The images are those of MIMIC-CXR-JPG.

Files below ``root``, one of:

- ``MS_CXR_Local_Alignment_v1.1.0.csv`` (or ``v1.0.0``, or gzipped): one row a **box**. Read: ``dicom_id``,
  ``category_name``, ``label_text``, ``path`` (``files/p19/p19999999/s59999999/<dicom_id>.jpg``), ``x``, ``y``, ``w``,
  ``h`` (top left corner and size in pixels of an image of ``image_width`` x ``image_height``) and, where it exists,
  ``split``.
- ``MS_CXR_Local_Alignment_v1.1.0.json`` (or ``v1.0.0``), the same as COCO: ``categories`` (``id``, ``name``),
  ``images`` (``id``, ``path``, ``width``, ``height``), ``annotations`` (``image_id``, ``category_id``, ``bbox``,
  ``label_text`` and, where it exists, ``split``).

Below ``mimic_root``: the images, and ``mimic-cxr-2.0.0-split.csv`` for the split of MIMIC-CXR, which is the paper's and
the default: with it no film stands in the test split here and in the train split of ``mimic_cxr``. The file's own split
(``split_from="file"``) need not agree with it. Films, patients and studies are named as in ``mimic_cxr`` and
``chest_imagenome`` (see ``_mimic``); the train split of Chest ImaGenome contains test films of this dataset.

A record is one film. A phrase that has several boxes on a film is one phrase with several boxes. The boxes also stand
under the name of their category (8 of them), which counts as present; what has no phrase was not looked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources import _mimic
from radvlm_course.sources._common import check_split, checked_size, find_table, unit_box
from radvlm_course.sources._ms_cxr_rows import WHERE, BoxRow, read_boxes
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["CATEGORIES", "NAME", "read"]

NAME = "ms_cxr"
FILES = tuple(f"MS_CXR_Local_Alignment_v{end}" for end in ("1.1.0.csv", "1.1.0.json", "1.0.0.csv", "1.0.0.json"))
CATEGORIES: Mapping[str, str] = {
    name: name.lower()
    for name in (
        "Atelectasis",
        "Cardiomegaly",
        "Consolidation",
        "Edema",
        "Lung Opacity",
        "Pleural Effusion",
        "Pneumonia",
        "Pneumothorax",
    )
}
_SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train",), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation"), "validation"),
    **dict.fromkeys(("test",), "test"),
}


@dataclass
class _Film:
    """What was gathered of one film."""

    ids: tuple[str, str, str]  # dicom, subject, study
    size: tuple[int, int]
    place: str
    phrases: dict[str, list[Box]] = field(default_factory=dict)
    abnormalities: dict[str, list[Box]] = field(default_factory=dict)


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    mimic_root: str | os.PathLike[str] | None = None,
    split_from: Literal["mimic", "file"] = "mimic",
    annotations: str | None = None,
    image_suffix: str = ".jpg",
    check_images: bool = True,
) -> Iterator[Study]:
    """The films of a split, in the order in which the file first names them.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``; what belongs to no split is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        mimic_root: the folder of MIMIC-CXR-JPG; if not given, ``root``.
        split_from: MIMIC-CXR's split, or the file's own.
        annotations: name of the file; if not given, the newest that is there, CSV before JSON.
        image_suffix: of the image files, for films that were converted from DICOM.
        check_images: decode every image, which finds missing and truncated ones. ``False`` opens none: the paths may
            point to nothing.

    Returns:
        studies with phrase -> boxes and category -> boxes in unit coordinates, whatever the size of the image file.

    Raises:
        SourceError: the file, a column, a key or the split is missing, or a patient is in two splits.
    """
    check_split(split)
    folder, report = Path(root), ReadReport() if report is None else report
    counted = report if split == "train" else ReadReport()
    mimic = folder if mimic_root is None else Path(mimic_root)
    path = find_table(folder, FILES if annotations is None else (annotations,), WHERE)
    split_of = _splitter(split_from, mimic)
    rows = _of_split(read_boxes(path, split_from == "file", counted), split, split_of, counted, path)
    return _studies(_films(rows, report), split, str(mimic), image_suffix, check_images, report)


def _splitter(split_from: str, mimic_root: Path) -> Callable[[BoxRow], str | None]:
    """What gives the split of a row; ``None`` if it has none."""
    if split_from == "file":
        return lambda row: _SPLITS.get(row.split)
    if split_from != "mimic":
        raise SourceError(f"split_from: expected mimic or file, found {split_from!r}")
    # Bad rows of MIMIC-CXR's table are counted by its own reader; here the film has no split, and is counted as that.
    table = _mimic.read_split_table(mimic_root, lambda reason, place: None)
    return lambda row: table.of_image.get(row.dicom_id)


def _of_split(
    rows: Iterable[BoxRow],
    split: str,
    split_of: Callable[[BoxRow], str | None],
    counted: ReadReport,
    path: Path,
) -> Iterator[tuple[BoxRow, tuple[str, str, str]]]:
    """The rows of a split whose film has a name, with (dicom, subject, study)."""
    of_patient: dict[str, str] = {}
    for row in rows:
        ids = _mimic.film_ids(row.path)
        if ids is None or ids[0] != row.dicom_id:
            counted.skip("box whose path and dicom_id do not name one film of MIMIC-CXR", row.place)
            continue
        found = split_of(row)
        if found is None:
            counted.skip("box of a film without a split", row.place)
            continue
        if of_patient.setdefault(ids[1], found) != found:
            raise SourceError(f"{path}: expected every patient in one split, found {ids[1]} in two ({row.place})")
        if found == split:
            yield row, ids


def _films(rows: Iterable[tuple[BoxRow, tuple[str, str, str]]], report: ReadReport) -> list[_Film]:
    """The boxes gathered by film, and on a film by phrase and by category."""
    films: dict[str, _Film] = {}
    for row, ids in rows:
        category, phrase = CATEGORIES.get(row.category), " ".join(row.phrase.split())
        if category is None or not phrase:
            what = "box without a phrase" if category else f"box of an unknown category {row.category!r:.40}"
            report.skip(what, row.place)
            continue
        if row.image_size is None:
            report.skip("box of a film without a size", row.place)
            continue
        film = films.setdefault(row.dicom_id, _Film(ids, row.image_size, row.place))
        if film.ids != ids or film.size != row.image_size:
            report.skip("box of a film that an earlier row describes otherwise", row.place)
            continue
        corners = None if row.corner_and_size is None else _corners(*row.corner_and_size)
        box = unit_box(corners or (), film.size, report, f"{row.place} ({row.dicom_id})")
        if box is None:
            continue
        if box in film.phrases.setdefault(phrase, []):
            report.note("box given twice for a phrase, taken once", row.place)
            continue
        film.phrases[phrase].append(box)
        if box not in film.abnormalities.setdefault(category, []):  # two phrases may share a box
            film.abnormalities[category].append(box)
    return list(films.values())


def _corners(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    return x, y, x + width, y + height


def _studies(
    films: Iterable[_Film], split: str, mimic_root: str, image_suffix: str, check_images: bool, report: ReadReport
) -> Iterator[Study]:
    for film in films:
        dicom, subject, study = film.ids
        if not film.phrases:
            report.skip("film without a usable box", film.place)
            continue
        path = _mimic.image_path(mimic_root, dicom, subject, study, image_suffix)
        if checked_size(path, film.size, check_images, report) is None:
            continue
        phrases = {phrase: tuple(boxes) for phrase, boxes in film.phrases.items()}
        abnormalities = {name: tuple(boxes) for name, boxes in film.abnormalities.items()}
        record, findings = _mimic.record_id(study, dicom), dict.fromkeys(abnormalities, 1)
        report.read += 1
        yield Study(path, film.size, subject, record, NAME, split, "", "", findings, {}, abnormalities, phrases)
    report.warn(f"{NAME}, {split}")
