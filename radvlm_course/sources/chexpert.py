"""CheXpert: 224,316 radiographs of 65,240 patients with 14 labels mined from their reports.

Citation: J. Irvin, P. Rajpurkar, M. Ko, et al., "CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels
and Expert Comparison", AAAI 2019; the test set came with A. Saporta, X. Gui, A. Agrawal, et al., "Benchmarking
saliency methods for chest X-ray interpretation", Nature Machine Intelligence 4, 867 (2022).
Licence and access: Stanford University Dataset Research Use Agreement; register at
https://stanfordmlgroup.github.io/competitions/chexpert/ and accept it. The images may not be passed on.

Files below ``root`` (the folder ``CheXpert-v1.0``, ``CheXpert-v1.0-small`` or what holds it; tables may be gzipped):

- ``train.csv``, ``valid.csv``, ``test.csv`` (or ``test_labels.csv``): one row an image. Read: ``Path``, 14 labels
  (1.0 present, 0.0 absent, -1.0 uncertain, blank not mentioned) and, where it exists, ``AP/PA``. The folder with which
  ``Path`` begins is left out. Left out too: sex, age.
- ``train/patient00001/study1/view1_frontal.jpg`` and so on: the images.

The splits are the dataset's own, by patient; ``valid`` is ``validation`` here. The labels of train were mined from
reports, those of the other two were set by radiologists. There are no reports and no boxes here (CheXpert Plus has
reports of the same films, with the same names of patients and studies: do not train on one and test on the other).

A record is one film. **Where No Finding is 1, the other labels are blank, not 0**: the paper reads them as absent, but
for support devices; see ``LabelSemantics.no_finding_as``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.records import Study
from radvlm_course.sources._chexpert import COLUMNS, LabelParser, assumed_or_none, image_base, parse_path, view_name
from radvlm_course.sources._common import SPLITS, check_split, checked_size, find_table, read_rows
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["NAME", "read"]

NAME = "chexpert"
WHERE = "register at https://stanfordmlgroup.github.io/competitions/chexpert/ and download it"
FOLDERS = ("", "CheXpert-v1.0/", "CheXpert-v1.0-small/", "CheXpert/")
TABLES: Mapping[str, tuple[str, ...]] = {
    "train": ("train.csv",),
    "validation": ("valid.csv",),
    "test": ("test.csv", "test_labels.csv"),
}
PARTS: Mapping[str, str] = {"train": "train", "valid": "validation", "test": "test"}


@dataclass(frozen=True)
class _Options:
    frontal_only: bool
    check_images: bool
    assumed_size: tuple[int, int] | None


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    frontal_only: bool = False,
    check_images: bool = True,
    assumed_size: Sequence[int] | None = None,
) -> Iterator[Study]:
    """The films of a split, in the order of its table.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        frontal_only: only films whose file is named ``frontal``; the others are not counted.
        check_images: decode every image, which finds truncated ones; ``False`` reads headers only.
        assumed_size: (width, height) that every film gets without being opened, for building from the tables alone;
            only with ``check_images=False``. The tables give no sizes, and nothing here has boxes.

    Returns:
        studies with ``image_size`` as found in the file, or as assumed.

    Raises:
        SourceError: the table or a column is missing, or a patient stands in two tables.
    """
    check_split(split)
    assumed = assumed_or_none(assumed_size, check_images)
    folder = Path(root)
    table = _find(folder, split)
    _check_patients(folder)
    options = _Options(frontal_only, check_images, assumed)
    return _studies(table, split, options, ReadReport() if report is None else report)


def _find(folder: Path, split: str) -> Path:
    return find_table(folder, [f"{inner}{name}" for inner in FOLDERS for name in TABLES[split]], WHERE)


def _check_patients(folder: Path) -> None:
    """Refuse tables that share a patient."""
    split_of: dict[str, str] = {}
    for split in SPLITS:
        try:
            table = _find(folder, split)
        except SourceError:  # the table asked for exists; the others need not
            continue
        for _, row in read_rows(table, ("Path",), WHERE, lambda place: None):  # counted when the table is read
            film = parse_path(row["Path"])
            if film is not None and split_of.setdefault(film.patient, split) != split:
                raise SourceError(
                    f"{table}: expected every patient in one table, found {film.patient} in those of "
                    f"{split_of[film.patient]} and {split}"
                )


def _studies(table: Path, split: str, options: _Options, report: ReadReport) -> Iterator[Study]:
    part = next(name for name, ours in PARTS.items() if ours == split)
    base = image_base((table.parent, table.parent.parent), part)
    parser = LabelParser(report)
    seen: set[str] = set()
    columns = ("Path", *COLUMNS)
    short = "row with too few cells"
    for place, row in read_rows(table, columns, WHERE, lambda place: report.skip(short, place), ("AP/PA",)):
        film = parse_path(row["Path"])
        if film is None or PARTS[film.part] != split:
            report.skip("row whose path is not like train/patient00001/study1/view1_frontal.jpg", place)
            continue
        if film.record_id in seen:
            report.skip("second row of an image", place)
            continue
        seen.add(film.record_id)
        if options.frontal_only and not film.frontal:
            continue
        path = f"{base / film.stem}{Path(row['Path']).suffix}"
        size = options.assumed_size or checked_size(path, None, options.check_images, report)
        if size is None:
            continue
        findings = dict(parser.parse(row, place))
        view = view_name(film, row.get("AP/PA", ""))
        report.read += 1
        yield Study(path, size, film.patient, film.record_id, NAME, split, view, "", findings)
    report.warn(f"{NAME}, {split}")
