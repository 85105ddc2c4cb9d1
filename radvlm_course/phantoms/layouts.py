"""A phantom corpus written in the on-disk layouts of real datasets.

A reader that was only ever tested on hand-made rows fails on the first delivered file. Here phantoms take the place
of the films: same file names, same columns (with the odd header of the NIH box table), same box conventions, real
image bytes. What a layout cannot hold is left out: reports, structures, and findings that the dataset has no name for.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from radvlm_course.records import Study
from radvlm_course.sources import chestx_det, nih_chestxray14

__all__ = ["write_chestx_det_layout", "write_nih_chestxray14_layout"]

_ENTRY_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
_BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def write_nih_chestxray14_layout(studies: Iterable[Study], root: str | os.PathLike[str]) -> dict[str, str]:
    """Write studies as NIH ChestX-ray14: ``images/``, both tables and the official lists.

    Studies of ``train`` and ``validation`` go on ``train_val_list.txt``, those of ``test`` on ``test_list.txt``.
    Boxes become corner and size in pixels of a 1024 x 1024 image. The label column knows no doubt: an uncertain
    finding is listed.

    Args:
        studies: their images must be PNG files.
        root: an empty or new folder.

    Returns:
        study id -> its image's stem in the layout, like ``00000001_000``.
    """
    folder = Path(root)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    of_label = _inverse(nih_chestxray14.FINDINGS, avoid="Infiltrate")
    of_box = _inverse(nih_chestxray14.FINDINGS, avoid="Infiltration")
    names: dict[str, str] = {}
    lists: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    entries, boxes, numbering = [], [], _Numbering()
    for study in studies:
        patient, follow_up = numbering.next(study.patient_id)
        stem = names[study.study_id] = f"{patient:08d}_{follow_up:03d}"
        shutil.copyfile(study.image_path, folder / "images" / f"{stem}.png")
        present = sorted(of_label[name] for name, value in study.findings.items() if value != 0 and name in of_label)
        width, height = study.image_size
        labels = "|".join(present) or nih_chestxray14.NO_FINDING
        spacing = 0.143 * 1024 / width
        entries.append(
            [f"{stem}.png", labels, follow_up, patient, 50, "F", study.view, width, height, spacing, spacing]
        )
        for name, found in study.abnormalities.items():
            for box in found if name in of_box else ():
                x1, y1, x2, y2 = box.to_pixels(nih_chestxray14.BOX_SPACE)
                boxes.append([f"{stem}.png", of_box[name], x1, y1, x2 - x1, y2 - y1])
        lists["test_list.txt" if study.split == "test" else "train_val_list.txt"].append(f"{stem}.png")
    _write_csv(folder / "Data_Entry_2017.csv", _ENTRY_HEADER, entries)
    _write_csv(folder / "BBox_List_2017.csv", _BOX_HEADER, boxes)
    for name, lines in lists.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return names


def write_chestx_det_layout(studies: Iterable[Study], root: str | os.PathLike[str]) -> dict[str, str]:
    """Write studies as ChestX-Det: two JSON files, ``train_data/`` and ``test_data/``.

    Boxes become whole pixels of a 1024 x 1024 image, as in the dataset, so they move by up to 1/2048.

    Args:
        studies: their images must be PNG files.
        root: an empty or new folder.

    Returns:
        study id -> its image's stem in the layout, named as NIH names images, so that the patient is known.
    """
    folder = Path(root)
    of_label = _inverse(chestx_det.FINDINGS)
    names: dict[str, str] = {}
    entries: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    numbering = _Numbering()
    for part in entries:
        (folder / f"{part}_data").mkdir(parents=True, exist_ok=True)
    for study in studies:
        stem = names[study.study_id] = "{:08d}_{:03d}".format(*numbering.next(study.patient_id))
        part = "test" if study.split == "test" else "train"
        shutil.copyfile(study.image_path, folder / f"{part}_data" / f"{stem}.png")
        pairs = [
            (of_label[name], [round(value) for value in box.to_pixels(chestx_det.BOX_SPACE)])
            for name, found in study.abnormalities.items()
            if name in of_label
            for box in found
        ]
        outlines = [[[x1, y1], [x2, y1], [x2, y2], [x1, y2]] for _, (x1, y1, x2, y2) in pairs]
        entry: dict[str, Any] = {
            "file_name": f"{stem}.png",
            "syms": [label for label, _ in pairs],
            "boxes": [box for _, box in pairs],
        }
        entries[part].append(entry | {"polygons": outlines})
    for part, listed in entries.items():
        (folder / f"ChestX_Det_{part}.json").write_text(json.dumps(listed), encoding="utf-8")
    return names


class _Numbering:
    """Numbers patients and their films in order of appearance, from patient 1 and film 0."""

    def __init__(self) -> None:
        self._patients: dict[str, int] = {}
        self._films: dict[str, int] = {}

    def next(self, patient_id: str) -> tuple[int, int]:
        patient = self._patients.setdefault(patient_id, len(self._patients) + 1)
        film = self._films[patient_id] = self._films.get(patient_id, -1) + 1
        return patient, film


def _inverse(names: Mapping[str, str], avoid: str = "") -> dict[str, str]:
    return {ours: theirs for theirs, ours in names.items() if theirs != avoid}


def _write_csv(path: Path, header: str, rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        csv.writer(file, lineterminator="\n").writerows(rows)
