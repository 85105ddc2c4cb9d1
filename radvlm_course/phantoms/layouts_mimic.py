"""A phantom corpus written in the on-disk layouts of MIMIC-CXR, Chest ImaGenome and MS-CXR.

As in ``layouts``: phantoms take the place of the films, with the same file names, columns, JSON keys and box
conventions. Patients, studies and films are numbered in order of appearance, so the same studies get the same
identifiers in the three layouts, as the films of these datasets have.

What a layout cannot hold is left out: structures that are no region, phrases about what is no category.
"""

from __future__ import annotations

import hashlib
import json
import os
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radvlm_course.boxes import Box
from radvlm_course.phantoms.layouts import _Numbering, _write_csv
from radvlm_course.phantoms.layouts_chexpert import (
    SHORT_SPLITS,
    label_cells,
    write_chexpert_layout,
    write_chexpert_plus_layout,
    write_jpeg,
)
from radvlm_course.records import Study
from radvlm_course.sources import _chexpert, _mimic, chest_imagenome, ms_cxr

__all__ = [
    "write_chest_imagenome_layout",
    "write_chexpert_layout",
    "write_chexpert_plus_layout",
    "write_mimic_cxr_layout",
    "write_ms_cxr_layout",
]

_METADATA_HEADER = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
    "ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning"
)
_SPLIT_HEADER = ",subject_id,study_id,dicom_id,path,ViewPosition"
_MS_HEADER = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height"
_OFFICIAL = {"train": "train", "validation": "validate", "test": "test"}
# The course's names -> MS-CXR's categories, and the regions of Chest ImaGenome.
_CATEGORY = {"nodule": "Lung Opacity"} | {ours: theirs for theirs, ours in ms_cxr.CATEGORIES.items()}
_REGION = {"heart": "cardiac silhouette"} | {name: name for name in chest_imagenome.REGIONS}


@dataclass(frozen=True)
class _Named:
    """A study and its identifiers in the layouts around MIMIC-CXR."""

    study: Study
    subject_id: str
    study_id: str
    dicom_id: str

    @property
    def path(self) -> str:
        return _mimic.image_path("", self.dicom_id, self.subject_id, self.study_id)

    @property
    def record_id(self) -> str:
        return _mimic.record_id(self.study_id, self.dicom_id)


def _named(studies: Iterable[Study]) -> Iterator[_Named]:
    numbering = _Numbering()
    for number, study in enumerate(studies, start=1):
        patient, _ = numbering.next(study.patient_id)
        digest = hashlib.blake2b(study.study_id.encode(), digest_size=20).hexdigest()
        dicom = "-".join(textwrap.wrap(digest, 8))
        yield _Named(study, f"{10_000_000 + patient}", f"{50_000_000 + number}", dicom)


def write_mimic_cxr_layout(studies: Iterable[Study], root: str | os.PathLike[str]) -> dict[str, str]:
    """Write studies as MIMIC-CXR-JPG with the reports of MIMIC-CXR: tables, JPEG images, text files.

    Reports stand under FINDINGS, under IMPRESSION, or under no heading, in turn; what else a report has (indication,
    a preliminary reading) is there to be left out. The films become JPEG, so their pixels change a little.

    Args:
        root: an empty or new folder.

    Returns:
        study id -> study id in the layout, as the reader gives it.
    """
    folder = Path(root)
    names: dict[str, str] = {}
    metadata, splits, labels = [], [], []
    for number, named in enumerate(_named(studies)):
        study = named.study
        names[study.study_id] = named.record_id
        image = folder / named.path
        write_jpeg(study, image)
        text = _report_page(study.report, number)
        image.parent.with_suffix(".txt").write_text(text, encoding="utf-8")
        view = "LATERAL" if study.view == "lateral" else study.view
        width, height = study.image_size
        ids = (named.dicom_id, named.subject_id, named.study_id)
        metadata.append([*ids, "CHEST (PA AND LAT)", view, height, width, 21800506, 213014.531, "", "", ""])
        splits.append([named.dicom_id, named.study_id, named.subject_id, _OFFICIAL[study.split]])
        labels.append([named.subject_id, named.study_id, *label_cells(study, _chexpert.COLUMNS)])
    _write_csv(folder / "mimic-cxr-2.0.0-metadata.csv", _METADATA_HEADER, metadata)
    _write_csv(folder / "mimic-cxr-2.0.0-split.csv", "dicom_id,study_id,subject_id,split", splits)
    header = ",".join(("subject_id", "study_id", *_chexpert.COLUMNS))
    _write_csv(folder / "mimic-cxr-2.0.0-chexpert.csv", header, labels)
    return names


def write_chest_imagenome_layout(
    studies: Iterable[Study],
    root: str | os.PathLike[str],
    split_of: Callable[[Study], str] = lambda study: study.split,
) -> dict[str, str]:
    """Write the frontal studies as Chest ImaGenome: split tables and scene graphs, but no image.

    Boxes become whole pixels of the image, as in the dataset, so they move by up to half a pixel.

    Args:
        split_of: the dataset's own split, which need not be that of ``write_mimic_cxr_layout``; it should keep a
            patient's films together.

    Returns:
        study id -> study id in the layout, as the reader gives it.
    """
    folder = Path(root) / "silver_dataset"
    for inner in ("splits", "scene_graph"):
        (folder / inner).mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    rows: dict[str, list[list[object]]] = {part: [] for part in SHORT_SPLITS.values()}
    for named in _named(studies):
        study = named.study
        if study.view == "lateral":
            continue
        names[study.study_id] = named.record_id
        listed = rows[SHORT_SPLITS[split_of(study)]]
        path = str(Path(named.path).with_suffix(".dcm"))
        listed.append([len(listed), named.subject_id, named.study_id, named.dicom_id, path, study.view])
        graph = json.dumps(_scene_graph(named))
        (folder / "scene_graph" / f"{named.dicom_id}_SceneGraph.json").write_text(graph, encoding="utf-8")
    for part, listed in rows.items():
        _write_csv(folder / "splits" / f"{part}.csv", _SPLIT_HEADER, listed)
    _write_csv(folder / "splits" / "images_to_avoid.csv", _SPLIT_HEADER, [])
    return names


