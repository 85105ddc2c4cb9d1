"""DICOM radiographs as 8-bit pictures: what a viewing station does between the file and the screen.

The stored numbers of a DICOM film are not grey values. In the standard's order (PS3.3 C.11 and PS3.4 N.2) they pass
through the Modality LUT or the rescaling, then through the VOI LUT or a window that maps the interesting values to
the range of the screen, and a ``MONOCHROME1`` film is inverted, since its low numbers mean white. Leaving a step
out gives films that are washed out, black, or negatives of themselves.

Each step is pydicom's. Ours is the judgement that pydicom leaves to its caller: a window that does not fit the film
(a lateral film of LIDC-IDRI carries a lung window for CT, which turns it white) is recognised by what it does to the
histogram, and a window between percentiles takes its place. Every such change is a remark that callers count.

Left out on purpose: overlays, presentation states, burned-in text; of several frames the first is taken.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["DICOM_SUFFIXES", "DicomError", "DicomFilm", "read_film", "read_header"]

DICOM_SUFFIXES = (".dcm", ".dicom")
REPLACED = "window replaced by percentiles"  # how every remark about a nonsensical window begins
MOST_CLIPPED = 0.5  # share of the pixels that a window may turn to black or white
LEAST_SPREAD = 0.1  # share of the grey levels that the middle 98% of the pixels must span
PERCENTILES = (0.5, 99.5)  # of the window that replaces a nonsensical or missing one
_LATERAL = {"LL", "RL", "LAT", "LATERAL", "LLD", "RLD"}


class DicomError(ValueError):
    """A file that is no DICOM film or cannot be decoded: names it and says why."""


@dataclass(frozen=True)
class DicomFilm:
    """A film as it is to be looked at.

    Attributes:
        pixels: uint8 array of shape (height, width); air is dark.
        view: ``PA``, ``AP``, ``lateral`` or empty.
        remarks: what was not as the file says, or what it did not say.
    """

    pixels: np.ndarray
    view: str
    remarks: tuple[str, ...] = ()


def read_header(path: str | os.PathLike[str]) -> tuple[tuple[int, int], str]:
    """((width, height) in pixels, view) of a film, from its header alone (about 1 ms).

    Raises:
        DicomError: the file is missing or no DICOM image.
    """
    with _reading(path):
        dataset = _dataset(path, stop_before_pixels=True, specific_tags=["Rows", "Columns", "ViewPosition"])
        return _size(dataset), _view(dataset)


def read_film(path: str | os.PathLike[str]) -> DicomFilm:
    """A film as 8 bits, through its own window where that makes sense.

    Raises:
        DicomError: the file is missing, no DICOM image, has a header only, is truncated, or no decoder for its
            compression is installed.
    """
    with _reading(path):
        dataset = _dataset(path)
        _size(dataset)
        if "PixelData" not in dataset:
            raise DicomError("expected an image, found a header without pixels")
        remarks: list[str] = []
        stored = _single_grey_frame(dataset, remarks)
        return DicomFilm(_rendered(stored, dataset, remarks), _view(dataset), tuple(remarks))


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns whatever the bytes of a file provoke into a :class:`DicomError` that names the file."""
    try:
        import pydicom
    except ImportError as error:
        raise ImportError('reading DICOM needs pydicom: install the extra "data" of this package') from error
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")  # odd identifiers and dates say nothing about the picture
            yield
    except Exception as error:  # parsers of foreign bytes raise anything: struct.error, KeyError, TypeError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DicomError(f"{path}: {reason}") from error


def _dataset(path: str | os.PathLike[str], **options: Any) -> Dataset:
    """The data elements; a file without preamble and meta header gets the transfer syntax that it was read with."""
    from pydicom import dcmread
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset = dcmread(path, force=True, **options)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
        dataset.file_meta = meta
    return dataset


def _size(dataset: Dataset) -> tuple[int, int]:
    rows, columns = dataset.get("Rows"), dataset.get("Columns")
    if not rows or not columns:
        raise DicomError("expected a DICOM image, found no Rows and Columns: another kind of file, or a truncated one")
    return int(columns), int(rows)


def _view(dataset: Dataset) -> str:
    view = str(dataset.get("ViewPosition") or "").strip().upper()
    return view if view in ("PA", "AP") else "lateral" if view in _LATERAL else ""


def _single_grey_frame(dataset: Dataset, remarks: list[str]) -> np.ndarray:
    """Stored values of shape (height, width)."""
    pixels = dataset.pixel_array
    if dataset.get("NumberOfFrames") not in (None, "", 0, 1):
        remarks.append("several frames, the first taken")
        pixels = pixels[0]
    if dataset.SamplesPerPixel > 1:
        remarks.append("colour made grey")
        pixels = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
        dataset.PhotometricInterpretation = "MONOCHROME2"
    elif dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise DicomError(f"expected a grey or RGB film, found {dataset.PhotometricInterpretation}")
    return pixels


