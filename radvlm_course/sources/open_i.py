"""Open-i, the Indiana University chest X-rays: 7,470 frontal and lateral films with 3,955 reports.

Citation: D. Demner-Fushman, M. D. Kohli, M. B. Rosenman et al., "Preparing a collection of radiology examinations for
distribution and retrieval", Journal of the American Medical Informatics Association 23(2), 2016.
Licence and access: CC BY-NC-ND 4.0 (in each report); open, https://openi.nlm.nih.gov: ``NLMCXR_png.tgz`` and
``NLMCXR_reports.tgz``. Kaggle has another form, "raddar/chest-xrays-indiana-university".

Files below ``root``, either form (tables may be gzipped):

- XML: one report a file in ``ecgen-radiology/``, ``reports_xml/`` or ``reports/``. Read: ``uId`` (its ``id``),
  ``AbstractText`` (``Label`` FINDINGS and IMPRESSION), ``MeSH/major`` (labels given by hand, like
  ``Opacity/lung/base/left``), ``parentImage`` (its ``id`` is the image's name, its ``caption`` names the examination).
- Kaggle: ``indiana_reports.csv``, read: ``uid,MeSH,image,findings,impression``; and ``indiana_projections.csv``:
  ``uid,filename,projection`` (Frontal or Lateral). That second table may also lie beside the XML files, which do not
  say which film is the lateral one.
- PNG films in ``NLMCXR_png/``, ``images/``, ``images/images_normalized/`` or beside the tables.

Each report counts as a patient of its own (the collection took one examination of each). Patients are drawn by a seeded
hash, 70% train, 10% validation, 20% test. **A study here is one film**; films of one examination share patient and
report.

The text is the first of findings and impression that is there, as RadVLM takes it, or both (``sections``). Automatic
de-identification put ``XXXX`` where a name, a date or a word of the trade stood ("There are no XXXX of a pleural
effusion", "Normal chest x-XXXX"). A model would learn to write it, and cutting it out can turn a sentence around, so
the sentence is left out; the option ``anonymised`` keeps it or leaves the whole report out. Half of the reports have
one.

Findings are the hand-made labels; an abnormal label that the course has no name for counts as "other abnormality" (1).
What is not labelled is absent, on a normal film everything. Left out: comparison, indication, automatic labels.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from radvlm_course.records import Study
from radvlm_course.sources._common import FRACTIONS, OTHER_ABNORMALITY, check_split, split_of_patient
from radvlm_course.sources._films import Film, Films
from radvlm_course.sources._open_i_reports import (
    SECTIONS,
    WHERE,
    OpenIReport,
    Projections,
    image_key,
    read_projections,
    read_reports,
)
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["FINDINGS", "NAME", "read"]

NAME = "open_i"
IMAGE_FOLDERS = ("NLMCXR_png", "images", "images/images_normalized", "")
MASK = "XXXX"
# The end of a sentence; "1." and "2." number the points of an impression.
_SENTENCE_END = re.compile(r"(?<=[.?!])(?<!^\d\.)(?<!\s\d\.)\s+")

# First part of a MeSH label -> the course's name; "Thickening" only where the label also says "pleura".
FINDINGS: Mapping[str, str] = {
    "Bullous Emphysema": "emphysema",
    "Calcified Granuloma": "calcification",
    "Calcinosis": "calcification",
    "Cardiomegaly": "cardiomegaly",
    "Catheters, Indwelling": "support devices",
    "Consolidation": "consolidation",
    "Emphysema": "emphysema",
    "Fractures, Bone": "fracture",
    "Hernia, Hiatal": "hernia",
    "Implanted Medical Device": "support devices",
    "Infiltrate": "infiltration",
    "Mass": "mass",
    "Medical Device": "support devices",
    "Nodule": "nodule",
    "Opacity": "lung opacity",
    "Pleural Effusion": "pleural effusion",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
    "Pulmonary Atelectasis": "atelectasis",
    "Pulmonary Edema": "edema",
    "Pulmonary Emphysema": "emphysema",
    "Pulmonary Fibrosis": "fibrosis",
    "Thickening": "pleural thickening",
    "Tube, Inserted": "support devices",
}
NORMAL = "normal"
SAYS_NOTHING = ("No Indexing", "Technical Quality of Image Unsatisfactory")


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    seed: int = 0,
    fractions: Mapping[str, float] = FRACTIONS,
    sections: Literal["first", "both"] = "first",
    anonymised: Literal["leave out sentence", "leave out report", "keep"] = "leave out sentence",
    check_images: bool = True,
) -> Iterator[Study]:
    """The studies of a split, one a film, in the order of the report numbers.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``; what belongs to no split is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        seed, fractions: of the split by patient.
        sections: the text is the first of findings and impression that is not empty, or both.
        anonymised: what happens to a sentence with ``XXXX``.
        check_images: decode every image, which finds truncated ones; ``False`` reads headers only.

    Returns:
        studies without boxes, ``image_size`` as found in the file.

    Raises:
        SourceError: the reports, a column or all images are missing, or an option makes no sense.
    """
    check_split(split)
    choices = ("leave out sentence", "leave out report", "keep")
    if sections not in ("first", "both") or anonymised not in choices:
        found = f"sections {sections!r} and anonymised {anonymised!r}"
        raise SourceError(f"expected sections 'first' or 'both' and anonymised one of {choices}, found {found}")
    folder, report = Path(root), ReadReport() if report is None else report
    projections = read_projections(folder, split, report)
    reports = read_reports(folder, projections, split, report)
    films = Films((folder / name for name in IMAGE_FOLDERS), report, check_images)
    if not films:
        raise SourceError(f"expected images in {folder / IMAGE_FOLDERS[0]} or images/, found none; {WHERE}")
    return _studies(reports, films, projections or {}, _Options(split, seed, fractions, sections, anonymised), report)


@dataclass(frozen=True)
class _Options:
    split: str
    seed: int
    fractions: Mapping[str, float]
    sections: str
    anonymised: str

    def wants(self, patient: str) -> bool:
        return split_of_patient(patient, self.seed, self.fractions) == self.split


def _studies(
    reports: Iterator[OpenIReport],
    films: Films,
    projections: Projections,
    options: _Options,
    report: ReadReport,
) -> Iterator[Study]:
    views = {image_key(name): view for images in projections.values() for name, view in images}
    stems = {image_key(stem): stem for stem in films.stems()}
    patients: set[str] = set()
    listed: set[str] = set()
    for entry in reports:
        is_second = entry.patient in patients
        patients.add(entry.patient)
        listed.update(image_key(image) for image in entry.images)
        if not options.wants(entry.patient):
            continue
        if problem := _problem_of_report(entry, is_second):
            report.skip(problem, f"{entry.place} ({entry.patient})")
            continue
        text, findings = _text(entry, options, report), _findings(entry, report)
        for image in entry.images:
            film = films.find(stems.get(image_key(image), image))
            if film is None:
                continue
            view = _view(film, views.get(image_key(image), ""), entry.caption)
            if not view:
                report.note("film of which nobody says whether it is PA, AP or lateral", image)
            report.read += 1
            yield Study(
                str(film.path),
                film.size,
                entry.patient,
                image_key(image),
                NAME,
                options.split,
                view,
                text,
                dict(findings),
            )
    for key, stem in stems.items():
        if options.split == "train" and key not in listed:
            report.skip("image file that no report lists", films.place(stem))
    report.warn(f"{NAME}, {options.split}")


def _problem_of_report(entry: OpenIReport, is_second: bool) -> str:
    """Why a report cannot be used; empty if it can."""
    if not entry.sections:
        return "report file that is not XML"
    if is_second:
        return "second report of a number"
    return "" if entry.images else "report without an image"


def _view(film: Film, projection: str, caption: str) -> str:
    if projection.lower() == "lateral":
        return "lateral"
    if projection.lower() != "frontal":
        return film.view
    named = {view for view in ("PA", "AP") if re.search(rf"\b{view}\b", caption)}
    return named.pop() if len(named) == 1 else film.view


def _text(entry: OpenIReport, options: _Options, report: ReadReport) -> str:
    place = f"{entry.place} ({entry.patient})"
    if options.anonymised == "leave out report" and any(MASK in text for text in entry.sections.values()):
        report.skip(f"report text with {MASK}", place)
        return ""
    texts = [_sentences(entry.sections[name], options, report, place) for name in SECTIONS]
    if not any(texts):
        report.note("report without a sentence that can be used", place)
    elif not texts[0] and options.sections == "first":
        report.note("report without findings, impression taken", place)
    if options.sections == "first":
        return texts[0] or texts[1]
    return " ".join(text for text in texts if text)


def _sentences(text: str, options: _Options, report: ReadReport, place: str) -> str:
    """The sentences of a section that can be used."""
    kept = []
    for sentence in _SENTENCE_END.split(" ".join(text.split())):
        if MASK in sentence and options.anonymised == "leave out sentence":
            report.skip(f"sentence with {MASK}", place)
            continue
        if MASK in sentence:
            report.note(f"sentence with {MASK}, kept", place)
        kept.append(sentence)
    return " ".join(kept)


def _findings(entry: OpenIReport, report: ReadReport) -> dict[str, int]:
    """Finding -> 1 or 0 from the hand-made labels; empty if there are none."""
    labels = [label.strip() for label in entry.labels]
    labels = [label for label in labels if label and not label.startswith(SAYS_NOTHING)]
    if not labels:
        report.note("report without labels", f"{entry.place} ({entry.patient})")
        return {}
    findings = dict.fromkeys([*sorted(set(FINDINGS.values())), OTHER_ABNORMALITY], 0)
    for label in labels:
        heading = label.split("/")[0].strip()
        if heading.lower() == NORMAL:
            continue
        known = heading in FINDINGS and (heading != "Thickening" or "pleura" in label.lower())
        if not known:
            report.note("label that the course has no name for, taken as other abnormality", f"{entry.place}: {label}")
        findings[FINDINGS[heading] if known else OTHER_ABNORMALITY] = 1
    return findings
