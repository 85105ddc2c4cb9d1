"""Chest ImaGenome 1.0.0: boxes of 29 anatomical regions on 242,072 frontal films of MIMIC-CXR.

Citation: J. T. Wu, N. N. Agu, I. Lourentzou, et al., "Chest ImaGenome Dataset for Clinical Reasoning", NeurIPS Datasets
and Benchmarks 2021, arXiv 2108.00316.
Licence and access: PhysioNet Credentialed Health Data License 1.5.0; become a credentialed user, sign the data use
agreement, download https://physionet.org/content/chest-imagenome/. The images are those of MIMIC-CXR-JPG.

Files below ``root``:

- ``silver_dataset/splits/train.csv``, ``valid.csv``, ``test.csv``: one row an image. Read: ``subject_id``,
  ``study_id``, ``dicom_id`` and, where it exists, ``ViewPosition``.
- ``silver_dataset/splits/images_to_avoid.csv``: the films of the patients of the gold standard, ``dicom_id``.
- ``silver_dataset/scene_graph/<dicom_id>_SceneGraph.json``, unpacked or in ``scene_graph.zip`` as delivered. Read: of
  ``objects`` the ``bbox_name`` and ``original_x1``, ``original_y1``, ``original_x2``, ``original_y2``, in pixels of the
  original image (the fields without ``original_`` are of a padded image of 224 x 224 pixels).

Below ``mimic_root``: ``mimic-cxr-2.0.0-metadata.csv`` for the size of the original image, the images, and
``mimic-cxr-2.0.0-split.csv`` if ``mimic_split`` is used. All tables may be gzipped.

The splits are the dataset's own, by patient; ``valid`` is ``validation`` here. **The leak**: this split and that of
MIMIC-CXR were drawn apart. Most test films here stand in the train split of MIMIC-CXR, and some train films here in
its test split: a model that learns reports on the one and is tested on regions of the other has seen the films. Films,
patients and studies are named as in ``mimic_cxr`` and ``ms_cxr`` (see ``_mimic``), so that a mixture can tell; or
``mimic_split="same"`` keeps only films that both put into one split. The paper's training code always asked for
MIMIC-CXR's train split, whatever split was wanted: ``mimic_split="train"``.

The boxes were found by a detector: some are empty or lie outside the image, some regions and whole scene graphs are
missing; all that is counted. A record is one film, its structures are the regions. Left out: attributes of regions,
relations to earlier films, the gold standard.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources import _mimic
from radvlm_course.sources._archive import FolderOrZip
from radvlm_course.sources._common import SPLITS, check_split, checked_size, find_table, read_rows, unit_box
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["NAME", "REGIONS", "read"]

NAME = "chest_imagenome"
WHERE = "download it from https://physionet.org/content/chest-imagenome/ (credentialed access)"
SILVER = "silver_dataset"
TABLES: Mapping[str, str] = {"train": "train.csv", "validation": "valid.csv", "test": "test.csv"}
COLUMNS = ("subject_id", "study_id", "dicom_id")
CORNERS = ("original_x1", "original_y1", "original_x2", "original_y2")
_SIDED = (
    "lung",
    "upper lung zone",
    "mid lung zone",
    "lower lung zone",
    "hilar structures",
    "apical zone",
    "costophrenic angle",
    "hemidiaphragm",
    "clavicle",
)
REGIONS = (
    *(f"{side} {name}" for side in ("right", "left") for name in _SIDED),
    "trachea",
    "spine",
    "aortic arch",
    "mediastinum",
    "upper mediastinum",
    "svc",
    "cardiac silhouette",
    "cavoatrial junction",
    "right atrium",
    "carina",
    "abdomen",
)


@dataclass(frozen=True)
class _Row:
    """A usable row of a split table."""

    dicom_id: str
    subject_id: str
    study_id: str
    view: str
    place: str


@dataclass(frozen=True)
class _Options:
    mimic_root: Path
    image_suffix: str
    check_images: bool


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    mimic_root: str | os.PathLike[str] | None = None,
    mimic_split: Literal["any", "same", "train"] = "any",
    avoid_gold: bool = True,
    image_suffix: str = ".jpg",
    check_images: bool = True,
) -> Iterator[Study]:
    """The films of a split, in the order of its table.

    Args:
        root: the folder of the dataset, with ``silver_dataset/`` in it.
        split: ``train``, ``validation`` or ``test``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        mimic_root: the folder of MIMIC-CXR-JPG; if not given, ``root``.
        mimic_split: only films that MIMIC-CXR puts into the ``same`` split, into ``train``, or into ``any``.
        avoid_gold: leave the films of the gold standard's patients out of train and validation, as the dataset advises.
        image_suffix: of the image files, for films that were converted from DICOM.
        check_images: decode every image, which finds missing and truncated ones. ``False`` opens no image whose size
            the metadata gives: the paths may point to nothing.

    Returns:
        studies with region -> its box in unit coordinates of the original image, whatever the size of the file.

    Raises:
        SourceError: a table, a column or all scene graphs are missing, or a patient is in two splits.
    """
    check_split(split)
    if mimic_split not in ("any", "same", "train"):
        raise SourceError(f"mimic_split: expected any, same or train; found {mimic_split!r}")
    folder, report = Path(root), ReadReport() if report is None else report
    options = _Options(folder if mimic_root is None else Path(mimic_root), image_suffix, check_images)
    _check_patients(folder)
    graphs = FolderOrZip(folder / SILVER, "scene_graph", "scene_graph.zip", "*_SceneGraph.json", WHERE)
    avoided = _avoided(folder) if avoid_gold and split != "test" else frozenset()
    rows = {row.dicom_id: row for row in _rows(folder, split, avoided, report)}
    if mimic_split != "any":
        wanted = split if mimic_split == "same" else "train"
        rows = _within(rows, _mimic.read_split_table(options.mimic_root, _nowhere), wanted, report)
    metadata = _mimic.read_metadata(options.mimic_root, _nowhere)
    sizes = {film.dicom_id: film.size for film in metadata if film.dicom_id in rows}
    return _studies(rows, sizes, graphs, split, options, report)


def _nowhere(reason: str, place: str) -> None:
    """Bad rows of MIMIC-CXR's tables are counted by its own reader; here the film is missed, and counted as that."""


