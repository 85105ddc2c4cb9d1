"""CheXpert Plus: the reports of CheXpert's films, 223,462 images of 187,711 studies of 64,725 patients.

Citation: P. Chambon, J.-B. Delbrouck, T. Sounack, et al., "CheXpert Plus: Augmenting a Large Chest X-ray Dataset with
Text Radiology Reports, Patient Demographics and Additional Image Formats", arXiv 2405.19538.
Licence and access: Stanford University Dataset Research Use Agreement; register at
https://aimi.stanford.edu/datasets/chexpert-plus and accept it. Neither text nor images may be passed on.

Files below ``root`` (the table may be gzipped):

- ``df_chexpert_plus_240401.csv``: one row an image. Read: ``path_to_image``, ``split`` (train, valid), the sections
  asked for (``section_findings``, ``section_impression``, ``section_end_of_impression``) and, where it exists,
  ``ap_pa``. Left out: the other sections, and what the table says of the person.
- ``chexbert_labels/report_fixed.json`` (or ``impression_fixed.json``, ``findings_fixed.json``; also beside the table):
  JSON lines, ``path_to_image`` and 14 labels that are 1.0, 0.0, -1.0 or null. They were mined from the whole report,
  its impression, its findings. Most reports have no findings section, and then ``findings_fixed.json`` says No Finding.
- images ``PNG/train/patient00001/study1/view1_frontal.png``, or CheXpert's own JPEG files (``images_root``,
  ``image_suffix``).
- ``filtered_reports/train_patient00001_study1.txt``: optional, reports that a language model has rewritten.

The split is the dataset's own, by patient; ``valid`` is ``validation`` here, and there is no test split (the paper
calls ``valid`` its test: ``valid_as``). Patients and studies are named as in CheXpert: do not train on one of the two
and test on the other.

A report is the sections asked for, joined by a space, with their capitals. The paper joins them without a space and
puts everything but the first letter in small letters; that is not repeated here. A record is one film.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radvlm_course.records import Study
from radvlm_course.sources._chexpert import (
    COLUMNS,
    FilmPath,
    LabelParser,
    assumed_or_none,
    image_base,
    parse_path,
    view_name,
)
from radvlm_course.sources._common import check_split, checked_size, find_table, read_rows
from radvlm_course.sources._filtered_reports import filtered_folder, filtered_text
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["NAME", "SECTIONS", "read"]

NAME = "chexpert_plus"
WHERE = "register at https://aimi.stanford.edu/datasets/chexpert-plus and download it"
TABLES = ("df_chexpert_plus_240401.csv",)
SECTIONS = ("findings", "impression", "end_of_impression")
IMAGE_FOLDERS = ("PNG", "PNG/PNG", "PNGs", "")

Row = Mapping[str, str]
Text = tuple[str, tuple[str, ...]]  # the report, and remarks on it


@dataclass(frozen=True)
class _Options:
    split_of: Mapping[str, str]  # the dataset's name of a split -> ours
    frontal_only: bool
    base: Path
    image_suffix: str
    check_images: bool
    assumed_size: tuple[int, int] | None


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    text_from: Literal["sections", "filtered", "none"] = "sections",
    text_root: str | os.PathLike[str] | None = None,
    sections: Sequence[str] = SECTIONS,
    labels_from: Literal["report", "impression", "findings", "none"] = "report",
    valid_as: Literal["validation", "test"] = "validation",
    frontal_only: bool = False,
    images_root: str | os.PathLike[str] | None = None,
    image_suffix: str = ".png",
    check_images: bool = True,
    assumed_size: Sequence[int] | None = None,
) -> Iterator[Study]:
    """The films of a split, in the order of the table.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``; what names no split is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        text_from: ``sections`` joins sections of the table, ``filtered`` takes rewritten reports, ``none`` no text.
        text_root: where ``filtered_reports/`` is, if not in ``root``.
        sections: which sections, in this order: names of columns without ``section_``.
        labels_from: which part of the report the labels were mined from.
        valid_as: what the dataset's ``valid`` is called.
        frontal_only: only films whose file is named ``frontal``; the others are not counted.
        images_root: the folder that holds ``train/``, if it is not ``root/PNG``.
        image_suffix: of the image files.
        check_images: decode every image, which finds truncated ones; ``False`` reads headers only.
        assumed_size: (width, height) that every film gets without being opened; only with ``check_images=False``.

    Returns:
        studies with ``image_size`` as found in the file, or as assumed.

    Raises:
        SourceError: a table, a column, labels or rewritten reports are missing, or a patient is in two splits.
    """
    check_split(split)
    assumed = assumed_or_none(assumed_size, check_images)
    if valid_as not in ("validation", "test"):
        raise SourceError(f"valid_as: expected validation or test, found {valid_as!r}")
    folder = Path(root)
    report = ReadReport() if report is None else report
    table = find_table(folder, TABLES, WHERE)
    text, columns = _text_of(text_from, folder if text_root is None else Path(text_root), sections)
    split_of = {"train": "train", "valid": valid_as}
    part = next((name for name, ours in split_of.items() if ours == split), "")
    labels = _read_labels(folder, labels_from, part, report)
    folders = [folder / name for name in IMAGE_FOLDERS] if images_root is None else [Path(images_root)]
    base = image_base(folders, part)
    options = _Options(split_of, frontal_only, base, image_suffix, check_images, assumed)
    rows = _rows(table, columns, split, split_of, report)
    return _studies(rows, split, text, labels, options, report)


def _text_of(
    text_from: str, root: Path, sections: Sequence[str]
) -> tuple[Callable[[Row, FilmPath], Text], tuple[str, ...]]:
    """What gives the report of a row, and the columns that it needs."""
    if text_from == "none":
        return lambda row, film: ("", ()), ()
    if text_from == "filtered":
        folder = filtered_folder(root)
        return lambda row, film: filtered_text(folder / f"{film.part}_{film.patient}_{film.study}.txt"), ()
    if text_from != "sections":
        raise SourceError(f"text_from: expected sections, filtered or none; found {text_from!r}")
    columns = tuple(f"section_{name}" for name in sections)

    def joined(row: Row, film: FilmPath) -> Text:
        text = " ".join(" ".join(row[column] for column in columns).split())
        return text, () if text else ("film whose report has none of the sections",)

    return joined, columns


def _rows(
    table: Path, columns: Sequence[str], split: str, split_of: Mapping[str, str], report: ReadReport
) -> Iterator[tuple[str, Row, FilmPath]]:
    """The usable rows of a split; those of no split are counted with train."""
    counted = report if split == "train" else ReadReport()
    of_patient: dict[str, str] = {}
    seen: set[str] = set()
    needed = ("path_to_image", "split", *columns)
    short = "row with too few cells"
    for place, row in read_rows(table, needed, WHERE, lambda place: counted.skip(short, place), ("ap_pa",)):
        film = parse_path(row["path_to_image"])
        if film is None:
            counted.skip("row whose path is not like train/patient00001/study1/view1_frontal.jpg", place)
            continue
        named = split_of.get(row["split"])
        if named is None:
            counted.skip("row with an unknown split", place)
            continue
        if of_patient.setdefault(film.patient, named) != named:
            raise SourceError(f"{table}: expected every patient in one split, found {film.patient} in two ({place})")
        if named != split:
            continue
        if film.record_id in seen:
            report.skip("second row of an image", place)
            continue
        seen.add(film.record_id)
        yield place, row, film


def _studies(
    rows: Iterator[tuple[str, Row, FilmPath]],
    split: str,
    text_of: Callable[[Row, FilmPath], Text],
    labels: Mapping[str, Mapping[str, int]] | None,
    options: _Options,
    report: ReadReport,
) -> Iterator[Study]:
    listed: set[str] = set()
    for place, row, film in rows:
        listed.add(film.stem)
        if options.frontal_only and not film.frontal:
            continue
        path = f"{options.base / film.stem}{options.image_suffix}"
        size = options.assumed_size or checked_size(path, None, options.check_images, report)
        if size is None:
            continue
        text, remarks = text_of(row, film)
        for remark in remarks:
            report.note(remark, place)
        if labels is not None and film.stem not in labels:
            report.note("film without a line of labels", place)
        findings = dict((labels or {}).get(film.stem, {}))
        view = view_name(film, row.get("ap_pa", ""))
        report.read += 1
        yield Study(path, size, film.patient, film.record_id, NAME, split, view, text, findings)
    for stem in sorted(set(labels or ()) - listed):
        report.skip("line of labels of a film that the table does not list", stem)
    report.warn(f"{NAME}, {split}")


def _read_labels(folder: Path, labels_from: str, part: str, report: ReadReport) -> dict[str, Mapping[str, int]] | None:
    """Stem of a film of a part -> findings; ``None`` if none are asked for. Lines of no part count with train."""
    if labels_from == "none":
        return None
    if labels_from not in ("report", "impression", "findings"):
        raise SourceError(f"labels_from: expected report, impression, findings or none; found {labels_from!r}")
    name = f"{labels_from}_fixed.json"
    path = find_table(folder, (f"chexbert_labels/{name}", name), WHERE)
    parser = LabelParser(report)
    labels: dict[str, Mapping[str, int]] = {}
    counted = report if part == "train" else ReadReport()
    for place, values in _json_lines(path, counted):
        film = parse_path(str(values["path_to_image"]))
        if film is None:
            counted.skip("line of labels whose path is not like train/patient00001/study1/view1_frontal.jpg", place)
        elif film.part != part:
            continue
        elif film.stem in labels:
            report.skip("second line of labels of an image", place)
        else:
            cells = {column: "" if values[column] is None else str(values[column]) for column in COLUMNS}
            labels[film.stem] = parser.parse(cells, place)
    return labels


def _json_lines(path: Path, report: ReadReport) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON lines that have all keys; lines that are none are counted."""
    keys = ("path_to_image", *COLUMNS)
    good = 0
    found: set[str] = set()
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                place = f"{path.name}, line {number}"
                values = _object(line)
                if values is None or not all(key in values for key in keys):
                    found.update(values or ())
                    report.skip("line of labels that is not an object with a path and 14 labels", place)
                    continue
                good += 1
                yield place, values
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path}: expected JSON lines, found a damaged file ({error}); {WHERE}") from error
    if not good:
        missing = ", ".join(key for key in keys if key not in found)
        others = ", ".join(sorted(found)[:20]) or "none"
        raise SourceError(f"{path}: expected JSON lines with the keys {missing}, found {others}; {WHERE}")


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
