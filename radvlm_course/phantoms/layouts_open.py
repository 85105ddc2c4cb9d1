"""A phantom corpus in the layouts of VinDr-CXR, PadChest-GR, RSNA pneumonia, Open-i and TBX11K.

As in :mod:`layouts`: phantoms take the place of the films, in files named, encoded and tabulated as the dataset has
them, DICOM bytes included. What a layout cannot hold is left out. A finding that a dataset has no name for goes under
the nearest one it has: a phantom nodule is a "Nodule/Mass" of VinDr-CXR, and consolidation stands for the opacities of
RSNA and for the active tuberculosis of TBX11K.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.phantoms.dicom_files import write_dicom
from radvlm_course.phantoms.layouts import _inverse, _Numbering, _write_csv
from radvlm_course.records import Study
from radvlm_course.sources import open_i, padchest_gr, rsna_pneumonia, tbx11k, vindr_cxr

__all__ = [
    "write_open_i_layout",
    "write_padchest_gr_layout",
    "write_rsna_layout",
    "write_tbx11k_layout",
    "write_vindr_cxr_layout",
]

READERS = ("R1", "R2", "R3")
READER_JITTER = 0.04  # of a box's width and height: how far a reader's corners stray at most
READER_MISSES = 0.2  # probability that a reader after the first overlooks a finding


# -- VinDr-CXR -------------------------------------------------------------------------------------------------------


def write_vindr_cxr_layout(studies: Iterable[Study], root: str | os.PathLike[str], seed: int = 0) -> dict[str, str]:
    """Write studies as VinDr-CXR from PhysioNet: 12-bit DICOM films, annotations and label tables.

    Studies of ``train`` and ``validation`` are read by three simulated readers, whose boxes stray and of whom two
    overlook some findings; those of ``test`` have one exact consensus. Every other film is ``MONOCHROME1``.

    Args:
        studies: their images may be of any format that Pillow reads.
        root: an empty or new folder.
        seed: of the readers.

    Returns:
        study id -> image id in the layout, 32 hexadecimal digits.
    """
    folder = Path(root)
    of_label = _inverse(vindr_cxr.FINDINGS) | {"nodule": "Nodule/Mass"}
    names: dict[str, str] = {}
    annotations: dict[str, list[list[object]]] = {"train": [], "test": []}
    labels: dict[str, list[list[object]]] = {"train": [], "test": []}
    for number, study in enumerate(studies):
        part = "test" if study.split == "test" else "train"
        image_id = names[study.study_id] = hashlib.blake2b(study.study_id.encode(), digest_size=16).hexdigest()
        pixels = np.asarray(Image.open(study.image_path).convert("L"))
        write_dicom(folder / part / f"{image_id}.dicom", pixels, inverted=number % 2 == 1)
        boxes = [
            (of_label[name], box) for name, found in study.abnormalities.items() if name in of_label for box in found
        ]
        size = (pixels.shape[1], pixels.shape[0])
        for reader, seen in _readings(boxes, part, random.Random(f"{seed}/{study.study_id}")):
            ids = [image_id, *reader]
            annotations[part] += [[*ids, label, *box.to_pixels(size)] for label, box in seen]
            annotations[part] += [] if seen else [[*ids, vindr_cxr.NO_FINDING, "", "", "", ""]]
            present = {label for label, _ in seen}
            local = [int(label in present) for label in vindr_cxr.FINDINGS]
            labels[part].append([*ids, *local, *(0 for _ in vindr_cxr.DISEASES), int(not seen)])
    columns = ",".join([*vindr_cxr.FINDINGS, *vindr_cxr.DISEASES, vindr_cxr.NO_FINDING])
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for part, first in (("train", "image_id,rad_id"), ("test", "image_id")):
        header = f"{first},class_name,x_min,y_min,x_max,y_max"
        _write_csv(folder / "annotations" / f"annotations_{part}.csv", header, annotations[part])
        _write_csv(folder / "annotations" / f"image_labels_{part}.csv", f"{first},{columns}", labels[part])
    return names


Labelled = list[tuple[str, Box]]


def _readings(boxes: Labelled, part: str, rng: random.Random) -> Iterator[tuple[tuple[str, ...], Labelled]]:
    """(reader, what that reader drew); the consensus of the test part names no reader."""
    if part == "test":
        yield (), boxes
        return
    for number, reader in enumerate(READERS):
        seen = [pair for pair in boxes if number == 0 or rng.random() >= READER_MISSES]
        yield (reader,), [(label, _strayed(box, rng)) for label, box in seen]


def _strayed(box: Box, rng: random.Random) -> Box:
    shifts = [rng.uniform(-READER_JITTER, READER_JITTER) for _ in range(4)]
    sides = (box.width, box.height, box.width, box.height)
    return Box.clipped(
        *(corner + shift * side for corner, shift, side in zip(box.to_list(), shifts, sides, strict=True))
    )


# -- PadChest-GR -----------------------------------------------------------------------------------------------------


def write_padchest_gr_layout(studies: Iterable[Study], root: str | os.PathLike[str]) -> dict[str, str]:
    """Write studies as PadChest-GR: 16-bit PNG films, the JSON of sentences, the master table and PadChest's table.

    Every sentence of a report becomes a finding; it is abnormal, and has boxes, if it contains a phrase that has. The
    second reader's ``extra_boxes`` are the first's. The Spanish sentence is the English one.

    Returns:
        study id -> ``StudyID`` in the layout.
    """
    folder = Path(root)
    (folder / "Padchest_GR_files").mkdir(parents=True, exist_ok=True)
    of_label = _inverse(padchest_gr.FINDINGS)
    names: dict[str, str] = {}
    entries, master, films = [], [], []
    numbering = _Numbering()
    for study in studies:
        patient, film = numbering.next(study.patient_id)
        name = names[study.study_id] = f"{216840111366964000000 + 1000 * patient + film}"
        image = f"{name}_00-{patient:03d}-{film:03d}.png"
        pixels = np.asarray(Image.open(study.image_path).convert("L"), dtype=np.uint16)
        Image.fromarray(pixels * 257).save(folder / "Padchest_GR_files" / image)
        findings = [_sentence(sentence, study, of_label) for sentence in re.split(r"(?<=\.)\s+", study.report)]
        entry = {"StudyID": name, "ImageID": image, "PreviousStudyID": None, "PreviousImageID": None}
        entries.append(entry | {"findings": findings})
        for label in sorted({label for finding in findings for label in finding.get("labels", ())}) or ["Normal"]:
            cells = [name, image, label, study.split, f"patient-{patient}"]
            master.append(cells)
        films.append([image, 0, name, f"patient-{patient}", study.view, study.view])
    (folder / padchest_gr.REPORTS).write_text(json.dumps(entries), encoding="utf-8")
    _write_csv(folder / padchest_gr.MASTER, "StudyID,ImageID,label,split,PatientID", master)
    header = "ImageID,ImageDir,StudyID,PatientID,ViewPosition_DICOM,Projection"
    _write_csv(folder / padchest_gr.PADCHEST, header, films)
    return names


def _sentence(sentence: str, study: Study, of_label: Mapping[str, str]) -> dict[str, Any]:
    finding: dict[str, Any] = {"sentence_en": sentence, "sentence_es": sentence, "abnormal": False}
    boxes = [box for phrase, group in study.phrases.items() if phrase in sentence.lower() for box in group]
    if not boxes:
        return finding
    labels = [of_label.get(name, name) for name, group in study.abnormalities.items() if set(group) & set(boxes)]
    corners = [box.to_list() for box in boxes]
    more = {"boxes": corners, "extra_boxes": corners, "labels": labels, "locations": [], "progression": None}
    return finding | {"abnormal": True} | more


# -- RSNA pneumonia --------------------------------------------------------------------------------------------------


def write_rsna_layout(studies: Iterable[Study], root: str | os.PathLike[str]) -> dict[str, str]:
    """Write studies as the RSNA pneumonia set: DICOM films of 1024 x 1024 in JPEG, both tables and the mapping.

    Consolidation becomes the opacity; a film with other findings only is "No Lung Opacity / Not Normal".

    Returns:
        study id -> ``patientId`` in the layout.
    """
    folder = Path(root)
    names: dict[str, str] = {}
    labels, details, mapping = [], [], []
    numbering = _Numbering()
    for study in studies:
        digest = hashlib.blake2b(study.study_id.encode(), digest_size=16).hexdigest()
        name = names[study.study_id] = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))
        picture = Image.open(study.image_path).convert("L").resize(rsna_pneumonia.BOX_SPACE)
        path = folder / rsna_pneumonia.FILMS / f"{name}.dcm"
        write_dicom(path, np.asarray(picture), view=study.view, jpeg=True)
        opacities = study.abnormalities.get("consolidation", ())
        for box in opacities:
            x1, y1, x2, y2 = box.to_pixels(rsna_pneumonia.BOX_SPACE)
            labels.append([name, x1, y1, x2 - x1, y2 - y1, 1])
        if not opacities:
            labels.append([name, "", "", "", "", 0])
        others = "No Lung Opacity / Not Normal" if study.abnormalities else "Normal"
        details.append([name, "Lung Opacity" if opacities else others])
        image = "{:08d}_{:03d}.png".format(*numbering.next(study.patient_id))
        mapping.append({"subset_img_id": name, "img_id": image, "orig_labels": []})
    _write_csv(folder / rsna_pneumonia.LABELS, "patientId,x,y,width,height,Target", labels)
    _write_csv(folder / rsna_pneumonia.DETAILS, "patientId,class", details)
    (folder / rsna_pneumonia.MAPPING).write_text(json.dumps(mapping), encoding="utf-8")
    return names


# -- Open-i ----------------------------------------------------------------------------------------------------------

_REPORT = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <uId id={uid}/>
   <MedlineCitation><Article><Abstract>
      <AbstractText Label="COMPARISON"/>
      <AbstractText Label="INDICATION"/>
      <AbstractText Label="FINDINGS">{findings}</AbstractText>
      <AbstractText Label="IMPRESSION"/>
   </Abstract></Article></MedlineCitation>
   <MeSH>{labels}</MeSH>
   <parentImage id={image}><caption>Xray Chest {view}</caption></parentImage>
</eCitation>
"""
_OPEN_I_LABELS = {
    "pleural thickening": "Thickening/pleura",
    "support devices": "Catheters, Indwelling",
    "emphysema": "Pulmonary Emphysema",
}


