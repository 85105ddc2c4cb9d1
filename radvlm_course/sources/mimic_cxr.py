"""MIMIC-CXR-JPG: 377,110 radiographs of 227,835 studies with their reports and 14 labels mined from them.

Citation: A. E. W. Johnson, T. J. Pollard, S. J. Berkowitz, et al., "MIMIC-CXR, a de-identified publicly available
database of chest radiographs with free-text reports", Scientific Data 6, 317 (2019); A. E. W. Johnson,
T. J. Pollard, N. R. Greenbaum, et al., "MIMIC-CXR-JPG, a large publicly available database of labeled chest
radiographs", arXiv 1901.07042.
Licence and access: PhysioNet Credentialed Health Data License 1.5.0. Become a credentialed user, complete the
training course, sign the data use agreement, then download https://physionet.org/content/mimic-cxr-jpg/ (images and
tables) and ``mimic-cxr-reports.zip`` from https://physionet.org/content/mimic-cxr/. Neither text nor images may be
sent to a service that the agreement does not cover.

Files below ``root`` (every table may be gzipped, as it is delivered):

- ``mimic-cxr-2.0.0-metadata.csv``: one row an image. Read: ``dicom_id``, ``subject_id``, ``study_id``,
  ``ViewPosition``, ``Rows``, ``Columns`` (height and width of the original in pixels).
- ``mimic-cxr-2.0.0-split.csv``: ``dicom_id``, ``study_id``, ``subject_id``, ``split`` (train, validate, test).
- ``mimic-cxr-2.0.0-chexpert.csv`` (or ``-negbio.csv``): one row a **study**, ``subject_id``, ``study_id`` and 14
  labels, 1.0 present, 0.0 absent, -1.0 uncertain, blank not mentioned.
- ``files/p19/p19999999/s59999999/<dicom_id>.jpg``: the images.
- reports, one of: ``files/p19/p19999999/s59999999.txt`` (unpacked, or ``mimic-cxr-reports.zip`` as delivered), cut into
  sections by ``report_sections``; ``mimic_cxr_sectioned.csv`` with ``study``, ``findings``, ``impression``,
  ``last_paragraph``; ``filtered_reports/<study_id>.txt``, reports that a language model has rewritten.

Splits are the official ones, by patient; ``validate`` is called ``validation`` here. **A leak to know of**: Chest
ImaGenome and MS-CXR annotate films of this dataset, and Chest ImaGenome splits them anew, so most of its test films
stand in the train split of MIMIC-CXR. The three readers name patients, studies and image files alike (see
``_mimic``), so that a mixture can tell.

A record is one film; two films of a study share its report and labels, as an evaluation must know. What makes a
report hard to cut (no heading, two sections of a name) is counted, not repaired by hand. A film without a report or
without labels is delivered without them. Left out: dates, procedure codes, sections other than the one chosen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from radvlm_course.records import Study
from radvlm_course.sources import _mimic
from radvlm_course.sources._chexpert import COLUMNS, LabelParser
from radvlm_course.sources._common import check_split, checked_size, find_table, read_rows
from radvlm_course.sources._mimic_reports import TextFrom, TextReader, open_texts
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["NAME", "read"]

NAME = "mimic_cxr"


@dataclass(frozen=True)
class _Tables:
    """Everything but the metadata, which is read row by row."""

    splits: _mimic.SplitTable
    labels: Mapping[str, Mapping[str, int]]  # subject/study -> findings
    texts: TextReader


@dataclass(frozen=True)
class _Options:
    frontal_only: bool
    image_suffix: str
    check_images: bool


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    text_from: TextFrom = "files",
    text_root: str | os.PathLike[str] | None = None,
    labeller: Literal["chexpert", "negbio"] = "chexpert",
    frontal_only: bool = False,
    image_suffix: str = ".jpg",
    check_images: bool = True,
) -> Iterator[Study]:
    """The films of a split, in the order of the metadata.

    Args:
        root: the folder of MIMIC-CXR-JPG.
        split: ``train``, ``validation`` or ``test``; what belongs to no split is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        text_from: ``files``, ``sectioned``, ``filtered`` or ``none``, see the top of this module.
        text_root: where the reports are, if not in ``root``.
        labeller: whose labels.
        frontal_only: only films whose ``ViewPosition`` is AP or PA. Others are not counted, those that do not say are.
        image_suffix: of the image files, for films that were converted from DICOM.
        check_images: decode every image, which finds missing and truncated ones. ``False`` opens no image whose size
            the metadata gives: the paths may point to nothing.

    Returns:
        studies with the size of the original image, whatever the size of the file.

    Raises:
        SourceError: a table, a column or all reports are missing, or a patient is in two splits.
    """
    check_split(split)
    if labeller not in ("chexpert", "negbio"):
        raise SourceError(f"labeller: expected chexpert or negbio, found {labeller!r}")
    folder = Path(root)
    report = ReadReport() if report is None else report
    counted = report if split == "train" else ReadReport()  # of rows that belong to no split
    find_table(folder, _mimic.METADATA_TABLES, _mimic.WHERE)
    splits = _mimic.read_split_table(folder, counted.skip)
    labels = _read_labels(folder, labeller, splits, split, report)
    texts = open_texts(text_from, folder if text_root is None else Path(text_root), counted)
    options = _Options(frontal_only, image_suffix, check_images)
    return _studies(_Reader(folder, split, _Tables(splits, labels, texts), options, report), counted)


def _read_labels(
    folder: Path, labeller: str, splits: _mimic.SplitTable, split: str, report: ReadReport
) -> dict[str, Mapping[str, int]]:
    """``subject/study`` -> findings, of the patients of a split; rows of unknown patients are counted with train."""
    path = find_table(folder, (f"mimic-cxr-2.0.0-{labeller}.csv",), _mimic.WHERE)
    parser = LabelParser(report)
    labels: dict[str, Mapping[str, int]] = {}
    columns = ("subject_id", "study_id", *COLUMNS)
    short: list[str] = []
    for place, row in read_rows(path, columns, _mimic.WHERE, short.append):
        if splits.of_patient.get(row["subject_id"], "train") != split:
            continue
        key = f"{row['subject_id']}/{row['study_id']}"
        if key in labels:
            report.skip("second row of labels of a study", place)
            continue
        labels[key] = parser.parse(row, place)
    for place in short if split == "train" else ():
        report.skip("row of labels with too few cells", place)
    return labels


def _studies(reader: _Reader, counted: ReadReport) -> Iterator[Study]:
    for film in _mimic.read_metadata(reader.folder, counted.skip):
        study = reader.study(film)
        if study is not None:
            reader.report.read += 1
            yield study
    reader.count_leftovers()
    reader.report.warn(f"{NAME}, {reader.split}")


@dataclass
class _Reader:
    """Makes a study of each film of a split, and remembers what it has seen."""

    folder: Path
    split: str
    tables: _Tables
    options: _Options
    report: ReadReport
    films: set[str] = field(default_factory=set)
    studies: dict[str, bool] = field(default_factory=dict)  # subject/study -> whether a film of it was delivered
    last_text: tuple[str, str] = "", ""  # the study delivered last, and its text

    def study(self, film: _mimic.Film) -> Study | None:
        """``None`` if the film is of another split, cannot be used (then it is counted) or is not asked for."""
        if self.tables.splits.of_image.get(film.dicom_id, "train") != self.split:
            return None
        key = f"{film.subject_id}/{film.study_id}"
        self.studies.setdefault(key, False)
        problem = self._problem(film)
        self.films.add(film.dicom_id)
        if problem:
            self.report.skip(problem, film.place)
            return None
        if self.options.frontal_only and film.view_position not in _mimic.FRONTAL:
            return None
        ids = (film.dicom_id, film.subject_id, film.study_id)
        path = _mimic.image_path(str(self.folder), *ids, self.options.image_suffix)
        size = checked_size(path, film.size, self.options.check_images, self.report)
        if size is None:
            return None
        if film.size is None:
            self.report.note("image whose size the metadata does not give, taken from the file", film.place)
        record, view = _mimic.record_id(film.study_id, film.dicom_id), _mimic.view_name(film.view_position)
        findings, text = self._findings(key), self._text(key, film)
        self.studies[key] = True
        return Study(path, size, film.subject_id, record, NAME, self.split, view, text, findings)

    def _problem(self, film: _mimic.Film) -> str:
        """Why a film cannot be used; empty if it can."""
        splits = self.tables.splits
        if film.dicom_id not in splits.of_image:
            return "image that the split table does not list"
        if splits.of_patient.get(film.subject_id) != self.split:
            return "image of a patient whom the split table puts elsewhere"
        if film.dicom_id in self.films:
            return "second row of an image in the metadata"
        if self.options.frontal_only and not film.view_position:
            return "image without a view position, left out by frontal_only"
        return ""

    def _findings(self, key: str) -> dict[str, int]:
        if key not in self.tables.labels and not self.studies[key]:
            self.report.note("study without a row of labels", key)
        return dict(self.tables.labels.get(key, {}))

    def _text(self, key: str, film: _mimic.Film) -> str:
        if self.last_text[0] != key:
            text, remarks = self.tables.texts(film.subject_id, film.study_id)
            self.last_text = key, text
            if not self.studies[key]:
                for remark in remarks:
                    self.report.note(remark, key)
        return self.last_text[1]

    def count_leftovers(self) -> None:
        """Count what the other tables list and the metadata does not."""
        for dicom, split in self.tables.splits.of_image.items():
            if split == self.split and dicom not in self.films:
                self.report.skip("image of the split table without a row of metadata", dicom)
        for key in sorted(self.tables.labels.keys() - self.studies.keys()):
            self.report.skip("row of labels of a study without a film", key)
