"""One film on one set of axes: loading it, drawing it, drawing boxes and their labels on it.

A film may be a path, a PIL image or an array. Boxes are in unit coordinates and are drawn in the
film's own pixels: a film that is not square keeps its shape, and its boxes their place. Labels
are put where they cover the least. Left out: window and level (a film is shown as it is stored; one in
DICOM through its own window, see :mod:`radvlm_course.dicom`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from PIL import Image

from radvlm_course.boxes import Box, iou_matrix
from radvlm_course.dicom import DICOM_SUFFIXES, DicomError, read_film
from radvlm_course.rewards.soft_f1 import soft_f1
from radvlm_course.viz import style

__all__ = ["Film", "FilmError", "Match", "draw_boxes", "draw_film", "load_film", "match_boxes"]

Film = str | os.PathLike[str] | Image.Image | np.ndarray
Kind = Literal["truth", "prediction"]

LABEL_SIZE = 8.0
MAX_BOXES = 40
_LABEL_PAD = 0.15
_LOOKS: dict[str, tuple[str, Any]] = {"truth": (style.TRUTH, "solid"), "prediction": (style.PREDICTION, (0, (4, 2)))}


class FilmError(ValueError):
    """Something that cannot be shown as a film."""


def load_film(film: Film) -> np.ndarray:
    """A film as grey values.

    Args:
        film: a path (of a picture or of a DICOM file), a PIL image, or an array of shape (H, W),
            (H, W, 1), (1, H, W), (H, W, 3 or 4). Bytes are taken as 0 to 255 and floats
            within [0, 1] as they are; any other range is stretched to its own minimum and maximum.

    Returns:
        float32 array of shape (H, W), values 0 (black) to 1 (white).

    Raises:
        FilmError: no such file, a file that is no whole image or DICOM film, or an array of another kind.
    """
    pixels = _grey(_pixels(film))
    if not np.isfinite(pixels).all():
        raise FilmError("expected finite pixel values, found nan or infinity in the film")
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        pixels = (pixels - low) / (high - low) if high > low else np.zeros_like(pixels)
    return pixels.astype(np.float32)


def _pixels(film: Film) -> np.ndarray:
    if isinstance(film, np.ndarray):
        return film
    if isinstance(film, Image.Image):
        return np.asarray(film.convert("RGB") if film.mode in ("P", "CMYK", "YCbCr", "LAB", "HSV") else film)
    path = Path(film)
    if not path.is_file():
        raise FilmError(f"expected the path of an image, but there is no file {path}")
    if path.suffix.lower() in DICOM_SUFFIXES:
        return _dicom(path)
    try:
        with Image.open(path) as image:
            image.load()
            return _pixels(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise FilmError(f"{path} cannot be read as an image ({error}): is the file complete?") from error


def _dicom(path: Path) -> np.ndarray:
    try:
        return read_film(path).pixels
    except DicomError as error:
        raise FilmError(str(error)) from error


def _grey(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.size == 0 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 2, 3, 4))):
        raise FilmError(
            f"expected a film of shape (height, width), with 1, 3 or 4 channels last, found shape {pixels.shape}"
        )
    scale = 255.0 if pixels.dtype == np.uint8 else 1.0
    values = pixels.astype(np.float64) / scale
    if values.ndim == 2:
        return values
    return values[..., 0] if values.shape[2] < 3 else values[..., :3] @ np.array([0.299, 0.587, 0.114])


def draw_film(axes: Axes, film: Film, title: str = "") -> tuple[int, int]:
    """Show a film on axes whose data units are its pixels. Returns its size (width, height)."""
    pixels = load_film(film)
    height, width = pixels.shape
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), aspect="equal")
    axes.set_anchor("N")
    axes.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(style.printable(title))
    return width, height


@dataclass(frozen=True)
class Match:
    """How predicted boxes and ground truth go together.

    Attributes:
        ious: for each prediction, its IoU with the ground-truth box it is matched to, else 0.
        soft_f1: :func:`radvlm_course.rewards.soft_f1.soft_f1`, 0 to 1, higher is better.
    """

    ious: tuple[float, ...]
    soft_f1: float


def match_boxes(predictions: Sequence[Box], truth: Sequence[Box]) -> Match:
    """Match one to one so that the summed IoU is largest; the score is the reward's own soft-F1."""
    from scipy.optimize import linear_sum_assignment

    overlaps = iou_matrix(predictions, truth)
    ious = [0.0] * len(predictions)
    for row, column in zip(*linear_sum_assignment(overlaps, maximize=True), strict=True):
        ious[row] = float(overlaps[row, column])
    return Match(tuple(ious), soft_f1(predictions, truth))