def write_open_i_layout(studies: Iterable[Study], root: str | os.PathLike[str], kaggle: bool = False) -> dict[str, str]:
    """Write studies as Open-i: one report a study in its FINDINGS section, the hand-made labels, PNG films.

    The labels know no doubt: an uncertain finding is labelled. A report is a patient here, so the films of one phantom
    patient become those of several.

    Args:
        kaggle: write the two tables of Kaggle's form instead of XML files.

    Returns:
        study id -> study id in the layout.
    """
    folder = Path(root)
    images = folder / ("images/images_normalized" if kaggle else "NLMCXR_png")
    for path in (images, folder / "ecgen-radiology"):
        path.mkdir(parents=True, exist_ok=True)
    of_label = _inverse(open_i.FINDINGS) | _OPEN_I_LABELS
    names: dict[str, str] = {}
    reports, projections = [], []
    for number, study in enumerate(studies, start=1):
        name = names[study.study_id] = f"{number}_IM-{number:04d}-1001"
        present = sorted(of_label[name] for name, value in study.findings.items() if value != 0 and name in of_label)
        labels = present or [open_i.NORMAL]
        image = f"{name}.dcm.png" if kaggle else f"CXR{name}.png"
        shutil.copyfile(study.image_path, images / image)
        projections.append([number, image, "Frontal"])
        reports.append([number, ";".join(labels), "", f"Xray Chest {study.view}", "", "", study.report, ""])
        text = _REPORT.format(
            uid=quoteattr(f"CXR{number}"),
            findings=escape(study.report),
            labels="".join(f"<major>{escape(label)}</major>" for label in labels),
            image=quoteattr(f"CXR{name}"),
            view=escape(study.view),
        )
        if not kaggle:
            (folder / "ecgen-radiology" / f"{number}.xml").write_text(text, encoding="utf-8")
    _write_csv(folder / "indiana_projections.csv", "uid,filename,projection", projections)
    if kaggle:
        header = "uid,MeSH,Problems,image,indication,comparison,findings,impression"
        _write_csv(folder / "indiana_reports.csv", header, reports)
    return names