def _table(folder: Path, name: str) -> Path:
    return find_table(folder, (f"{SILVER}/splits/{name}",), WHERE)


def _check_patients(folder: Path) -> None:
    """Refuse split tables that share a patient."""
    split_of: dict[str, str] = {}
    for split in SPLITS:
        path = _table(folder, TABLES[split])
        for _, row in read_rows(path, COLUMNS, WHERE, lambda place: None):  # counted when the table is read
            subject = row["subject_id"]
            if split_of.setdefault(subject, split) != split:
                raise SourceError(
                    f"{path}: expected every patient in one split, found {subject} in {split_of[subject]} and {split}"
                )


def _avoided(folder: Path) -> frozenset[str]:
    path = _table(folder, "images_to_avoid.csv")
    return frozenset(row["dicom_id"] for _, row in read_rows(path, ("dicom_id",), WHERE, lambda place: None))


def _rows(folder: Path, split: str, avoided: frozenset[str], report: ReadReport) -> Iterator[_Row]:
    seen: set[str] = set()
    short = "row with too few cells"
    path = _table(folder, TABLES[split])
    for place, row in read_rows(path, COLUMNS, WHERE, lambda place: report.skip(short, place), ("ViewPosition",)):
        ids = (row["dicom_id"], row["subject_id"], row["study_id"])
        if not _mimic.well_named(*ids):
            report.skip("row whose identifiers are not as MIMIC-CXR writes them", place)
        elif ids[0] in seen:
            report.skip("second row of an image", place)
        elif ids[0] in avoided:
            report.skip("image of a patient of the gold standard, left out by avoid_gold", place)
        else:
            yield _Row(*ids, row.get("ViewPosition", ""), place)
        seen.add(ids[0])


def _within(rows: Mapping[str, _Row], table: _mimic.SplitTable, wanted: str, report: ReadReport) -> dict[str, _Row]:
    """The rows whose film MIMIC-CXR puts into the wanted split."""
    kept: dict[str, _Row] = {}
    for dicom, row in rows.items():
        found = table.of_image.get(dicom)
        if found == wanted:
            kept[dicom] = row
        elif found is None:
            report.skip("image that MIMIC-CXR's split table does not list, left out by mimic_split", row.place)
        else:
            report.skip(f"image in {found} of MIMIC-CXR, left out by mimic_split", row.place)
    return kept


def _studies(
    rows: Mapping[str, _Row],
    sizes: Mapping[str, tuple[int, int] | None],
    graphs: FolderOrZip,
    split: str,
    options: _Options,
    report: ReadReport,
) -> Iterator[Study]:
    for dicom, row in rows.items():
        place = f"{row.place} ({dicom})"
        size = sizes.get(dicom)
        if size is None:
            report.skip("image whose original size MIMIC-CXR's metadata does not give", place)
            continue
        graph = _graph(graphs, dicom, report, place)
        if graph is None:
            continue
        ids = (dicom, row.subject_id, row.study_id)
        path = _mimic.image_path(str(options.mimic_root), *ids, options.image_suffix)
        if checked_size(path, size, options.check_images, report) is None:
            continue
        structures = _regions(graph["objects"], size, report, dicom)
        if len(structures) < len(REGIONS):
            report.note(f"scene graph with fewer than {len(REGIONS)} usable regions", dicom)
        view = _mimic.view_name(row.view or str(graph.get("viewpoint", "")))
        record = _mimic.record_id(row.study_id, dicom)
        report.read += 1
        yield Study(path, size, row.subject_id, record, NAME, split, view, structures=structures)
    report.warn(f"{NAME}, {split}")


def _graph(graphs: FolderOrZip, dicom: str, report: ReadReport, place: str) -> dict[str, Any] | None:
    """The scene graph of a film; ``None`` if it has none that can be read."""
    try:
        content = graphs.read(f"scene_graph/{dicom}_SceneGraph.json")
        graph = None if content is None else json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        report.skip("scene graph that cannot be read", f"{place}: {error!r:.100}")
        return None
    if content is None:
        report.skip("image without a scene graph", place)
        return None
    if not isinstance(graph, dict) or not isinstance(graph.get("objects"), list):
        report.skip("scene graph without objects", place)
        return None
    return graph


def _regions(objects: list[Any], size: tuple[int, int], report: ReadReport, dicom: str) -> dict[str, tuple[Box, ...]]:
    """Region -> its box."""
    found: dict[str, tuple[Box, ...]] = {}
    for number, item in enumerate(objects):
        place = f"{dicom}, object {number}"
        name = item.get("bbox_name") if isinstance(item, dict) else None
        if name not in REGIONS:
            report.skip("object that is none of the 29 regions", f"{place}: {name!r:.40}")
            continue
        if name in found:
            report.skip("second box of a region", f"{place}: {name}")
            continue
        box = unit_box([item.get(corner) for corner in CORNERS], size, report, f"{place}: {name}")
        if box is not None:
            found[name] = (box,)
    return found
