"""ChestX-Det: 3,578 films of NIH ChestX-ray14 with boxes and outlines of 13 findings, drawn by radiologists.

Citation: J. Lian, J. Liu, S. Zhang, K. Gao, X. Liu, D. Zhang, Y. Yu, "A Structure-Aware Relation Network for
Thoracic Diseases Detection and Segmentation", IEEE Transactions on Medical Imaging, 2021; the earlier release:
J. Liu, J. Lian, Y. Yu, "ChestX-Det10", arXiv 2006.10550.
Licence and access: annotations Apache-2.0, https://github.com/Deepwise-AILab/ChestX-Det-Dataset; the images come
with it (``train_data.zip``, ``test_data.zip``) under the terms of NIH ChestX-ray14.

Files below ``root``:

- ``ChestX_Det_train.json``, ``ChestX_Det_test.json``: a list of objects. Read: ``file_name``, ``syms`` (a finding
  per box), ``boxes`` (``[x1, y1, x2, y2]`` in pixels of the 1024 x 1024 image). Left out: ``polygons``.
- images in ``train_data/`` and ``test_data/``, ``train/`` and ``test/``, ``images/``, or beside the JSON files;
  a file whose extension differs from the JSON's is found by its stem and counted.

``test`` is the official test file; one patient in ten of the official train file is ``validation`` by a seeded hash.
An image named as NIH names them (``00000042_006.png``) gives its patient. **The released files are numbered
instead** (``36199.png``) and no published table leads back to the patient: then each image counts as a patient of
its own, two films of one patient may stand in different splits, and a film may also be in NIH ChestX-ray14. Do
not train on one of the two datasets and test on the other.

All 13 findings were looked for on every film, so those that are not boxed are absent. There are no reports.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources._common import (
    check_split,
    find_images,
    find_table,
    nih_patient,
    read_image,
    read_json,
    split_of_patient,
    unit_box,
)
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["BOX_SPACE", "FINDINGS", "NAME", "read"]

NAME = "chestx_det"
BOX_SPACE = (1024, 1024)  # (width, height) of the released images, in whose pixels the boxes are given
WHERE = "download it from https://github.com/Deepwise-AILab/ChestX-Det-Dataset"
KEYS = ("file_name", "syms", "boxes")
TRAIN_FRACTIONS: Mapping[str, float] = {"train": 0.9, "validation": 0.1}

# The dataset's names -> the course's names.
FINDINGS: Mapping[str, str] = {
    "Atelectasis": "atelectasis",
    "Calcification": "calcification",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Diffuse Nodule": "diffuse nodule",
    "Effusion": "pleural effusion",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Fracture": "fracture",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pleural Thickening": "pleural thickening",
    "Pneumothorax": "pneumothorax",
}


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    seed: int = 0,
    check_images: bool = True,
) -> Iterator[Study]:
    """The studies of a split, in the order of the JSON file.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``; what names no patient is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        seed: of the split of the train file into train and validation.
        check_images: decode every image, which finds truncated ones; ``False`` reads headers only.

    Returns:
        studies with boxes in unit coordinates and ``image_size`` as found in the file.

    Raises:
        SourceError: the JSON file, a key or all images are missing.
    """
    check_split(split)
    folder = Path(root)
    part = "test" if split == "test" else "train"
    entries = _entries(find_table(folder, (f"ChestX_Det_{part}.json",), WHERE))
    candidates = (folder / f"{part}_data", folder / part, folder / "images", folder)
    images = find_images(path for path in candidates if path.is_dir())
    if not images:
        raise SourceError(f"expected images in {candidates[0]}, {part}/, images/ or {folder}, found none; {WHERE}")
    own = find_images(path for path in candidates[:2] if path.is_dir())  # no other part's films lie there
    listed = _listed(entries)
    unlisted = [stem for stem in own if stem not in listed and _split(part, stem, seed) == split]
    report = ReadReport() if report is None else report
    return _studies(entries, images, unlisted, part, split, seed, check_images, report)


def _entries(path: Path) -> list[Any]:
    entries = read_json(path, WHERE)
    if not isinstance(entries, list) or not entries:
        raise SourceError(f"{path}: expected a list of images, found {type(entries).__name__}; {WHERE}")
    keys = {key for entry in entries if isinstance(entry, dict) for key in entry}
    if missing := [key for key in KEYS if key not in keys]:
        found = ", ".join(sorted(keys)) or "no object"
        raise SourceError(f"{path}: expected the key {', '.join(map(repr, missing))}, found {found}; {WHERE}")
    return entries


def _listed(entries: list[Any]) -> set[str]:
    """Stems of the images that the JSON file names."""
    names = (entry.get("file_name") for entry in entries if isinstance(entry, dict))
    return {Path(name).stem for name in names if isinstance(name, str)}


def _split(part: str, stem: str, seed: int) -> str:
    """The split of an image of an official part."""
    return "test" if part == "test" else split_of_patient(nih_patient(stem) or stem, seed, TRAIN_FRACTIONS)


def _studies(
    entries: list[Any],
    images: dict[str, list[Path]],
    unlisted: list[str],
    part: str,
    split: str,
    seed: int,
    decode: bool,
    report: ReadReport,
) -> Iterator[Study]:
    listed: set[str] = set()
    for number, entry in enumerate(entries):
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            if split != "validation":
                report.skip("entry without file_name", f"entry {number}")
            continue
        stem = Path(name).stem
        patient = nih_patient(name) or stem
        if _split(part, stem, seed) != split:
            continue
        problem = "second entry of an image" if stem in listed else _problem_of_entry(entry)
        listed.add(stem)
        if problem:
            report.skip(problem, name)
            continue
        found = read_image(name, images, decode, report)
        if found is None:
            continue
        abnormalities = _boxes(entry, report)
        findings = {label: int(label in abnormalities or raw in entry["syms"]) for raw, label in FINDINGS.items()}
        report.read += 1
        yield Study(str(found[0]), found[1], patient, stem, NAME, split, "", "", findings, {}, abnormalities)
    for stem in unlisted:
        report.skip("image file that the JSON file does not list", str(images[stem][0]))
    report.warn(f"{NAME}, {split}")


def _problem_of_entry(entry: dict[str, Any]) -> str:
    """Why an entry cannot be used; empty if it can."""
    names, boxes = entry.get("syms"), entry.get("boxes")
    if not isinstance(names, list) or not isinstance(boxes, list):
        return "entry without syms or boxes"
    if len(names) != len(boxes):
        return "entry with another number of syms than of boxes"
    known = all(isinstance(name, str) and name in FINDINGS for name in names)
    return "" if known else "entry with an unknown finding"


def _boxes(entry: dict[str, Any], report: ReadReport) -> dict[str, tuple[Box, ...]]:
    found: dict[str, list[Box]] = {}
    for name, corners in zip(entry["syms"], entry["boxes"], strict=True):
        box = unit_box(
            corners if isinstance(corners, list) else (), BOX_SPACE, report, f"{entry['file_name']}: {corners}"
        )
        if box is not None:
            found.setdefault(FINDINGS[name], []).append(box)
    return {name: tuple(boxes) for name, boxes in found.items()}
