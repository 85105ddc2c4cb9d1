"""What every reader of a dataset shares: tables, image checks, boxes, and splits by patient.

Whatever these functions leave out or change, they count in the reader's ``ReadReport``.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import math
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from radvlm_course.boxes import Box, BoxError
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = [
    "FRACTIONS",
    "OTHER_ABNORMALITY",
    "SPLITS",
    "ImageError",
    "ReadReport",
    "SourceError",
    "check_split",
    "checked_size",
    "find_images",
    "find_table",
    "hash_fraction",
    "image_size",
    "nih_patient",
    "read_image",
    "read_json",
    "read_rows",
    "split_of_patient",
    "unit_box",
]

SPLITS = ("train", "validation", "test")
FRACTIONS: Mapping[str, float] = {"train": 0.7, "validation": 0.1, "test": 0.2}
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# The finding of a film that is abnormal in a way that its dataset does not name; without it the film would be taught
# as a normal one.
OTHER_ABNORMALITY = "other abnormality"


class ImageError(ValueError):
    """An image file that cannot be decoded."""


def check_split(split: str) -> None:
    """Refuse a split that does not exist."""
    if split not in SPLITS:
        raise SourceError(f"split: expected {', '.join(SPLITS)}; found {split!r}")


def hash_fraction(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts only: the same on any machine, in any process."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def split_of_patient(patient_id: str, seed: int = 0, fractions: Mapping[str, float] = FRACTIONS) -> str:
    """The split of a patient, drawn by a seeded hash of the patient's identifier.

    All films of a patient fall into one split, and adding patients moves nobody.

    Args:
        fractions: split -> expected fraction of the patients; they must sum to 1.
    """
    if set(fractions) - set(SPLITS) or not math.isclose(sum(fractions.values()), 1.0, abs_tol=1e-9):
        raise SourceError(f"fractions: expected shares of {', '.join(SPLITS)} that sum to 1, found {dict(fractions)}")
    position = hash_fraction("split", seed, patient_id)
    present = [split for split in SPLITS if fractions.get(split, 0.0) > 0]
    for split in present:
        position -= fractions[split]
        if position < 0:
            return split
    return present[-1]


def find_table(root: Path, names: Sequence[str], where_to_get: str) -> Path:
    """The first of the named tables that exists below ``root``, plain or gzipped.

    Raises:
        SourceError: none exists; lists what the folder holds instead.
    """
    for name in names:
        for candidate in (root / name, root / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    if not root.is_dir():
        raise SourceError(f"expected a folder at {root}, found none; {where_to_get}")
    found = ", ".join(sorted(entry.name for entry in root.iterdir())[:12]) or "nothing"
    raise SourceError(f"expected {' or '.join(names)} (or .gz) in {root}, found {found}; {where_to_get}")


def read_rows(
    path: Path,
    columns: Sequence[str],
    where_to_get: str,
    damaged: Callable[[str], None],
    optional: Sequence[str] = (),
    spellings: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, dict[str, str]]]:
    """The named columns of a CSV file, plain or gzipped, row by row.

    Rows are read by position, since some headers have more cells than their rows: NIH writes
    ``Bbox [x,y,w,h],,,``, which a CSV reader sees as ``Bbox [x``, ``y``, ``w``, ``h]`` and three empty names.

    Args:
        damaged: called with the place of each row that has too few cells; the row is left out.
        optional: columns that need not be there; their cells are then empty.
        spellings: another spelling of a column -> the name used here.

    Yields:
        (place, column -> cell without surrounding spaces), place being ``file, line N``.

    Raises:
        SourceError: the file is empty, lacks a column, or is not a readable text file.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    name = path.name
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [(spellings or {}).get(cell.strip(), cell.strip()) for cell in next(reader, [])]
            if missing := [column for column in columns if column not in header]:
                raise SourceError(
                    f"{path}: expected the column {', '.join(map(repr, missing))}, "
                    f"found {', '.join(map(repr, header)) or 'an empty file'}; {where_to_get}"
                )
            names = [column for column in (*columns, *optional) if column in header]
            absent = dict.fromkeys(set(optional) - set(names), "")
            indices = [header.index(column) for column in names]
            last = max(indices)
            for row in reader:
                place = f"{name}, line {reader.line_num}"
                if len(row) > last:
                    cells = [row[index].strip() for index in indices]
                    if any(cells) or any(map(str.strip, row)):
                        yield place, absent | dict(zip(names, cells, strict=True))
                elif any(map(str.strip, row)):
                    damaged(place)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"{path}: expected a readable CSV file, found a damaged one ({error}); {where_to_get}"
        ) from error


