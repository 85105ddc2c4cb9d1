"""A phantom corpus written in the on-disk layouts of CheXpert and CheXpert Plus.

As in ``layouts``: phantoms take the place of the films, with the same file names, columns and JSON keys. What a layout
cannot hold is left out: boxes, structures, reports (CheXpert), test studies (CheXpert Plus has no test split).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from radvlm_course.phantoms.layouts import _Numbering, _write_csv
from radvlm_course.records import Study
from radvlm_course.sources import _chexpert

__all__ = ["SHORT_SPLITS", "label_cells", "write_chexpert_layout", "write_chexpert_plus_layout", "write_jpeg"]

_CHEXPERT_COLUMNS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
    "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
_PLUS_HEADER = (
    "path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,patient_report_date_order,report,"
    "section_narrative,section_clinical_history,section_history,section_comparison,section_technique,"
    "section_procedure_comments,section_findings,section_impression,section_end_of_impression,section_summary,"
    "section_accession_number,age,sex,race,ethnicity,interpreter_needed,insurance_type,recent_bmi,deceased,split"
)
SHORT_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
# The course's names -> the labeller's.
_LABELLER = {"nodule": "Lung Lesion"} | {ours: theirs for theirs, ours in _chexpert.FINDINGS.items()}


def write_chexpert_layout(studies: Iterable[Study], root: str | os.PathLike[str]) -> dict[str, str]:
    """Write studies as CheXpert: ``train.csv``, ``valid.csv``, ``test.csv`` and JPEG images.

    Returns:
        study id -> study id in the layout, as the reader gives it.
    """
    folder = Path(root)
    columns = _CHEXPERT_COLUMNS.split(",")
    names: dict[str, str] = {}
    rows: dict[str, list[list[object]]] = {part: [] for part in SHORT_SPLITS.values()}
    for study, film in _chexpert_films(studies):
        names[study.study_id] = film.record_id
        write_jpeg(study, folder / f"{film.stem}.jpg")
        frontal, ap_pa = ("Frontal", study.view) if film.frontal else ("Lateral", "")
        person = [f"CheXpert-v1.0/{film.stem}.jpg", "Female", 50, frontal, ap_pa]
        rows[film.part].append([*person, *label_cells(study, columns)])
    for part, listed in rows.items():
        _write_csv(folder / f"{part}.csv", f"Path,Sex,Age,Frontal/Lateral,AP/PA,{_CHEXPERT_COLUMNS}", listed)
    return names


def write_chexpert_plus_layout(studies: Iterable[Study], root: str | os.PathLike[str]) -> dict[str, str]:
    """Write the studies of train and validation as CheXpert Plus: its table, PNG images, lines of labels.

    Patients and studies get the names that they have in the layout of CheXpert. Reports stand under findings, under
    impression, or half and half, in turn.

    Args:
        studies: their images must be PNG files.

    Returns:
        study id -> study id in the layout, as the reader gives it.
    """
    folder = Path(root)
    header = _PLUS_HEADER.split(",")
    names: dict[str, str] = {}
    rows, labels = [], []
    kept = ((study, film) for study, film in _chexpert_films(studies) if study.split != "test")
    for number, (study, film) in enumerate(kept):
        names[study.study_id] = film.record_id
        image = folder / "PNG" / f"{film.stem}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(Path(study.image_path).read_bytes())
        words = study.report.split(" ")
        cut = (len(words), 0, len(words) // 2)[number % 3]
        row = {
            "path_to_image": f"{film.stem}.jpg",
            "path_to_dcm": f"{film.stem}.dcm",
            "frontal_lateral": "Frontal" if film.frontal else "Lateral",
            "ap_pa": study.view if film.frontal else "",
            "deid_patient_id": film.patient,
            "report": f"NARRATIVE:\n{study.report}",
            "section_findings": "\n".join(words[:cut]),
            "section_impression": " ".join(words[cut:]),
            "split": film.part,
        }
        rows.append([row.get(column, "") for column in header])
        cells = zip(_chexpert.COLUMNS, label_cells(study, _chexpert.COLUMNS), strict=True)
        line: dict[str, Any] = {"path_to_image": f"{film.stem}.jpg"}
        labels.append(line | {column: None if cell == "" else cell for column, cell in cells})
    (folder / "chexbert_labels").mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "df_chexpert_plus_240401.csv", _PLUS_HEADER, rows)
    lines = "".join(json.dumps(values) + "\n" for values in labels)
    (folder / "chexbert_labels" / "report_fixed.json").write_text(lines, encoding="utf-8")
    return names


def write_jpeg(study: Study, path: Path) -> None:
    """Write a study's image as a grey JPEG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(study.image_path) as image:
        image.convert("L").save(path, quality=95)


def label_cells(study: Study, columns: Iterable[str]) -> list[float | str]:
    """1.0, 0.0, -1.0 or blank a column; No Finding where nothing but devices is present or doubted."""
    values = {_LABELLER[name]: float(value) for name, value in study.findings.items() if name in _LABELLER}
    if study.findings and not any(value for name, value in study.findings.items() if name != "support devices"):
        values["No Finding"] = 1.0
    return [values.get(column, "") for column in columns]


def _chexpert_films(studies: Iterable[Study]) -> Iterator[tuple[Study, _chexpert.FilmPath]]:
    numbering = _Numbering()
    for study in studies:
        patient, number = numbering.next(study.patient_id)
        direction = "lateral" if study.view == "lateral" else "frontal"
        stem = f"{SHORT_SPLITS[study.split]}/patient{patient:05d}/study{number + 1}/view1_{direction}"
        film = _chexpert.parse_path(f"{stem}.jpg")
        assert film is not None, stem
        yield study, film
