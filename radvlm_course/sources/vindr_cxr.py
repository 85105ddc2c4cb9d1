"""VinDr-CXR: 18,000 frontal films, boxes of 22 local findings drawn by three radiologists each (test: five agreed).

Citation: H. Q. Nguyen, K. Lam, L. T. Le et al., "VinDr-CXR: An open dataset of chest X-rays with radiologist's
annotations", Scientific Data 9, 429 (2022), https://doi.org/10.1038/s41597-022-01498-w.
Licence and access: PhysioNet Credentialed Health Data License 1.5.0; credentialed account and signed agreement,
https://physionet.org/content/vindr-cxr/1.0.0/. The training part was also given out, with 14 findings, under the rules
of the Kaggle competition "VinBigData Chest X-ray Abnormalities Detection". Text and images never leave the machine.

Files below ``root`` (tables may be gzipped):

- PhysioNet: ``annotations_train.csv`` and ``annotations_test.csv`` in ``annotations/`` or beside the images. Read:
  ``image_id``, ``rad_id`` or ``rad_ID`` (training part only), ``class_name``, ``x_min``, ``y_min``, ``x_max``,
  ``y_max``, in pixels of the DICOM film; a row with the class ``No finding`` has empty coordinates.
- PhysioNet, optional: ``image_labels_train.csv`` and ``image_labels_test.csv`` there: ``image_id`` and a column of 0
  and 1 per label (a row a reader in the training part). Read: the five diseases of the whole film, which have no box.
- Kaggle: ``train.csv`` instead, with the columns above and ``class_id``. Its test images have no labels.
- DICOM films ``train/<image_id>.dicom``, ``test/<image_id>.dicom``; or pictures made of them in ``train_png/``,
  ``train_jpg/``, ``train_jpeg/`` (the same for ``test``), with their ``image_sizes.csv``.
- ``image_resolutions_train.json``, ``image_resolutions_test.json``: optional, image id -> ``[rows, columns]``.

Boxes need the size of the DICOM film. It is taken from the conversion's table, else from the DICOM header, else from
``image_resolutions_*.json``; where there is none of them, from the picture, and counted: on reduced pictures the boxes
are then wrong. (A published preparation takes 1024 x 1024 for those, which is silently wrong.)

In the training part the boxes of one finding on one film are fused over readers, see :mod:`_fusion`; what falls below
``minimum_readers`` is counted and its finding absent. The test part is a consensus and stays as it is, unless
``fuse_consensus`` asks for what RadVLM did. ``test`` is the official test part; one film in ten of the official
training part is ``validation`` by a seeded hash. In the Kaggle form all are drawn by that hash: 70% train, 10%
validation, 20% test. **The dataset names no patients**, so each film counts as one of its own.

All findings of the form at hand were looked for, so those that nobody marked are absent. There are no reports; the
films are frontal, PA or AP unknown.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources._common import (
    FRACTIONS,
    check_split,
    find_table,
    read_json,
    read_rows,
    split_of_patient,
    unit_box,
)
from radvlm_course.sources._films import Films
from radvlm_course.sources._fusion import PAPER_THRESHOLD, fuse_boxes
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["DISEASES", "FINDINGS", "KAGGLE_CLASSES", "NAME", "read"]

NAME = "vindr_cxr"
WHERE = "get access at https://physionet.org/content/vindr-cxr/1.0.0/"
COLUMNS = ("image_id", "class_name", "x_min", "y_min", "x_max", "y_max")
SPELLINGS = {"rad_ID": "rad_id"}
NO_FINDING = "No finding"
TRAIN_FRACTIONS: Mapping[str, float] = {"train": 0.9, "validation": 0.1}
CONSENSUS = "consensus"  # stands for the reader in the test part

# The dataset's local findings -> the course's names.
FINDINGS: Mapping[str, str] = {
    "Aortic enlargement": "aortic enlargement",
    "Atelectasis": "atelectasis",
    "Calcification": "calcification",
    "Cardiomegaly": "cardiomegaly",
    "Clavicle fracture": "clavicle fracture",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Emphysema": "emphysema",
    "Enlarged PA": "enlarged pulmonary artery",
    "ILD": "interstitial lung disease",
    "Infiltration": "infiltration",
    "Lung Opacity": "lung opacity",
    "Lung cavity": "lung cavity",
    "Lung cyst": "lung cyst",
    "Mediastinal shift": "mediastinal shift",
    "Nodule/Mass": "nodule/mass",
    "Other lesion": "other lesion",
    "Pleural effusion": "pleural effusion",
    "Pleural thickening": "pleural thickening",
    "Pneumothorax": "pneumothorax",
    "Pulmonary fibrosis": "fibrosis",
    "Rib fracture": "rib fracture",
}
# The diseases of the whole film, from the label tables. "Other disease" and "Other diseases" both occur.
DISEASES: Mapping[str, str] = {
    "COPD": "chronic obstructive pulmonary disease",
    "Lung tumor": "lung tumor",
    "Pneumonia": "pneumonia",
    "Tuberculosis": "tuberculosis",
    "Other diseases": "other disease",
}
KAGGLE_CLASSES = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Consolidation",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Nodule/Mass",
    "Other lesion",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
)


# Finding -> (reader, corners in pixels, place in the table) of each row; image id -> these.
Marks = dict[str, dict[str, list[tuple[str, tuple[str, ...], str]]]]


@dataclass(frozen=True)
class _Part:
    """Which official part is read, how it is split, and how its boxes are fused."""

    name: str  # train or test: of the files' names
    kaggle: bool
    seed: int
    fractions: Mapping[str, float]
    threshold: float
    minimum_readers: int
    fuse_consensus: bool

    def split(self, image_id: str) -> str:
        return "test" if self.name == "test" else split_of_patient(image_id, self.seed, self.fractions)


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    seed: int = 0,
    fractions: Mapping[str, float] | None = None,
    threshold: float = PAPER_THRESHOLD,
    minimum_readers: int = 1,
    fuse_consensus: bool = False,
    check_images: bool = True,
) -> Iterator[Study]:
    """The studies of a split, in the order of the annotation table.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``; what belongs to no split is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        seed, fractions: of the split of the training part; ``{"train": 1.0}`` trains on all of it, as RadVLM does.
        threshold: of the fusion, an intersection over union from 0 to 1; RadVLM's is 0.1.
        minimum_readers: how many readers must have drawn a box for it to count; RadVLM asks for 1.
        fuse_consensus: fuse the boxes of the test part too, as RadVLM does.
        check_images: decode every image, which finds truncated ones (some 10 ms a picture, up to seconds a DICOM
            film). ``False`` opens no image that ``image_sizes.csv`` or ``image_resolutions_*.json`` lists.

    Returns:
        studies with boxes in unit coordinates and ``image_size`` of the DICOM film.

    Raises:
        SourceError: a table, a column or all images are missing, or an option makes no sense.
    """
    check_split(split)
    if not 0 <= threshold < 1 or minimum_readers < 1:
        found = f"threshold {threshold} and minimum_readers {minimum_readers}"
        raise SourceError(f"expected 0 <= threshold < 1 and minimum_readers >= 1, found {found}")
    folder, report = Path(root), ReadReport() if report is None else report
    table, kaggle = _annotation_table(folder, split)
    name = "test" if split == "test" and not kaggle else "train"
    shares = fractions or (FRACTIONS if kaggle else TRAIN_FRACTIONS)
    if not kaggle and shares.get("test"):
        raise SourceError(f"fractions: expected train and validation, since test is official, found {dict(shares)}")
    part = _Part(name, kaggle, seed, shares, threshold, minimum_readers, fuse_consensus)
    candidates = [*(folder / f"{name}_{kind}" for kind in ("png", "jpg", "jpeg")), folder / name]
    films = Films(candidates, report, check_images, _resolutions(folder, name, report))
    if not films:
        raise SourceError(f"expected DICOM films in {folder / name} or pictures in {name}_png/, found none; {WHERE}")
    marks = _marks(table, part, split, report)
    return _studies(marks, _diseases(folder, part, split, report), films, part, split, report)


def _annotation_table(folder: Path, split: str) -> tuple[Path, bool]:
    """The annotation table of a split, and whether it is Kaggle's."""
    official = [*folder.glob("annotations_t*.csv*"), *folder.glob("annotations/annotations_t*.csv*")]
    if not official and any((folder / name).is_file() for name in ("train.csv", "train.csv.gz")):
        return find_table(folder, ("train.csv",), WHERE), True
    table = f"annotations_{'test' if split == 'test' else 'train'}.csv"
    return find_table(folder, (f"annotations/{table}", table), WHERE), False


