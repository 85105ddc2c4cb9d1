"""TBX11K: 11,200 films from a tuberculosis screening, boxes of active and latent tuberculosis on some 1,200 of them.

Citation: Y. Liu, Y.-H. Wu, Y. Ban, H. Wang, M.-M. Cheng, "Rethinking Computer-Aided Tuberculosis Diagnosis", CVPR
2020; Y. Liu et al., "Revisiting Computer-Aided Tuberculosis Diagnosis", IEEE TPAMI 2023.
Licence and access: CC BY-NC-SA 2.0; open, https://mmcheng.net/tb (Google Drive or Baidu).

Files below ``root``, the folder ``TBX11K``:

- ``annotations/json/TBX11K_train.json`` and ``annotations/json/TBX11K_val.json``, in COCO's form. Read: ``categories``
  (``id``, ``name``), ``images`` (``id``, ``file_name`` below ``imgs/``, ``width``, ``height``), ``annotations``
  (``image_id``, ``category_id``, ``bbox``: top left corner and size in pixels).
- 512 x 512 PNG films ``imgs/health/``, ``imgs/sick/``, ``imgs/tb/``. The folder of a film says what it shows.

The labels of the official test films are kept by the organisers, so the official ``val`` is ``test`` here, and one film
in ten of the official ``train`` is ``validation`` by a seeded hash. The dataset names no patients: each film counts as
one of its own. Left out: ``imgs/test/`` and ``imgs/extra/`` (films of four older datasets), the XML form.

Both kinds of tuberculosis were looked for on every film, so what is not boxed is absent. **Films in ``sick/`` are
abnormal, though not by tuberculosis**: they have "other abnormality" (1), healthy ones 0. A film in ``tb/`` without a
box (``tb1199.png`` is known) and the category ``PulmonaryTuberculosis`` are tuberculosis of unknown kind. There are no
reports, and no views.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.sources._common import (
    OTHER_ABNORMALITY,
    ImageError,
    check_split,
    find_table,
    image_size,
    read_json,
    split_of_patient,
    unit_box,
)
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["FINDINGS", "NAME", "read"]

NAME = "tbx11k"
WHERE = "download it from https://mmcheng.net/tb"
KEYS = ("categories", "images", "annotations")
TRAIN_FRACTIONS: Mapping[str, float] = {"train": 0.9, "validation": 0.1}
UNKNOWN_KIND = "tuberculosis"

# The dataset's categories -> the course's names.
FINDINGS: Mapping[str, str] = {
    "ActiveTuberculosis": "active tuberculosis",
    "ObsoletePulmonaryTuberculosis": "latent tuberculosis",
    "PulmonaryTuberculosis": UNKNOWN_KIND,
}
# Folder -> whether its films are abnormal in another way; unknown of films with tuberculosis.
FOLDERS: Mapping[str, int | None] = {"health": 0, "sick": 1, "tb": None}


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    seed: int = 0,
    check_images: bool = True,
) -> Iterator[Study]:
    """The studies of a split, in the order of the JSON file.

    Args:
        root: the folder of the dataset.
        split: ``train``, ``validation`` or ``test``; what belongs to no split is counted with ``train``.
        report: receives the counts of what was left out; they are also given as one warning at the end.
        seed: of the split of the official train part into train and validation.
        check_images: decode every image, which finds truncated and missing ones. ``False`` opens none: the JSON file
            gives their sizes.

    Returns:
        studies with boxes in unit coordinates and ``image_size`` as the JSON file gives it.

    Raises:
        SourceError: the JSON file, a key or the folder of images is missing.
    """
    check_split(split)
    folder, report = Path(root), ReadReport() if report is None else report
    part = "val" if split == "test" else "train"
    content = _content(find_table(folder, (f"annotations/json/TBX11K_{part}.json",), WHERE))
    if check_images and not (folder / "imgs").is_dir():
        raise SourceError(f"expected images in {folder / 'imgs'}, found no such folder; {WHERE}")
    return _studies(content, folder / "imgs", split, seed, check_images, report)


def _content(path: Path) -> dict[str, list[Any]]:
    content = read_json(path, WHERE)
    keys = content if isinstance(content, dict) else {}
    if missing := [key for key in KEYS if not isinstance(keys.get(key), list)]:
        found = ", ".join(sorted(keys)) or f"a {type(content).__name__}"
        raise SourceError(f"{path}: expected lists under {', '.join(map(repr, missing))}, found {found}; {WHERE}")
    if not content["images"]:
        raise SourceError(f"{path}: expected images, found an empty list; {WHERE}")
    return {key: content[key] for key in KEYS}


def _studies(
    content: dict[str, list[Any]], folder: Path, split: str, seed: int, check_images: bool, report: ReadReport
) -> Iterator[Study]:
    labels = {str(_get(entry, "id")): str(_get(entry, "name")) for entry in content["categories"]}
    annotations: dict[str, list[Any]] = {}
    for annotation in content["annotations"]:
        annotations.setdefault(str(_get(annotation, "image_id")), []).append(annotation)
    seen: set[str] = set()
    for number, image in enumerate(content["images"]):
        name, image_id = _get(image, "file_name"), str(_get(image, "id"))
        stem = Path(name).stem if isinstance(name, str) else ""
        is_second = stem in seen or image_id in seen
        seen |= {stem, image_id} - {"None"}
        if split != "test" and split_of_patient(stem, seed, TRAIN_FRACTIONS) != split:
            continue
        if problem := _problem_of_image(image, is_second):
            report.skip(problem, f"image {number}: {name}")
            continue
        size = (image["width"], image["height"])
        if check_images and not _is_readable(folder / name, size, report):
            continue
        findings, abnormalities = _findings(name, size, annotations.get(image_id, []), labels, report)
        report.read += 1
        yield Study(str(folder / name), size, stem, stem, NAME, split, "", "", findings, {}, abnormalities)
    for image_id, group in annotations.items():
        if image_id not in seen and split != "validation":
            for _ in group:
                report.skip("box of an image that is not listed", f"image_id {image_id}")
    report.warn(f"{NAME}, {split}")


def _get(entry: Any, key: str) -> Any:
    return entry.get(key) if isinstance(entry, dict) else None


def _problem_of_image(image: Any, is_second: bool) -> str:
    """Why an entry cannot be used; empty if it can."""
    name = _get(image, "file_name")
    if not isinstance(name, str) or not name or image.get("id") is None:
        return "image without file_name or id"
    if any(not isinstance(image.get(side), int) or image[side] <= 0 for side in ("width", "height")):
        return "image without width and height in pixels"
    if Path(name).parent.name not in FOLDERS:
        return "image in none of the folders health, sick and tb"
    return "second entry of an image, or of its id" if is_second else ""


def _is_readable(path: Path, size: tuple[int, int], report: ReadReport) -> bool:
    if not path.is_file():
        report.skip("image file not found", str(path))
        return False
    try:
        found = image_size(path)
    except ImageError as error:
        report.skip("image file that cannot be decoded", str(error))
        return False
    if found != size:
        report.note("image of another size than listed", f"{path}: {found} instead of {size}")
    return True


def _findings(
    name: str, size: tuple[int, int], annotations: list[Any], labels: Mapping[str, str], report: ReadReport
) -> tuple[dict[str, int], dict[str, tuple[Box, ...]]]:
    """(finding -> 1 or 0, finding -> boxes) of one film."""
    kind = Path(name).parent.name
    boxes: dict[str, list[Box]] = {}
    present: set[str] = set()
    for annotation in annotations:
        label = labels.get(str(annotation.get("category_id")), "")
        if label not in FINDINGS:
            report.skip(f"box of an unknown category {label!r}", name)
            continue
        present.add(FINDINGS[label])
        box = _box(annotation.get("bbox"), size, report, name)
        if box is not None:
            boxes.setdefault(FINDINGS[label], []).append(box)
    if present and kind != "tb":
        report.note(f"film in {kind}/ with a box of tuberculosis, taken as present", name)
    if kind == "tb" and not present:
        report.note("film in tb/ without a box, taken as tuberculosis of unknown kind", name)
        present.add(UNKNOWN_KIND)
    findings = {finding: int(finding in present) for finding in FINDINGS.values()}
    if UNKNOWN_KIND in present:  # of either kind
        findings = {finding: value for finding, value in findings.items() if value}
    other = FOLDERS[kind]
    if other is not None:
        findings[OTHER_ABNORMALITY] = other
    return findings, {finding: tuple(group) for finding, group in boxes.items()}


def _box(corner_and_size: Any, size: tuple[int, int], report: ReadReport, place: str) -> Box | None:
    try:
        x, y, width, height = (float(value) for value in corner_and_size)
    except (TypeError, ValueError, OverflowError):
        report.skip("box that is not four numbers", place)
        return None
    return unit_box((x, y, x + width, y + height), size, report, place)
