"""NIH ChestX-ray14: 112,120 frontal radiographs of 30,805 patients, 984 boxes on 880 of them.

Citation: X. Wang, Y. Peng, L. Lu, Z. Lu, M. Bagheri, R. M. Summers, "ChestX-ray8: Hospital-scale Chest X-ray
Database and Benchmarks on Weakly-Supervised Classification and Localization of Common Thorax Diseases",
CVPR 2017.
Licence and access: open; the NIH Clinical Center asks users to link to the download site, to cite the paper and
to acknowledge the NIH Clinical Center as the provider. Download: https://nihcc.app.box.com/v/ChestXray-NIHCC

Files below ``root`` (both tables may be gzipped):

- ``Data_Entry_2017.csv`` (or ``Data_Entry_2017_v2020.csv``): one row an image. Read: ``Image Index``,
  ``Finding Labels`` (joined by ``|``), ``Patient ID``, ``View Position``.
- ``BBox_List_2017.csv``: one row a box, ``Image Index,Finding Label,Bbox [x,y,w,h],,,``. The box is the top left
  corner and the size **in pixels of the released 1024 x 1024 image**, whatever the size of the file at hand.
- images in ``images/``, ``images_*/images/``, ``images_*/`` or beside the tables. A file whose extension differs
  from the table's (films re-encoded as ``.jpg``) is found by its stem and counted.
- ``train_val_list.txt`` and ``test_list.txt``: optional, the official split.

Splits are by patient. With the two official lists, ``test`` is the official test list, and one patient in eight
of the official train-and-validation list is ``validation`` by a seeded hash. Without them all patients are drawn
by that hash: 70% train, 10% validation, 20% test.

The labels were mined from reports that are not public, so a study has no report, and about one label in ten is
wrong. The boxes were drawn by hand. **Boxes are not exhaustive**: a film has boxes for some of its findings at
most, and a film without boxes is not a normal one. Left out: age, sex, follow-up number, pixel spacing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources._common import (
    FRACTIONS,
    check_split,
    find_images,
    find_table,
    nih_patient,
    read_image,
    read_rows,
    split_of_patient,
    unit_box,
)
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["BOX_SPACE", "FINDINGS", "NAME", "read"]

NAME = "nih_chestxray14"
BOX_SPACE = (1024, 1024)  # (width, height) of the released images, in whose pixels the boxes are given
WHERE = "download it from https://nihcc.app.box.com/v/ChestXray-NIHCC"
ENTRY_TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
ENTRY_COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "View Position")
BOX_TABLES = ("BBox_List_2017.csv",)
BOX_COLUMNS = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]")
NO_FINDING = "No Finding"
VALIDATION_OF_TRAIN_VAL: Mapping[str, float] = {"train": 0.875, "validation": 0.125}

# Both tables' names -> the course's names. The box table writes Infiltrate where the other has Infiltration.
FINDINGS: Mapping[str, str] = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Effusion": "pleural effusion",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Hernia": "hernia",
    "Infiltrate": "infiltration",
    "Infiltration": "infiltration",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pleural_Thickening": "pleural thickening",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
}


@dataclass(frozen=True)
class _Splitter:
    """Which split an image belongs to."""

    seed: int
    fractions: Mapping[str, float]
    official: Mapping[str, str] = field(default_factory=dict)  # image stem -> train_val or test

    def split(self, stem: str, patient: str | None) -> str | None:
        """``None`` if the official lists do not have the image, or its name has no patient."""
        if patient is None:
            return None
        if not self.official:
            return split_of_patient(patient, self.seed, self.fractions)
        part = self.official.get(stem)
        return split_of_patient(patient, self.seed, VALIDATION_OF_TRAIN_VAL) if part == "train_val" else part


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    seed: int = 0,
    fractions: Mapping[str, float] = FRACTIONS,
    unlisted_as: Literal["absent", "not mentioned"] = "absent",
    check_images: bool = True,
) -> Iterator[Study]:
    """The studies of a split, in the order of ``Data_Entry_2017.csv``.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``; what belongs to no split is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        seed, fractions: of the split by patient where no official list decides.
        unlisted_as: whether a label that is not in ``Finding Labels`` is absent (the usual reading of
            this dataset) or was not mentioned.
        check_images: decode every image, which finds truncated ones; ``False`` reads headers only.

    Returns:
        studies with boxes in unit coordinates and ``image_size`` as found in the file.

    Raises:
        SourceError: a table, a column or all images are missing.
    """
    check_split(split)
    if unlisted_as not in ("absent", "not mentioned"):
        raise SourceError(f"unlisted_as: expected 'absent' or 'not mentioned', found {unlisted_as!r}")
    folder = Path(root)
    report = ReadReport() if report is None else report
    entries = find_table(folder, ENTRY_TABLES, WHERE)
    boxes_table = find_table(folder, BOX_TABLES, WHERE)
    splitter = _Splitter(seed, fractions, _official_lists(folder))
    images = find_images(_image_folders(folder))
    if not images:
        raise SourceError(f"expected images in {folder / 'images'} or {folder / 'images_*'}, found none; {WHERE}")
    rows = list(read_rows(entries, ENTRY_COLUMNS, WHERE, lambda place: _damaged(report, split, place)))
    boxes = _read_boxes(boxes_table, split, splitter, report)
    return _studies(rows, boxes, images, split, splitter, report, unlisted_as, check_images)


def _damaged(report: ReadReport, split: str, place: str) -> None:
    if split == "train":
        report.skip("row with too few cells", place)


def _image_folders(root: Path) -> list[Path]:
    parts = sorted(root.glob("images_*"))
    candidates = [root / "images", *[part / "images" for part in parts], *parts, root]
    return [folder for folder in candidates if folder.is_dir()]


def _official_lists(root: Path) -> dict[str, str]:
    paths = {"train_val": root / "train_val_list.txt", "test": root / "test_list.txt"}
    found = {part: path for part, path in paths.items() if path.is_file()}
    if not found:
        return {}
    if len(found) == 1:
        missing = next(path for part, path in paths.items() if part not in found)
        raise SourceError(f"expected both official lists or none, found no {missing}; {WHERE}")
    official: dict[str, str] = {}
    parts_of_patient: dict[str, str] = {}
    for part, path in found.items():
        for line in _words(path):
            official[Path(line).stem] = part
            patient = nih_patient(line)
            if patient is not None and parts_of_patient.setdefault(patient, part) != part:
                raise SourceError(f"{path}: patient {patient} is in both official lists, which must not share patients")
    return official


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: expected a readable list, found a damaged one ({error}); {WHERE}") from error


Boxes = dict[str, dict[str, list[Box]]]


def _read_boxes(path: Path, split: str, splitter: _Splitter, report: ReadReport) -> Boxes:
    """Image stem -> finding -> boxes, of the images of one split."""
    boxes: Boxes = {}
    for place, row in read_rows(path, BOX_COLUMNS, WHERE, lambda place: _damaged(report, split, place)):
        stem = Path(row["Image Index"]).stem
        if (splitter.split(stem, nih_patient(stem)) or "train") != split:
            continue
        place = f"{place} ({row['Image Index']})"
        finding = FINDINGS.get(row["Finding Label"])
        if finding is None:
            report.skip(f"box of an unknown finding {row['Finding Label']!r}", place)
            continue
        found = boxes.setdefault(stem, {})
        try:
            x, y, width, height = (float(row[column]) for column in BOX_COLUMNS[2:])
        except ValueError:
            report.skip("box that is not four numbers", place)
            continue
        box = unit_box((x, y, x + width, y + height), BOX_SPACE, report, place)
        if box is not None:
            found.setdefault(finding, []).append(box)
    return boxes


def _studies(
    rows: list[tuple[str, dict[str, str]]],
    boxes: Boxes,
    images: dict[str, list[Path]],
    split: str,
    splitter: _Splitter,
    report: ReadReport,
    unlisted_as: str,
    decode: bool,
) -> Iterator[Study]:
    listed: set[str] = set()
    for place, row in rows:
        stem = Path(row["Image Index"]).stem
        patient = nih_patient(stem)
        if (splitter.split(stem, patient) or "train") != split:
            listed.add(stem)
            continue
        place = f"{place} ({row['Image Index']})"
        findings = _findings(row["Finding Labels"], unlisted_as)
        problem = _problem_of_row(row, stem, patient, findings, splitter, listed)
        listed.add(stem)
        if problem or findings is None or patient is None:
            report.skip(problem, place)
            continue
        image = read_image(row["Image Index"], images, decode, report)
        if image is None:
            continue
        abnormalities = {name: tuple(found) for name, found in boxes.get(stem, {}).items()}
        for name in abnormalities:
            if findings.get(name) != 1:
                report.note("box of a finding that the label column lacks, taken as present", f"{place}: {name}")
                findings[name] = 1
        view = row["View Position"] if row["View Position"] in ("PA", "AP") else ""
        report.read += 1
        yield Study(str(image[0]), image[1], patient, stem, NAME, split, view, "", findings, {}, abnormalities)
    _count_leftovers(listed, boxes, images, split, splitter, report)
    report.warn(f"{NAME}, {split}")


def _problem_of_row(
    row: dict[str, str],
    stem: str,
    patient: str | None,
    findings: dict[str, int] | None,
    splitter: _Splitter,
    listed: set[str],
) -> str:
    """Why a row cannot be used; empty if it can."""
    if patient is None:
        return "row whose image name is not like 00000181_061.png"
    if not row["Patient ID"].isdigit() or int(row["Patient ID"]) != int(patient):
        return "row whose Patient ID is not the patient in the image name"
    if splitter.split(stem, patient) is None:
        return "image in neither official list"
    if stem in listed:
        return "second row of an image"
    return "row with an unknown finding label" if findings is None else ""


def _findings(labels: str, unlisted_as: str) -> dict[str, int] | None:
    """Finding -> 1 or 0 from the joined label cell; ``None`` if it has a label that the dataset does not have."""
    present = [label for label in labels.split("|") if label != NO_FINDING]
    if any(label not in FINDINGS for label in present):
        return None
    findings = dict.fromkeys(sorted(set(FINDINGS.values())), 0) if unlisted_as == "absent" else {}
    findings.update({FINDINGS[label]: 1 for label in present})
    return findings


def _count_leftovers(
    listed: set[str],
    boxes: Boxes,
    images: dict[str, list[Path]],
    split: str,
    splitter: _Splitter,
    report: ReadReport,
) -> None:
    for stem, found in boxes.items():
        if stem not in listed:
            for _ in range(sum(len(group) for group in found.values())):
                report.skip("box of an image that the entry table does not list", stem)
    for stem in images:
        if stem not in listed and (splitter.split(stem, nih_patient(stem)) or "train") == split:
            report.skip("image file that the entry table does not list", str(images[stem][0]))