# -- TBX11K ----------------------------------------------------------------------------------------------------------

_TBX11K_LABELS = {"consolidation": "ActiveTuberculosis", "nodule": "ObsoletePulmonaryTuberculosis"}


def write_tbx11k_layout(studies: Iterable[Study], root: str | os.PathLike[str]) -> dict[str, str]:
    """Write studies as TBX11K: 512 x 512 PNG films in ``health/``, ``sick/`` and ``tb/``, two COCO files.

    Consolidation becomes active and nodules latent tuberculosis; films with other findings only are sick. Studies of
    ``test`` go into the official val part, which the reader takes for its test split.

    Returns:
        study id -> image name in the layout, like ``tb0005``.
    """
    folder, size = Path(root), (512, 512)
    categories = [{"id": number, "name": name} for number, name in enumerate(tbx11k.FINDINGS, start=1)]
    ids = {category["name"]: category["id"] for category in categories}
    names: dict[str, str] = {}
    parts: dict[str, dict[str, list[dict[str, Any]]]] = {
        part: {"categories": categories, "images": [], "annotations": []} for part in ("train", "val")
    }
    for number, study in enumerate(studies, start=1):
        content = parts["val" if study.split == "test" else "train"]
        boxes = [(label, box) for name, label in _TBX11K_LABELS.items() for box in study.abnormalities.get(name, ())]
        kind = "tb" if boxes else "sick" if study.abnormalities else "health"
        name = names[study.study_id] = f"{kind if kind == 'tb' else kind[0]}{number:04d}"
        path = folder / "imgs" / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(study.image_path).convert("RGB").resize(size).save(path)
        file_name = f"{kind}/{name}.png"
        content["images"].append({"id": number, "file_name": file_name, "width": size[0], "height": size[1]})
        for label, box in boxes:
            x1, y1, x2, y2 = box.to_pixels(size)
            annotation = {"id": len(content["annotations"]) + 1, "image_id": number, "category_id": ids[label]}
            bbox = [x1, y1, x2 - x1, y2 - y1]
            content["annotations"].append(annotation | {"iscrowd": 0, "area": bbox[2] * bbox[3], "bbox": bbox})
    (folder / "annotations" / "json").mkdir(parents=True, exist_ok=True)
    for part, content in parts.items():
        (folder / "annotations" / "json" / f"TBX11K_{part}.json").write_text(json.dumps(content), encoding="utf-8")
    return names
