"""PadChest-GR: 4,555 frontal films with reports taken apart into sentences, each finding with its boxes.

Citation: D. C. de Castro, A. Bustos, S. Bannur et al., "PadChest-GR: A Bilingual Chest X-ray Dataset for Grounded
Radiology Report Generation", NEJM AI 2025 (arXiv 2411.05085); the films: A. Bustos et al., "PadChest: A large chest
x-ray image dataset with multi-label annotated reports", Medical Image Analysis 2020.
Licence and access: research use agreement of BIMCV, on request at https://bimcv.cipf.es/bimcv-projects/padchest-gr/.
Text and images never leave the machine.

Files below ``root`` (tables may be gzipped):

- ``grounded_reports_20240819.json``: a list of studies. Read: ``StudyID``, ``ImageID`` and ``findings``, of each
  ``sentence_en``, ``sentence_es``, ``abnormal``, ``labels``, ``boxes`` and ``extra_boxes`` (``[x1, y1, x2, y2]`` in
  unit coordinates). A sentence that is not abnormal often lacks labels and boxes.
- ``master_table.csv``: a row a (study, label). Read: ``StudyID``, ``split``, ``PatientID``.
- ``PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv``: optional, of PadChest. Read: ``ImageID``, ``Projection``.
- 16-bit PNG films in ``Padchest_GR_files/``, ``Padchest_GR_files/PadChest_GR/``, ``images_grounding/``, or beside the
  tables.

The splits are the official ones and are by patient; should a patient stand in two of them, the studies in the less
guarded one (train before validation before test) are left out and counted. RadVLM trains on train and validation.

``phrases`` holds the sentences that have boxes, ``abnormalities`` the boxes by label, ``report`` all sentences of the
study in their order. ``boxes`` and ``extra_boxes`` are the work of two readers, not two halves of one: the option
``boxes`` chooses. The sentences of a study are all its findings, but what they do not speak of was not mentioned:
``findings`` holds the labels of abnormal sentences (1), those of other sentences (0), and "no finding" (1) where no
sentence is abnormal. Left out: locations, progression, prior studies, age and sex.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources._common import SPLITS, check_split, find_table, read_json, read_rows, unit_box
from radvlm_course.sources._films import Film, Films
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["FINDINGS", "NAME", "PAPER_PROJECTIONS", "read"]

NAME = "padchest_gr"
WHERE = "request it at https://bimcv.cipf.es/bimcv-projects/padchest-gr/"
REPORTS = "grounded_reports_20240819.json"
MASTER, MASTER_COLUMNS = "master_table.csv", ("StudyID", "split", "PatientID")
PADCHEST, PADCHEST_COLUMNS = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", ("ImageID", "Projection")
KEYS = ("StudyID", "ImageID", "findings")
NORMAL, NO_FINDING = "normal", "no finding"
VIEWS: Mapping[str, str] = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP", "L": "lateral"}
PAPER_PROJECTIONS = ("PA", "AP")  # what RadVLM keeps: no supine films

# The dataset's labels -> the course's names, where these differ; all other labels stay as they are.
FINDINGS: Mapping[str, str] = {
    "hiatal hernia": "hernia",
    "infiltrates": "infiltration",
    "pulmonary edema": "edema",
    "pulmonary emphysema": "emphysema",
    "pulmonary fibrosis": "fibrosis",
    "pulmonary mass": "mass",
}


@dataclass(frozen=True)
class _Options:
    language: str
    boxes: str


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    language: Literal["en", "es"] = "en",
    boxes: Literal["boxes", "extra_boxes"] = "boxes",
    projections: Sequence[str] | None = None,
    check_images: bool = True,
) -> Iterator[Study]:
    """The studies of a split, in the order of the JSON file.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``; what belongs to no split is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        language: of the sentences: English (translated) or Spanish.
        boxes: which reader's.
        projections: keep only films of these (``PA``, ``AP``, ``AP_horizontal``); RadVLM keeps
            :data:`PAPER_PROJECTIONS`. Needs the table of PadChest.
        check_images: decode every image, which finds truncated ones; ``False`` reads headers only.

    Returns:
        studies with boxes in unit coordinates and ``image_size`` as found in the file.

    Raises:
        SourceError: a table, a column, a key or all images are missing, or an option makes no sense.
    """
    check_split(split)
    if language not in ("en", "es") or boxes not in ("boxes", "extra_boxes"):
        found = f"language {language!r} and boxes {boxes!r}"
        raise SourceError(f"expected language 'en' or 'es' and boxes 'boxes' or 'extra_boxes', found {found}")
    folder, report = Path(root), ReadReport() if report is None else report
    entries = _entries(find_table(folder, (REPORTS,), WHERE))
    patients = _Patients(find_table(folder, (MASTER,), WHERE), split, report)
    views = _projections(folder, projections, split, report)
    candidates = ("Padchest_GR_files", "Padchest_GR_files/PadChest_GR", "images_grounding", "")
    films = Films((folder / name for name in candidates), report, check_images)
    if not films:
        raise SourceError(f"expected images in {folder / candidates[0]} or {candidates[2]}/, found none; {WHERE}")
    return _studies(entries, patients, views, projections, films, split, _Options(language, boxes), report)


def _entries(path: Path) -> list[Any]:
    entries = read_json(path, WHERE)
    if not isinstance(entries, list) or not entries:
        raise SourceError(f"{path}: expected a list of studies, found {type(entries).__name__}; {WHERE}")
    keys = {key for entry in entries if isinstance(entry, dict) for key in entry}
    if missing := [key for key in KEYS if key not in keys]:
        found = ", ".join(sorted(keys)) or "no object"
        raise SourceError(f"{path}: expected the key {', '.join(map(repr, missing))}, found {found}; {WHERE}")
    return entries


class _Patients:
    """The patient and the split of each study, from the master table."""

    def __init__(self, path: Path, split: str, report: ReadReport) -> None:
        self._of_study: dict[str, tuple[str, str]] = {}
        self._guarded: dict[str, int] = {}  # patient -> position in SPLITS of the most guarded split
        self._train = split == "train"
        for place, row in read_rows(
            path, MASTER_COLUMNS, WHERE, lambda place: self._skip(report, "row with too few cells", place)
        ):
            study, part, patient = row["StudyID"], row["split"], row["PatientID"]
            if not study or not patient or part not in SPLITS:
                self._skip(report, "row without StudyID, PatientID or a known split", f"{place} ({study})")
                continue
            if self._of_study.setdefault(study, (patient, part)) != (patient, part):
                self._skip(report, "row that gives its study another patient or split", f"{place} ({study})")
                continue
            self._guarded[patient] = max(self._guarded.get(patient, 0), SPLITS.index(part))

    def _skip(self, report: ReadReport, reason: str, place: str) -> None:
        if self._train:  # every split reads this table; it is counted once
            report.skip(reason, place)

    def find(self, study: str) -> tuple[str, str]:
        """(patient, split) of a study; (empty, train) if the table does not list it."""
        return self._of_study.get(study, ("", "train"))

    def is_elsewhere(self, patient: str, split: str) -> bool:
        """Whether a patient also stands in a more guarded split."""
        return self._guarded[patient] > SPLITS.index(split)


def _projections(folder: Path, wanted: Sequence[str] | None, split: str, report: ReadReport) -> dict[str, str]:
    """Image name -> projection, from the table of PadChest if it is there."""
    if wanted is None and not any((folder / name).is_file() for name in (PADCHEST, f"{PADCHEST}.gz")):
        return {}

    def damaged(place: str) -> None:
        if split == "train":
            report.skip("row with too few cells", place)

    rows = read_rows(find_table(folder, (PADCHEST,), WHERE), PADCHEST_COLUMNS, WHERE, damaged)
    return {row["ImageID"]: row["Projection"] for _, row in rows}


def _studies(
    entries: list[Any],
    patients: _Patients,
    projections: Mapping[str, str],
    wanted: Sequence[str] | None,
    films: Films,
    split: str,
    options: _Options,
    report: ReadReport,
) -> Iterator[Study]:
    listed: set[str] = set()
    images: set[str] = set()
    for number, entry in enumerate(entries):
        study, image = (str(entry.get(key) or "") if isinstance(entry, dict) else "" for key in KEYS[:2])
        images.add(Path(image).stem)
        patient, part = patients.find(study)
        if part != split:
            continue
        problem = _problem_of_entry(entry, study, image, listed) or _problem_of_patient(patients, patient, split)
        if not problem and wanted is not None and projections.get(image) not in wanted:
            problem = "film of another projection than asked for"
        listed.add(study)
        if problem:
            report.skip(problem, study or f"entry {number}")
            continue
        film = films.find(image)
        if film is not None:
            report.read += 1
            view = VIEWS.get(projections.get(image, ""), film.view)
            yield _study(entry["findings"], study, patient, film, split, view, options, report)
    for stem in films.stems():
        if split == "train" and stem not in images:
            report.skip("image file that the JSON file does not list", films.place(stem))
    report.warn(f"{NAME}, {split}")


def _problem_of_entry(entry: Any, study: str, image: str, listed: set[str]) -> str:
    """Why an entry cannot be used; empty if it can."""
    if not study or not image:
        return "entry without StudyID or ImageID"
    if study in listed:
        return "second entry of a study"
    findings = entry.get("findings")
    return "" if isinstance(findings, list) and findings else "entry without findings"


def _problem_of_patient(patients: _Patients, patient: str, split: str) -> str:
    if not patient:
        return "study that the master table does not list"
    return "study of a patient who is also in a more guarded split" if patients.is_elsewhere(patient, split) else ""


def _study(
    entries: list[Any],
    study: str,
    patient: str,
    film: Film,
    split: str,
    view: str,
    options: _Options,
    report: ReadReport,
) -> Study:
    sentences: list[str] = []
    some_abnormal = False
    findings: dict[str, int] = {}
    phrases: dict[str, list[Box]] = {}
    abnormalities: dict[str, list[Box]] = {}
    for number, entry in enumerate(entries):
        place = f"{study}, sentence {number}"
        sentence = _text(entry, f"sentence_{options.language}")
        if not sentence or not isinstance(entry.get("abnormal"), bool):
            report.skip("finding without a sentence, or without abnormal true or false", place)
            continue
        sentences.append(sentence)
        labels, boxes = _labels(entry, report, place), _boxes(entry, options.boxes, report, place)
        abnormal = entry["abnormal"]
        some_abnormal |= abnormal
        if boxes and not abnormal:
            report.note("sentence with boxes that is not abnormal, boxes left out", place)
            boxes = []
        for label in labels:
            findings[label] = max(findings.get(label, 0), int(abnormal))
            if boxes:
                abnormalities.setdefault(label, []).extend(boxes)
        if boxes:
            phrases.setdefault(sentence, []).extend(boxes)
    if not some_abnormal and len(sentences) == len(entries):
        findings[NO_FINDING] = 1
    return Study(
        image_path=str(film.path),
        image_size=film.size,
        patient_id=patient,
        study_id=study,
        source=NAME,
        split=split,
        view=view,
        report=" ".join(sentences),
        findings=findings,
        abnormalities={name: tuple(dict.fromkeys(group)) for name, group in abnormalities.items()},
        phrases={name: tuple(dict.fromkeys(group)) for name, group in phrases.items()},
    )


def _text(entry: Any, key: str) -> str:
    value = entry.get(key) if isinstance(entry, dict) else None
    return " ".join(value.split()) if isinstance(value, str) else ""


def _labels(entry: dict[str, Any], report: ReadReport, place: str) -> list[str]:
    labels = entry.get("labels") or []
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        report.skip("labels that are not a list of names", place)
        return []
    names = [" ".join(label.split()) for label in labels]
    return [FINDINGS.get(name, name) for name in names if name and name != NORMAL]


def _boxes(entry: dict[str, Any], key: str, report: ReadReport, place: str) -> list[Box]:
    given = entry.get(key) or []
    if not isinstance(given, list):
        report.skip("boxes that are not a list", place)
        return []
    found = [unit_box(corners if isinstance(corners, list) else (), (1, 1), report, place) for corners in given]
    return [box for box in found if box is not None]