def draw_boxes(
    axes: Axes, boxes: Sequence[Box], size: tuple[int, int], kind: Kind, labels: Sequence[str] = (), width: float = 2.0
) -> list[tuple[Box, str, Kind]]:
    """Draw boxes on a film of ``size`` = (width, height) in pixels.

    Args:
        labels: one for each box, or none at all.

    Of more than 40 boxes the first 40 are drawn, and how many are not is written on the film.

    Returns:
        The labels still to be placed, for :func:`place_labels` once all boxes are drawn.

    Raises:
        ValueError: the number of labels is not the number of boxes.
    """
    if labels and len(labels) != len(boxes):
        raise ValueError(f"expected one label for each of {len(boxes)} boxes, found {len(labels)}: {list(labels)}")
    colour, line = _LOOKS[kind]
    for box in boxes[:MAX_BOXES]:
        x1, y1, x2, y2 = box.to_pixels(size)
        patch = Rectangle(
            (x1, y1),
            x2 - x1,
            y2 - y1,
            fill=False,
            edgecolor=colour,
            linewidth=width,
            linestyle=line,
            gid=kind,
            clip_on=False,
        )
        axes.add_patch(patch)
        style.halo(patch)
    if len(boxes) > MAX_BOXES:
        note = f"{len(boxes) - MAX_BOXES} more {kind} boxes not drawn"
        axes.text(
            0.02, 0.02, note, transform=axes.transAxes, fontsize=LABEL_SIZE, color="white", backgroundcolor="black"
        )
    return [(box, label, kind) for box, label in list(zip(boxes, labels, strict=False))[:MAX_BOXES] if label]


def place_labels(axes: Axes, wanted: Iterable[tuple[Box, str, Kind]], size: tuple[int, int]) -> None:
    """Write each label at the corner of its box where it covers the least.

    Ground truth prefers to stand above its box and predictions below theirs, inside the film
    and clear of other labels and boxes.
    """
    wanted = [(box, style.printable(label), kind) for box, label, kind in wanted]
    axes.apply_aspect()
    frame = axes.get_window_extent()
    dots = axes.figure.dpi / 72  # screen pixels in a point
    boxes = [_on_screen(axes, box, size) for box, _, _ in wanted]
    taken: list[Bbox] = []
    for (_, label, kind), own in zip(wanted, boxes, strict=True):
        place = _best_place(_extent(label, dots), own, [box for box in boxes if box is not own], taken, frame, kind)
        taken.append(place)
        corner = (place.x0 + _LABEL_PAD * LABEL_SIZE * dots, place.y0 + (_LABEL_PAD + 0.24) * LABEL_SIZE * dots)
        x, y = axes.transData.inverted().transform(corner)
        background = {"boxstyle": f"square,pad={_LABEL_PAD}", "facecolor": _LOOKS[kind][0], "edgecolor": "none"}
        axes.text(x, y, label, fontsize=LABEL_SIZE, color="black", va="baseline", gid=kind, zorder=5, bbox=background)


def _on_screen(axes: Axes, box: Box, size: tuple[int, int]) -> Bbox:
    x1, y1, x2, y2 = box.to_pixels(size)
    (left, top), (right, bottom) = axes.transData.transform([(x1, y1), (x2, y2)])
    return Bbox.from_extents(left, bottom, right, top)


def _extent(label: str, dots: float) -> tuple[float, float]:
    """Width and height in screen pixels of a label with its background."""
    pad = 2 * _LABEL_PAD * LABEL_SIZE
    return (style.text_width(label, LABEL_SIZE) * 72 + pad) * dots, (1.17 * LABEL_SIZE + pad) * dots


def _best_place(
    label: tuple[float, float], own: Bbox, others: Sequence[Bbox], taken: Sequence[Bbox], frame: Bbox, kind: Kind
) -> Bbox:
    width, height = label
    gap = 2.0
    left, right = own.x0, own.x1 - width
    above, below = own.y1 + gap, own.y0 - gap - height
    places = [(left, above), (right, above), (left, below), (right, below)]
    if kind == "prediction":
        places = places[2:] + places[:2]
    inside = [(left + gap, own.y1 - height - gap), (right - gap, own.y0 + gap)]
    beside = [(own.x1 + gap, own.y1 - height), (own.x0 - width - gap, own.y0)]

    def cost(candidate: tuple[int, tuple[float, float]]) -> float:
        order, (x, y) = candidate
        area = Bbox.from_bounds(x, y, width, height)
        labels = sum(_shared(area, other) for other in taken)
        covered = _shared(area, own) + sum(_shared(area, other) for other in others)
        outside = width * height - _shared(area, frame)
        return (20 * labels + 40 * outside + covered) / (width * height) + 0.05 * order

    candidates = [_kept_inside(x, y, width, height, frame) for x, y in [*places, *beside, *inside]]
    _, (x, y) = min(enumerate(candidates), key=cost)
    return Bbox.from_bounds(x, y, width, height)


def _kept_inside(x: float, y: float, width: float, height: float, frame: Bbox) -> tuple[float, float]:
    return min(max(x, frame.x0), max(frame.x0, frame.x1 - width)), min(max(y, frame.y0), frame.y1 - height)


def _shared(first: Bbox, second: Bbox) -> float:
    overlap = Bbox.intersection(first, second)
    return 0.0 if overlap is None else float(overlap.width * overlap.height)