def _resolutions(folder: Path, part: str, report: ReadReport) -> dict[str, tuple[int, int]]:
    """Image id -> (width, height), from a table of ``[rows, columns]`` if there is one."""
    path = folder / f"image_resolutions_{part}.json"
    if not path.is_file():
        return {}
    content = read_json(path, WHERE)
    if not isinstance(content, dict):
        raise SourceError(f"{path}: expected image ids with [rows, columns], found a {type(content).__name__}; {WHERE}")
    sizes = {}
    for image_id, size in content.items():
        if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size):
            sizes[image_id] = (size[1], size[0])
        else:
            report.skip("resolution that is not [rows, columns]", f"{path.name} ({image_id})")
    return sizes


def _skip_row(report: ReadReport, part: _Part, split: str, reason: str, place: str) -> None:
    """Counted once over the splits that read the same table."""
    if split == part.name:
        report.skip(reason, place)


def _marks(table: Path, part: _Part, split: str, report: ReadReport) -> Marks:
    """What was marked on the films of one split; a film without findings has an entry without marks."""
    marks: Marks = {}
    readers = ("rad_id",) if part.name == "train" else ()

    def damaged(place: str) -> None:
        _skip_row(report, part, split, "row with too few cells", place)

    for place, row in read_rows(table, (*COLUMNS, *readers), WHERE, damaged, spellings=SPELLINGS):
        image_id, label = row["image_id"], row["class_name"]
        place = f"{place} ({image_id})"
        if not image_id:
            _skip_row(report, part, split, "row without image_id", place)
            continue
        if part.split(image_id) != split:
            continue
        found = marks.setdefault(image_id, {})
        if label == NO_FINDING:
            continue
        if label not in FINDINGS:
            report.skip(f"box of an unknown finding {label!r}", place)
            continue
        corners = tuple(row[column] for column in COLUMNS[2:])
        found.setdefault(FINDINGS[label], []).append((row.get("rad_id", CONSENSUS), corners, place))
    return marks