def write_ms_cxr_layout(
    studies: Iterable[Study],
    root: str | os.PathLike[str],
    form: Literal["csv", "json"] = "csv",
    version: Literal["1.1.0", "1.0.0"] = "1.1.0",
) -> dict[str, str]:
    """Write the phrases of studies as MS-CXR: one file, but no image. Version 1.0.0 has no split.

    A phrase belongs to the finding that has the same boxes. Left out: phrases without one, or whose finding is none
    of the dataset's categories; studies without a phrase.

    Returns:
        study id -> study id in the layout, as the reader gives it.
    """
    folder = Path(root)
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for named in _named(studies):
        for category, phrase, box in _phrase_boxes(named.study):
            names[named.study.study_id] = named.record_id
            width, height = named.study.image_size
            x1, y1, x2, y2 = box.to_pixels((width, height))
            row: dict[str, Any] = {
                "dicom_id": named.dicom_id,
                "category_name": category,
                "label_text": phrase,
                "path": named.path,
            }
            row |= {"x": x1, "y": y1, "w": x2 - x1, "h": y2 - y1, "image_width": width, "image_height": height}
            rows.append(row | ({"split": _OFFICIAL[named.study.split]} if version == "1.1.0" else {}))
    path = folder / f"MS_CXR_Local_Alignment_v{version}.{form}"
    if form == "json":
        path.write_text(json.dumps(_coco(rows)), encoding="utf-8")
    else:
        header = _MS_HEADER + (",split" if version == "1.1.0" else "")
        _write_csv(path, header, [[row[column] for column in header.split(",")] for row in rows])
    return names


def _report_page(report: str, number: int) -> str:
    """A page as in MIMIC-CXR; where the report stands on it depends on the number."""
    body = textwrap.fill(report, 76, initial_indent=" ", subsequent_indent=" ")
    title = " " * 33 + "FINAL REPORT\n"
    before = (
        " EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  ___ year old phantom.  // \n \n COMPARISON:  None.\n \n"
    )
    pages = (
        f"{title}{before} FINDINGS:  \n \n{body}\n \n IMPRESSION:  \n \n As above.\n",
        f"{title} HISTORY:  Phantom.\n \n IMPRESSION:{body}\n \n NOTIFICATION:  None.\n",
        f"{title} AP CHEST, 5:30 A.M., ___\n \n INDICATION:  Phantom.\n \n{body}\n",
        f" WET READ: ___ 3:14 PM\n  Pending.\n {'_' * 70}\n{title}{before} FINDINGS:{body}\n",
    )
    return pages[number % len(pages)]


def _scene_graph(named: _Named) -> dict[str, Any]:
    study = named.study
    objects = []
    for ours, boxes in study.structures.items():
        name = _REGION.get(ours)
        for box in boxes if name else ():
            x1, y1, x2, y2 = (round(value) for value in box.to_pixels(study.image_size))
            corners = {"original_x1": x1, "original_y1": y1, "original_x2": x2, "original_y2": y2}
            corners |= {"original_width": x2 - x1, "original_height": y2 - y1}
            objects.append({"object_id": f"{named.dicom_id}_{name}", "bbox_name": name, "name": name} | corners)
    return {
        "image_id": named.dicom_id,
        "viewpoint": study.view,
        "patient_id": int(named.subject_id),
        "study_id": int(named.study_id),
        "objects": objects,
        "attributes": [],
        "relationships": [],
    }


def _phrase_boxes(study: Study) -> Iterator[tuple[str, str, Box]]:
    """(category, phrase, box) of the phrases that the dataset can hold."""
    for phrase, boxes in study.phrases.items():
        finding = next((name for name, found in study.abnormalities.items() if set(found) == set(boxes)), "")
        if finding in _CATEGORY:
            for box in boxes:
                yield _CATEGORY[finding], phrase, box


def _coco(rows: list[dict[str, Any]]) -> dict[str, Any]:
    categories = {name: number for number, name in enumerate(ms_cxr.CATEGORIES, start=1)}
    images: dict[str, dict[str, Any]] = {}
    annotations = []
    for number, row in enumerate(rows, start=1):
        image = images.setdefault(
            row["dicom_id"],
            {"id": len(images) + 1, "file_name": f"{row['dicom_id']}.jpg", "path": row["path"]}
            | {"width": row["image_width"], "height": row["image_height"]},
        )
        annotation = {"id": number, "image_id": image["id"], "category_id": categories[row["category_name"]]}
        annotation |= {"bbox": [row[key] for key in "xywh"], "label_text": row["label_text"]}
        annotations.append(annotation | ({"split": row["split"]} if "split" in row else {}))
    named = [{"id": number, "name": name} for name, number in categories.items()]
    return {"categories": named, "images": list(images.values()), "annotations": annotations}
