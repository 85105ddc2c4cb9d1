"""Figures of films with boxes: one film, the same films before and after, a gallery.

Ground truth is solid, predictions are dashed, and each prediction says its IoU with the
ground-truth box it is matched to, so that a picture and the soft-F1 beside it tell the same
story. How a film and its boxes are drawn is in :mod:`radvlm_course.viz.films`.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from radvlm_course.boxes import Box
from radvlm_course.viz import style
from radvlm_course.viz.films import Film, FilmError, Match, draw_boxes, draw_film, load_film, match_boxes, place_labels

__all__ = ["Film", "FilmError", "Match", "before_after", "gallery", "load_film", "match_boxes", "show_boxes"]

_MARGIN = 0.12  # inches
_GAP = 0.14
_LINE = 0.17  # inches a line of caption takes


def draw_annotated(
    axes: Axes,
    film: Film,
    truth: Sequence[Box] = (),
    predictions: Sequence[Box] = (),
    truth_labels: Sequence[str] = (),
    prediction_labels: Sequence[str] = (),
    show_iou: bool = True,
) -> Match:
    """A film with its boxes and their labels on given axes.

    Returns:
        How the predictions match the ground truth.
    """
    size = draw_film(axes, film)
    found = match_boxes(predictions, truth)
    labels = list(prediction_labels)
    if show_iou and truth and predictions:
        words = labels or [""] * len(predictions)
        labels = [f"{word} IoU {iou:.2f}".strip() for word, iou in zip(words, found.ious, strict=True)]
    wanted = draw_boxes(axes, truth, size, "truth", truth_labels)
    wanted += draw_boxes(axes, predictions, size, "prediction", labels)
    place_labels(axes, wanted, size)
    return found


def aspect_of(film: Film) -> float:
    """Height over width of a film."""
    height, width = load_film(film).shape
    return height / width


def legend_of_kinds(figure: Figure, left: float, top: float, kinds: Sequence[str] = ("truth", "prediction")) -> None:
    """What the two kinds of line mean, at a place in inches from the top left corner."""
    looks = {
        "truth": Line2D([], [], color=style.TRUTH, linewidth=2, label="ground truth"),
        "prediction": Line2D([], [], color=style.PREDICTION, linewidth=2, linestyle=(0, (4, 2)), label="prediction"),
    }
    width, height = figure.get_size_inches()
    figure.legend(
        handles=[looks[kind] for kind in kinds],
        loc="upper left",
        bbox_to_anchor=(left / width, 1 - top / height),
        ncols=2,
        borderaxespad=0,
        borderpad=0,
        handlelength=2.4,
    )


@style.styled
def show_boxes(
    film: Film,
    truth: Sequence[Box] = (),
    predictions: Sequence[Box] = (),
    truth_labels: Sequence[str] = (),
    prediction_labels: Sequence[str] = (),
    title: str = "",
    show_iou: bool = True,
    width: float = 4.6,
) -> Figure:
    """One film with ground truth (solid) and predictions (dashed).

    Args:
        truth, predictions: boxes in unit coordinates.
        truth_labels, prediction_labels: one for each box, or none.
        show_iou: write the IoU of each prediction with the ground-truth box it is matched to (0 if none),
            and the film's soft-F1 below.
        width: of the film, in inches.

    Raises:
        FilmError: the film cannot be shown.
        ValueError: the labels do not fit the boxes.
    """
    height = width * aspect_of(film)
    lines = style.wrapped(title, width, 10.5) if title else []
    top = _MARGIN + 0.2 * len(lines)
    figure = style.new_figure(width + 2 * _MARGIN, top + height + 0.34)
    paper = style.page(figure)
    for number, line in enumerate(lines):
        paper.text(_MARGIN, _MARGIN + 0.2 * number, line, fontsize=10.5, va="top")
    axes = style.axes_at(figure, _MARGIN, top, width, height)
    found = draw_annotated(axes, film, truth, predictions, truth_labels, prediction_labels, show_iou)
    kinds = [kind for kind, boxes in (("truth", truth), ("prediction", predictions)) if boxes]
    if kinds:
        legend_of_kinds(figure, _MARGIN, top + height + 0.1, kinds)
    if show_iou and truth and predictions:
        paper.text(_MARGIN + width, top + height + 0.17, f"soft-F1 {found.soft_f1:.2f}", ha="right", va="center")
    return figure


@style.styled
def before_after(
    films: Sequence[Film],
    truth: Sequence[Sequence[Box]],
    before: Sequence[Sequence[Box]],
    after: Sequence[Sequence[Box]],
    titles: Sequence[str] = (),
    names: tuple[str, str] = ("before", "after"),
    width: float = 2.4,
) -> Figure:
    """The same films twice, one below the other: a model's boxes before and after training.

    Args:
        films: one column each.
        truth, before, after: for each film its boxes in unit coordinates.
        titles: for each film what was asked for.
        names: what the two rows are.
        width: of a film, in inches.

    Raises:
        ValueError: the lists are not equally long, or empty.
    """
    _check_lengths(films, titles=titles)
    counts = {"films": len(films), "truth": len(truth), "before": len(before), "after": len(after)}
    if len(set(counts.values())) != 1:
        raise ValueError(f"expected one entry for each film, found {counts}")
    height = width * max(aspect_of(film) for film in films)
    lines = [style.wrapped(title, width, 9.5, max_lines=3) for title in titles]
    top = _MARGIN + _LINE * max((len(broken) for broken in lines), default=0)
    gutter, gap, caption = 0.3, 0.12, 0.28
    figure = style.new_figure(gutter + len(films) * (width + gap) + _MARGIN, top + 2 * (height + caption) + 0.24)
    paper = style.page(figure)
    for row, (name, boxes) in enumerate(zip(names, (before, after), strict=True)):
        y = top + row * (height + caption)
        paper.text(gutter / 2, y + height / 2, name, rotation=90, ha="center", va="center", fontsize=10.5)
        for column, film in enumerate(films):
            x = gutter + column * (width + gap)
            axes = style.axes_at(figure, x, y, width, height)
            found = draw_annotated(axes, film, truth[column], boxes[column], show_iou=False)
            paper.text(
                x + width / 2, y + height + 0.05, _score(found, boxes[column]), ha="center", va="top", fontsize=9
            )
            if row == 0 and titles:
                text = "\n".join(lines[column])
                paper.text(x + width / 2, top - 0.05, text, ha="center", va="bottom", fontsize=9.5)
    legend_of_kinds(figure, gutter, top + 2 * (height + caption) + 0.04)
    return figure


def _score(found: Match, predictions: Sequence[Box]) -> str:
    return f"soft-F1 {found.soft_f1:.2f}" + ("" if predictions else " (no box)")


@style.styled
def gallery(
    films: Sequence[Film],
    captions: Sequence[str] = (),
    truth: Sequence[Sequence[Box]] = (),
    predictions: Sequence[Sequence[Box]] = (),
    truth_labels: Sequence[Sequence[str]] = (),
    columns: int = 4,
    width: float = 2.3,
    max_lines: int = 4,
    title: str = "",
) -> Figure:
    """Films in rows, each with a caption below it and, if given, its boxes.

    Args:
        captions, truth, predictions, truth_labels: one entry for each film, or none at all.
        columns: films in a row, at most.
        width: of a film, in inches.
        max_lines: a longer caption is cut, with an ellipsis.
        title: of the whole figure, one line.

    Raises:
        ValueError: no film, or a list that is not as long as the films.
    """
    _check_lengths(films, captions=captions, truth=truth, predictions=predictions, truth_labels=truth_labels)
    columns = min(columns, len(films))
    texts = [style.wrapped(caption, width, 8.5, max_lines=max_lines) for caption in captions] or [[]] * len(films)
    aspects = [aspect_of(film) for film in films]
    rows = [range(start, min(start + columns, len(films))) for start in range(0, len(films), columns)]
    tall = [max(width * aspects[index] + 0.16 + 0.15 * len(texts[index]) for index in row) for row in rows]
    kinds = [kind for kind, boxes in (("truth", truth), ("prediction", predictions)) if any(boxes)]
    wide = columns * width + (columns - 1) * _GAP + 2 * _MARGIN
    top = _MARGIN + (0.3 if title else 0.0)
    figure = style.new_figure(wide, top + sum(tall) + (len(rows) - 1) * _GAP + (0.25 if kinds else 0))
    paper = style.page(figure)
    if title:
        line = style.wrapped(title, wide - 2 * _MARGIN, 10.5, max_lines=1)[0]
        paper.text(_MARGIN, _MARGIN + 0.08, line, va="center", fontsize=10.5)
    y = top
    for row, room in zip(rows, tall, strict=True):
        for column, index in enumerate(row):
            x, height = _MARGIN + column * (width + _GAP), width * aspects[index]
            axes = style.axes_at(figure, x, y, width, height)
            draw_annotated(
                axes,
                films[index],
                truth[index] if truth else (),
                predictions[index] if predictions else (),
                truth_labels[index] if truth_labels else (),
            )
            block = "\n".join(texts[index])
            paper.text(x, y + height + 0.06, block, va="top", fontsize=8.5, linespacing=1.25)
        y += room + _GAP
    if kinds:
        legend_of_kinds(figure, _MARGIN, y - _GAP + 0.04, kinds)
    return figure


def _check_lengths(films: Sequence[Film], **given: Sequence[object]) -> None:
    """Raise ValueError unless there is a film, and each list is empty or as long as the films."""
    if not films:
        raise ValueError("expected at least one film, found none")
    for name, values in given.items():
        if values and len(values) != len(films):
            raise ValueError(f"expected one entry of {name} for each of {len(films)} films, found {len(values)}")