def _diseases(folder: Path, part: _Part, split: str, report: ReadReport) -> dict[str, dict[str, int]]:
    """Image id -> disease -> 1 or 0 from the label table, if there is one; by as many readers as a box needs."""
    table = f"image_labels_{part.name}.csv"
    path = next((folder / place for place in (f"annotations/{table}", table) if (folder / place).is_file()), None)
    if path is None:
        return {}
    votes: dict[str, Counter[str]] = {}

    def damaged(place: str) -> None:
        _skip_row(report, part, split, "row with too few cells", place)

    columns = ("image_id", *DISEASES)
    for place, row in read_rows(path, columns, WHERE, damaged, spellings={"Other disease": "Other diseases"}):
        if part.split(row["image_id"]) != split:
            continue
        if unknown := [label for label in DISEASES if row[label] not in ("0", "1", "0.0", "1.0")]:
            report.skip("row with a label that is not 0 or 1", f"{place} ({row['image_id']}): {', '.join(unknown)}")
            continue
        voted = votes.setdefault(row["image_id"], Counter())
        voted.update({name: int(float(row[label])) for label, name in DISEASES.items()})
    needed = part.minimum_readers if part.name == "train" else 1
    return {image: {name: int(count >= needed) for name, count in voted.items()} for image, voted in votes.items()}


def _studies(
    marks: Marks, diseases: dict[str, dict[str, int]], films: Films, part: _Part, split: str, report: ReadReport
) -> Iterator[Study]:
    looked_for = [FINDINGS[label] for label in (KAGGLE_CLASSES if part.kaggle else FINDINGS)]
    for image_id, found in marks.items():
        film = films.find(image_id)
        if film is None:
            continue
        if film.size_is_of_picture and found:
            report.note("picture without its original size, in whose pixels its boxes are", image_id)
        findings = dict.fromkeys(looked_for, 0) | diseases.get(image_id, {})
        abnormalities = {}
        for name, rows in found.items():
            boxes, present = _boxes(name, rows, film.size, part, report)
            findings[name] = int(present)
            if boxes:
                abnormalities[name] = boxes
        report.read += 1
        yield Study(str(film.path), film.size, image_id, image_id, NAME, split, "", "", findings, {}, abnormalities)
    for image_id in films.stems():
        if image_id not in marks and part.split(image_id) == split:
            report.skip("image file that the annotation table does not list", films.place(image_id))
    report.warn(f"{NAME}, {split}")


def _boxes(
    name: str,
    rows: list[tuple[str, tuple[str, ...], str]],
    size: tuple[int, int],
    part: _Part,
    report: ReadReport,
) -> tuple[tuple[Box, ...], bool]:
    """The boxes of one finding on one film, and whether it counts as present.

    A finding whose boxes are all unusable is present without boxes; one that too few readers agree on is absent.
    """
    usable = [(reader, unit_box(corners, size, report, place)) for reader, corners, place in rows]
    boxes = [(reader, box) for reader, box in usable if box is not None]
    if part.name == "test" and not part.fuse_consensus:
        return tuple(sorted(box for _, box in boxes)), True
    needed = part.minimum_readers if part.name == "train" else 1
    fused = fuse_boxes(boxes, part.threshold)
    agreed = tuple(box for box, readers in fused if readers >= needed)
    for _ in range(len(fused) - len(agreed)):
        report.note(f"box of fewer than {needed} readers left out", f"{rows[0][2]}: {name}")
    return agreed, bool(agreed) or (not boxes and len({reader for reader, _, _ in rows}) >= needed)
