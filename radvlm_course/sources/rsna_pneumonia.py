"""RSNA Pneumonia Detection Challenge: 26,684 labelled films of NIH ChestX-ray14, boxes of opacities like pneumonia.

Citation: G. Shih, C. C. Wu, S. S. Halabi et al., "Augmenting the National Institutes of Health Chest Radiograph
Dataset with Expert Annotations of Possible Pneumonia", Radiology: Artificial Intelligence 1(1), 2019,
https://doi.org/10.1148/ryai.2019180041.
Licence and access: open to all for research, commercial or not, with attribution to RSNA and the NIH Clinical Center;
https://www.kaggle.com/competitions/rsna-pneumonia-detection-challenge or https://www.rsna.org (AI challenge 2018).

Files below ``root`` (tables may be gzipped):

- ``stage_2_train_labels.csv``: a row a box, ``patientId,x,y,width,height,Target``. The box is the top left corner and
  the size in pixels of the DICOM film, 1024 x 1024 for all; a film without opacity has one row, empty but for Target 0.
- ``stage_2_detailed_class_info.csv``: optional but much advised, ``patientId,class``. Without it nobody knows which
  films without opacity are normal; all of them are taught as normal, and counted.
- ``pneumonia-challenge-dataset-mappings_2018.json``: optional, from the RSNA site: a list of objects. Read:
  ``subset_img_id``, ``img_id`` (the NIH image, like ``00000042_006.png``).
- DICOM films ``stage_2_train_images/<patientId>.dcm``, or pictures made of them in ``stage_2_train_images_png/`` or
  ``stage_2_train_images_jpg/``. The competition's test films have no labels.

There is no official split with labels: patients are drawn by a seeded hash, 70% train, 10% validation, 20% test.
**``patientId`` numbers films, not patients.** With the mapping the patient is that of NIH ChestX-ray14; without it two
films of one patient may stand in different splits. Either way the films are those of NIH ChestX-ray14: do not train on
one of the two datasets and test on the other.

``lung opacity`` is present or absent on every film; a film of the class "No Lung Opacity / Not Normal" also has
"other abnormality" (1), a normal one (0). There are no reports. PA or AP is in the DICOM header.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources._common import (
    FRACTIONS,
    OTHER_ABNORMALITY,
    check_split,
    find_table,
    nih_patient,
    read_json,
    read_rows,
    split_of_patient,
    unit_box,
)
from radvlm_course.sources._films import Films
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["BOX_SPACE", "CLASSES", "NAME", "OPACITY", "read"]

NAME = "rsna_pneumonia"
BOX_SPACE = (1024, 1024)  # (width, height) of the DICOM films, in whose pixels the boxes are given
WHERE = "download it from https://www.kaggle.com/competitions/rsna-pneumonia-detection-challenge"
LABELS, LABEL_COLUMNS = "stage_2_train_labels.csv", ("patientId", "x", "y", "width", "height", "Target")
DETAILS, DETAIL_COLUMNS = "stage_2_detailed_class_info.csv", ("patientId", "class")
MAPPING, MAPPING_KEYS = "pneumonia-challenge-dataset-mappings_2018.json", ("subset_img_id", "img_id")
FILMS = "stage_2_train_images"
OPACITY = "lung opacity"
# Class -> whether the film is abnormal in another way; unknown of a film that has an opacity.
CLASSES: Mapping[str, int | None] = {"Normal": 0, "No Lung Opacity / Not Normal": 1, "Lung Opacity": None}

Rows = list[tuple[str, dict[str, str]]]


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    seed: int = 0,
    fractions: Mapping[str, float] = FRACTIONS,
    check_images: bool = True,
) -> Iterator[Study]:
    """The studies of a split, in the order of the label table.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``; what belongs to no split is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        seed, fractions: of the split by patient.
        check_images: decode every image, which finds truncated ones (some 50 ms a DICOM film, and 10 ms a picture).
            ``False`` opens none; the views are then known only from the table of a conversion.

    Returns:
        studies with boxes in unit coordinates and ``image_size`` of the DICOM film.

    Raises:
        SourceError: a table, a column or all images are missing.
    """
    check_split(split)
    folder, report = Path(root), ReadReport() if report is None else report

    def count(reason: str, place: str) -> None:  # what no split can claim
        if split == "train":
            report.skip(reason, place)

    patients = _patients(folder)
    rows: dict[str, Rows] = {}
    table = find_table(folder, (LABELS,), WHERE)
    for place, row in read_rows(table, LABEL_COLUMNS, WHERE, lambda place: count("row with too few cells", place)):
        name = row["patientId"]
        if not name:
            count("row without patientId", place)
        elif split_of_patient(patients.get(name, name), seed, fractions) == split:
            rows.setdefault(name, []).append((f"{place} ({name})", row))
    classes = _classes(folder, lambda place: count("row with too few cells", place))
    known = dict.fromkeys(rows, BOX_SPACE)
    films = Films((folder / f"{FILMS}{kind}" for kind in ("_png", "_jpg", "")), report, check_images, known)
    if not films:
        raise SourceError(f"expected DICOM films in {folder / FILMS} or pictures in {FILMS}_png/, found none; {WHERE}")
    leftover = [
        stem
        for stem in films.stems()
        if stem not in rows and split_of_patient(patients.get(stem, stem), seed, fractions) == split
    ]
    return _studies(rows, patients, classes, films, leftover, split, report)


def _patients(folder: Path) -> dict[str, str]:
    """``patientId`` -> patient of NIH ChestX-ray14, from the mapping if it is there."""
    path = next((folder / name for name in (MAPPING, f"{MAPPING}.gz") if (folder / name).is_file()), None)
    if path is None:
        return {}
    entries = read_json(path, WHERE)
    patients: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else ():
        ours, nih = (entry.get(key) if isinstance(entry, dict) else None for key in MAPPING_KEYS)
        patient = nih_patient(nih) if isinstance(nih, str) else None
        if not isinstance(ours, str) or patient is None:
            # An entry that cannot be read would silently make a film its own patient: a leak between splits.
            found = f"{entry!r:.80}"
            raise SourceError(f"{path}: expected {' and '.join(MAPPING_KEYS)} in every entry, found {found}; {WHERE}")
        patients[ours] = patient
    if not patients:
        raise SourceError(f"{path}: expected a list of images, found {type(entries).__name__}; {WHERE}")
    return patients


def _classes(folder: Path, damaged: Callable[[str], None]) -> dict[str, str] | None:
    """``patientId`` -> class, ``None`` if the table is not there."""
    path = next((folder / name for name in (DETAILS, f"{DETAILS}.gz") if (folder / name).is_file()), None)
    if path is None:
        return None
    return {row["patientId"]: row["class"] for _, row in read_rows(path, DETAIL_COLUMNS, WHERE, damaged)}


def _studies(
    rows: dict[str, Rows],
    patients: dict[str, str],
    classes: dict[str, str] | None,
    films: Films,
    leftover: list[str],
    split: str,
    report: ReadReport,
) -> Iterator[Study]:
    for name, entries in rows.items():
        film = films.find(name)
        if film is None:
            continue
        boxes, present = _boxes(entries, film.size, report)
        if present is None:
            report.skip("film without a usable row", entries[0][0])
            continue
        findings = {OPACITY: int(present)} | _other(name, present, classes, report)
        abnormalities = {OPACITY: boxes} if boxes else {}
        patient = patients.get(name, name)
        report.read += 1
        yield Study(str(film.path), film.size, patient, name, NAME, split, film.view, "", findings, {}, abnormalities)
    for stem in leftover:
        report.skip("image file that the label table does not list", films.place(stem))
    report.warn(f"{NAME}, {split}")


def _boxes(entries: Rows, size: tuple[int, int], report: ReadReport) -> tuple[tuple[Box, ...], bool | None]:
    """The boxes of a film, and whether it has an opacity; ``None`` if no row says."""
    boxes: list[Box] = []
    targets: set[str] = set()
    for place, row in entries:
        cells = [row[column] for column in LABEL_COLUMNS[1:5]]
        if row["Target"] not in ("0", "1"):
            report.skip("row whose Target is neither 0 nor 1", place)
            continue
        targets.add(row["Target"])
        if row["Target"] == "0":
            if any(cells):
                report.skip("box in a row with Target 0", place)
            continue
        try:
            x, y, width, height = (float(cell) for cell in cells)
        except ValueError:
            report.skip("box that is not four numbers", place)
            continue
        box = unit_box((x, y, x + width, y + height), size, report, place)
        if box is not None:
            boxes.append(box)
    if len(targets) > 1:
        report.note("film with rows of Target 0 and of Target 1, taken as 1", entries[0][0])
    return tuple(boxes), "1" in targets if targets else None


def _other(name: str, present: bool, classes: dict[str, str] | None, report: ReadReport) -> dict[str, int]:
    """Whether the film is abnormal in another way, as far as its class says."""
    if classes is None:
        if not present:
            report.note(f"film without opacity, taken as normal since there is no {DETAILS}", name)
        return {}
    found = classes.get(name, "")
    if found == "Lung Opacity" and present:
        return {}
    if found not in CLASSES:
        report.note("film of an unknown class", f"{name}: {found!r}")
        return {}
    if (found == "Lung Opacity") != present:
        report.note("class and Target disagree, Target taken", f"{name}: {found}")
        return {}
    value = CLASSES[found]
    return {} if value is None else {OTHER_ABNORMALITY: value}