# -- from stored values to the screen --------------------------------------------------------------------------------


def _rendered(stored: np.ndarray, dataset: Dataset, remarks: list[str]) -> np.ndarray:
    from pydicom.pixels import apply_modality_lut

    if dataset.get("ModalityLUTSequence"):
        stored = stored.astype(np.int64)  # pydicom counts table positions in the type of the pixels
        _widen(dataset.ModalityLUTSequence[0])
    values = apply_modality_lut(stored, dataset)
    padding = _padding(stored, dataset)
    shown, low, high = _windowed(values, padding, dataset, remarks)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = low + high - shown
    grey = np.clip((shown - low) * (255 / (high - low)), 0, 255)
    grey[padding] = 0
    return (grey + 0.5).astype(np.uint8)


def _widen(table: Dataset) -> None:
    """Have a lookup table read as 16 bits: pydicom knows not every depth, and 8-bit tables of over 256 would wrap."""
    entries, first, _ = table.LUTDescriptor
    table.LUTDescriptor = [entries, first, 16]


def _padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Which pixels are no part of the film, by PixelPaddingValue and PixelPaddingRangeLimit."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = dataset.get("PixelPaddingRangeLimit", value)
    padding = (stored >= min(value, limit)) & (stored <= max(value, limit))
    return padding if not padding.all() else np.zeros(stored.shape, dtype=bool)


Shown = tuple[np.ndarray, float, float]  # values after the window, and the values that mean black and white


def _windowed(values: np.ndarray, padding: np.ndarray, dataset: Dataset, remarks: list[str]) -> Shown:
    """The first of the film's own windows that suits its histogram, or else a window between percentiles."""
    problems = []
    for index in range(_number_of_windows(dataset)):
        try:
            shown = _own_window(values, dataset, index)
        except Exception as error:  # pydicom refuses tables and windows in many ways: struct.error, ValueError, ...
            problems.append(f"it cannot be applied ({type(error).__name__})")
            continue
        problem = _problem(values[~padding], shown[0][~padding], *shown[1:])
        if not problem:
            return shown
        problems.append(problem)
    if problems:
        remarks.append(f"{REPLACED}: {problems[0]}")
    film = values[~padding]
    low, high = (float(value) for value in np.percentile(film, PERCENTILES))
    if low >= high:
        low, high = float(film.min()), float(film.max())
    if low >= high:
        remarks.append("every pixel has the same value")
        high = low + 1
    return values.astype(np.float64), low, high


def _number_of_windows(dataset: Dataset) -> int:
    if dataset.get("VOILUTSequence"):
        return len(dataset.VOILUTSequence)
    if "WindowCenter" in dataset and "WindowWidth" in dataset:
        return min(dataset["WindowCenter"].VM, dataset["WindowWidth"].VM)
    return 1 if dataset.BitsStored <= 8 else 0


def _own_window(values: np.ndarray, dataset: Dataset, index: int) -> Shown:
    """Through a VOI LUT, a window, or, for the 8 bits of a secondary capture, as they are."""
    from pydicom.pixels import apply_voi, apply_windowing

    if dataset.get("VOILUTSequence"):
        entries, first, _ = dataset.VOILUTSequence[index].LUTDescriptor
        _widen(dataset.VOILUTSequence[index])
        table = apply_voi(np.arange(first, first + (entries or 2**16)), dataset, index)
        return apply_voi(values, dataset, index).astype(np.float64), float(table.min()), float(table.max())
    if "WindowCenter" in dataset:
        low, high = apply_windowing(np.array([-np.inf, np.inf]), dataset, index)
        return apply_windowing(values, dataset, index), float(low), float(high)
    return values.astype(np.float64), 0.0, 2.0**dataset.BitsStored - 1


def _problem(values: np.ndarray, shown: np.ndarray, low: float, high: float) -> str:
    """What is wrong with a window, from what it does to the histogram; empty if nothing is.

    A window may cut off the border and the burned-in letters, but not most of the film, and what it leaves must not
    sit in a few grey levels. A film of few values to begin with is nobody's fault.
    """
    margin = 0.002 * (high - low)
    black = (shown <= low + margin) & (values > values.min())
    white = (shown >= high - margin) & (values < values.max())
    if (black | white).mean() > MOST_CLIPPED:
        return "it turns most of the film to one of black and white"
    darkest, brightest = np.percentile(shown, (1, 99))
    if brightest - darkest < LEAST_SPREAD * (high - low) and values.min() < values.max():
        return "it leaves the film in a few grey levels"
    return ""
