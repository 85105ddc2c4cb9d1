"""The films of a dataset that may come as DICOM: which file to load, and how large the film was.

A picture that ``data_scripts/dicom_to_image.py`` made stands for its DICOM film. Boxes are given in pixels of the
film, so its size comes from the conversion's table or from the DICOM header, never from a reduced picture where that
can be helped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.dicom import DICOM_SUFFIXES, DicomError, read_film, read_header
from radvlm_course.dicom_conversion import SIZES_COLUMNS, SIZES_TABLE
from radvlm_course.sources._common import (
    IMAGE_SUFFIXES,
    ImageError,
    ReadReport,
    find_images,
    image_size,
    read_rows,
)

__all__ = ["Film", "Films"]

Size = tuple[int, int]  # (width, height) in pixels
CONVERT = "convert the DICOM folder with data_scripts/dicom_to_image.py"
_SUFFIXES = (*IMAGE_SUFFIXES, *DICOM_SUFFIXES)


@dataclass(frozen=True)
class Film:
    """A film that can be loaded.

    Attributes:
        path: the picture, or the DICOM file if there is none.
        size: (width, height) in pixels of the film as it was taken.
        view: ``PA``, ``AP``, ``lateral`` or empty if unknown.
        size_is_of_picture: the original size is known from nowhere, so that of the picture is given.
    """

    path: Path
    size: Size
    view: str = ""
    size_is_of_picture: bool = False


class Films:
    """The films in some folders.

    Args:
        folders: searched in this order; those that do not exist are passed over. Pictures first, then DICOM.
        report: counts what is missing, cannot be decoded, or is listed under another extension.
        check_images: decode every file, which finds truncated ones (some 10 ms a picture, up to seconds a DICOM
            film). Without it, a film whose size a table gives is not looked at, and of others only the header is read.
        known: name without extension -> original size, from a table of the dataset, for films that no conversion lists.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        report: ReadReport,
        check_images: bool,
        known: Mapping[str, Size] | None = None,
    ) -> None:
        present = [folder for folder in folders if folder.is_dir()]
        self._files = find_images(present, _SUFFIXES)
        self._report, self._check = report, check_images
        self._known = known or {}
        self._converted: dict[str, Film] = {}
        for folder in reversed(present):
            self._converted.update(_conversion_table(folder, report))

    def __bool__(self) -> bool:
        return bool(self._files) or (not self._check and bool(self._converted))

    def stems(self) -> list[str]:
        """Names without extension of the files that are there."""
        return list(self._files)

    def place(self, stem: str) -> str:
        """The path of a file that is there."""
        return str(self._files[stem][0])

    def find(self, name: str) -> Film | None:
        """A film by its listed name, with or without extension; ``None``, and counted, if it cannot be used."""
        has_extension = name not in self._files and Path(name).suffix.lower() in _SUFFIXES
        stem = Path(name).stem if has_extension else name
        files, converted = self._files.get(stem, []), self._converted.get(stem)
        if not files and converted is not None and not self._check:
            return converted
        if not files:
            self._report.skip("image file not found", name)
            return None
        path = next((file for file in files if file.name == name), files[0])
        try:
            film = self._film(path, files, stem)
        except (ImageError, DicomError) as error:
            self._report.skip("image file that cannot be decoded", str(error))
            return None
        if has_extension and path.suffix.lower() != Path(name).suffix.lower():
            self._report.note(f"image listed as {Path(name).suffix} found as {path.suffix}", name)
        if sum(not _is_dicom(file) for file in files) > 1:
            self._report.note("image with several files, one taken", str(path))
        return film

    def _film(self, path: Path, files: list[Path], stem: str) -> Film:
        if self._check:
            self._decode(path)
        if stem in self._converted:
            return Film(path, self._converted[stem].size, self._converted[stem].view)
        header = next((file for file in files if _is_dicom(file)), None)
        if header is not None and (self._check or stem not in self._known):
            return Film(path, *read_header(header))
        if stem in self._known:
            return Film(path, self._known[stem])
        return Film(path, image_size(path, decode=False), size_is_of_picture=True)

    def _decode(self, path: Path) -> None:
        if _is_dicom(path):
            for remark in read_film(path).remarks:
                self._report.note(remark, str(path))
        else:
            image_size(path)


def _is_dicom(path: Path) -> bool:
    return path.suffix.lower() in DICOM_SUFFIXES


def _conversion_table(folder: Path, report: ReadReport) -> dict[str, Film]:
    """Name without extension -> picture, by the conversion's table in a folder; nothing if there is no table."""
    path = folder / SIZES_TABLE
    films: dict[str, Film] = {}
    if not path.is_file():
        return films
    for place, row in read_rows(
        path, SIZES_COLUMNS[:5], CONVERT, lambda place: report.skip("row with too few cells", place)
    ):
        try:
            size = (int(row["width"]), int(row["height"]))
        except ValueError:
            size = (0, 0)
        if min(size) <= 0:
            report.skip("row without a size in pixels", f"{place} ({row['image']})")
            continue
        picture = Path(row["image"])
        films[picture.stem] = Film(folder / picture, size, row["view"])
    return films
