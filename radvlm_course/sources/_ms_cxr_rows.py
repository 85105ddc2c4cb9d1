"""The boxes of MS-CXR, one by one, from its CSV file or from its COCO file."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radvlm_course.sources._common import read_rows
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["WHERE", "BoxRow", "read_boxes"]

WHERE = "download it from https://physionet.org/content/ms-cxr/ (credentialed access)"
BOX_COLUMNS, SIZE_COLUMNS = ("x", "y", "w", "h"), ("image_width", "image_height")
COLUMNS = ("dicom_id", "category_name", "label_text", "path", *BOX_COLUMNS, *SIZE_COLUMNS)


@dataclass(frozen=True)
class BoxRow:
    """One box.

    Attributes:
        corner_and_size: x, y, width, height in pixels; ``None`` if they are not four finite numbers.
        image_size: (width, height) of the image in whose pixels the box is given; ``None`` if it is not two of them.
        split: as written, empty if the file has none.
    """

    path: str
    dicom_id: str
    category: str
    phrase: str
    corner_and_size: tuple[float, float, float, float] | None
    image_size: tuple[int, int] | None
    split: str
    place: str


def read_boxes(path: Path, needs_split: bool, counted: ReadReport) -> Iterator[BoxRow]:
    """The boxes of a ``.csv`` or ``.json`` file, plain or gzipped.

    Args:
        needs_split: a CSV file without the column ``split`` is an error.
        counted: counts rows that are none.

    Raises:
        SourceError: the file is damaged, or lacks a column or a key.
    """
    if path.name.removesuffix(".gz").endswith(".json"):
        return _json_boxes(path, _coco(path), counted)
    return _csv_boxes(path, needs_split, counted)


def _csv_boxes(path: Path, needs_split: bool, counted: ReadReport) -> Iterator[BoxRow]:
    columns = (*COLUMNS, "split") if needs_split else COLUMNS
    short = "row with too few cells"
    for place, row in read_rows(path, columns, WHERE, lambda place: counted.skip(short, place)):
        texts = (row["path"], row["dicom_id"], row["category_name"], row["label_text"])
        box, size = ([row[name] for name in names] for names in (BOX_COLUMNS, SIZE_COLUMNS))
        yield BoxRow(*texts, _four(box), _size(size), row.get("split", ""), place)


def _json_boxes(path: Path, content: Mapping[str, list[Any]], counted: ReadReport) -> Iterator[BoxRow]:
    images, categories = _by_id(content["images"]), _by_id(content["categories"])
    for number, item in enumerate(content["annotations"]):
        place = f"{path.name}, annotation {number}"
        image = _named(images, item, "image_id")
        category = _named(categories, item, "category_id")
        if image is None or category is None:
            counted.skip("annotation of an unknown image or category", place)
            continue
        film = str(image.get("path", ""))
        texts = (film, Path(film).stem, str(category.get("name", "")), str(item.get("label_text") or ""))
        size = [image.get("width"), image.get("height")]
        box = item.get("bbox") if isinstance(item.get("bbox"), list) else ()
        yield BoxRow(*texts, _four(box), _size(size), str(item.get("split", "")), place)


def _coco(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise SourceError(f"{path}: expected a JSON file, found a damaged one ({error}); {WHERE}") from error
    keys = ("images", "categories", "annotations")
    found = content if isinstance(content, dict) else {}
    if missing := [key for key in keys if not isinstance(found.get(key), list)]:
        there = ", ".join(map(str, found)) or type(content).__name__
        raise SourceError(f"{path}: expected lists under {', '.join(missing)}, found {there}; {WHERE}")
    return {key: found[key] for key in keys}


def _by_id(items: list[Any]) -> dict[int | str, dict[str, Any]]:
    return {item["id"]: item for item in items if isinstance(item, dict) and isinstance(item.get("id"), int | str)}


def _named(table: Mapping[int | str, dict[str, Any]], item: Any, key: str) -> dict[str, Any] | None:
    name = item.get(key) if isinstance(item, dict) else None
    return table.get(name) if isinstance(name, int | str) else None


def _four(values: Any) -> tuple[float, float, float, float] | None:
    try:
        x, y, width, height = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        return None
    return (x, y, width, height) if all(map(math.isfinite, (x, y, width, height))) else None


def _size(values: list[Any]) -> tuple[int, int] | None:
    try:
        width, height = (int(float(value)) for value in values)
    except (TypeError, ValueError, OverflowError):
        return None
    return (width, height) if min(width, height) > 0 else None