def read_json(path: Path, where_to_get: str) -> Any:
    """The content of a JSON file, plain or gzipped.

    Raises:
        SourceError: the file is not JSON.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return json.load(file)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: expected a JSON file, found a damaged one ({error}); {where_to_get}") from error


def find_images(folders: Iterable[Path], suffixes: Sequence[str] = IMAGE_SUFFIXES) -> dict[str, list[Path]]:
    """The image files directly in the given folders, by name without extension."""
    images: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in suffixes:
                images.setdefault(path.stem, []).append(path)
    return images


def image_size(path: Path, decode: bool = True) -> tuple[int, int]:
    """(width, height) in pixels of an image that can be read.

    Args:
        decode: read every pixel, which finds truncated files (some 10 ms for a film of 1024 x 1024);
            without it only the header is read.

    Raises:
        ImageError: the file is truncated, damaged or no image.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if decode:
                image.load()
            return image.size
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise ImageError(f"{path}: {error}") from error


def read_image(
    name: str, images: Mapping[str, Sequence[Path]], decode: bool, report: ReadReport
) -> tuple[Path, tuple[int, int]] | None:
    """(path, (width, height)) of an image by its listed name, or else by its stem with another extension.

    Args:
        images: from :func:`find_images`.
        report: counts images that are missing, cannot be decoded (then ``None``) or have another extension.
    """
    candidates = images.get(Path(name).stem, [])
    if not candidates:
        report.skip("image file not found", name)
        return None
    path = next((candidate for candidate in candidates if candidate.name == name), candidates[0])
    try:
        size = image_size(path, decode)
    except ImageError as error:
        report.skip("image file that cannot be decoded", str(error))
        return None
    if path.name != name:
        report.note(f"image listed as {Path(name).suffix} found as {path.suffix}", name)
    if len(candidates) > 1:
        report.note("image with several files, one taken", str(path))
    return path, size


def checked_size(
    path: str, known: tuple[int, int] | None, check_images: bool, report: ReadReport
) -> tuple[int, int] | None:
    """(width, height) of the original image, or ``None`` if the film cannot be used.

    Args:
        known: the size that a table gives, if any. Without ``check_images`` it is enough: the file is not looked for.
        check_images: decode the file.
        report: counts films that are missing or cannot be decoded, and those of another size than the table says.
    """
    if known is not None and not check_images:
        return known
    try:
        found = image_size(Path(path), decode=check_images)
    except ImageError as error:
        missing = not os.path.exists(path)
        report.skip("image file not found" if missing else "image file that cannot be decoded", str(error))
        return None
    if known is not None and found != known:
        report.note("image file of another size than the original", path)
    return known or found


def unit_box(corners: Sequence[Any], size: tuple[int, int], report: ReadReport, place: str) -> Box | None:
    """A box in unit coordinates from pixel corners, cut to the image; ``None`` if nothing usable remains.

    Args:
        corners: x1, y1, x2, y2 in pixels of an image of ``size`` = (width, height), numbers or their text.
        report: counts boxes that were cut or left out.
    """
    try:
        x1, y1, x2, y2 = (float(value) for value in corners)
    except (TypeError, ValueError, OverflowError):
        report.skip("box that is not four numbers", place)
        return None
    if not all(math.isfinite(value) for value in (x1, y1, x2, y2)):
        report.skip("box that is not four numbers", place)
        return None
    if x1 >= x2 or y1 >= y2:
        report.skip("box with x2 <= x1 or y2 <= y1", place)
        return None
    width, height = size
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        report.skip("box wholly outside the image", place)
        return None
    if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
        report.note("box partly outside the image, cut to it", place)
    try:
        return Box.clipped(x1 / width, y1 / height, x2 / width, y2 / height)
    except BoxError:  # sides of less than any float can tell apart
        report.skip("box with x2 <= x1 or y2 <= y1", place)
        return None


_NIH_NAME = re.compile(r"(\d{8})_\d{3}")


def nih_patient(name: str) -> str | None:
    """The patient in an NIH image name such as ``00000181_061.png``; ``None`` if it is named otherwise."""
    match = _NIH_NAME.fullmatch(Path(name).stem)
    return match.group(1) if match else None
