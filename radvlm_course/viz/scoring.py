"""How an answer gets its number: the matching behind soft-F1, the curve behind mAP, the n-grams behind GLEU.

The figures compute nothing of their own: they call the rewards and metrics and draw what these saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from radvlm_course.boxes import Box, iou_matrix
from radvlm_course.evaluation.grounding import IOU_THRESHOLD, average_precision_of_sample, true_positives
from radvlm_course.rewards.gleu import Gleu
from radvlm_course.rewards.soft_f1 import soft_f1
from radvlm_course.viz import style
from radvlm_course.viz.boxes import aspect_of, legend_of_kinds
from radvlm_course.viz.films import Film, draw_boxes, draw_film, place_labels
from radvlm_course.viz.texts import draw_words, mark_words, plain_words, words_height

__all__ = ["draw_average_precision", "draw_matching", "draw_ngrams", "ngram_counts"]

_MARGIN = 0.15
_LONGEST = 4


@style.styled
def draw_matching(film: Film, predictions: Sequence[Box], truth: Sequence[Box]) -> Figure:
    """Boxes on a film, the IoU of every pair, the pairs that are matched, and what soft-F1 makes of it.

    Args:
        predictions, truth: at least one box each, unit coordinates.

    Raises:
        ValueError: no box on one side: there is nothing to match.
    """
    if not predictions or not truth:
        raise ValueError(f"expected boxes on both sides, found {len(predictions)} predicted and {len(truth)} true")
    width = 3.3
    height = width * aspect_of(film)
    figure = style.new_figure(width + 5.6, max(height, 2.6) + 0.75)
    paper = style.page(figure)
    axes = style.axes_at(figure, _MARGIN, 0.15, width, height)
    size = draw_film(axes, film)
    names = [f"T{index + 1}" for index in range(len(truth))]
    guesses = [f"P{index + 1}" for index in range(len(predictions))]
    wanted = draw_boxes(axes, truth, size, "truth", names)
    wanted += draw_boxes(axes, predictions, size, "prediction", guesses)
    place_labels(axes, wanted, size)
    legend_of_kinds(figure, _MARGIN, 0.15 + height + 0.12)
    ious = iou_matrix(predictions, truth)
    left = width + 1.1
    bottom = _draw_matrix(paper, ious, guesses, names, left, 0.3)
    _write_sum(paper, ious, soft_f1(predictions, truth), left - 0.45, bottom + 0.3)
    return figure


def _matched(ious: np.ndarray) -> list[tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(ious, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]


def _draw_matrix(
    paper: Axes, ious: np.ndarray, rows: Sequence[str], columns: Sequence[str], left: float, top: float
) -> float:
    """The IoU matrix with the matched cells framed; returns where it ends."""
    wide, tall = 0.8, 0.36
    pairs = _matched(ious)
    paper.text(left - 0.45, top - 0.12, "IoU of every pair; framed: the matching with the largest sum", fontsize=8.5)
    top += 0.3
    for column, name in enumerate(columns):
        paper.text(left + (column + 0.5) * wide, top - 0.12, name, ha="center", va="center", fontweight="bold")
    for row, name in enumerate(rows):
        y = top + row * tall
        paper.text(left - 0.15, y + tall / 2, name, ha="right", va="center", fontweight="bold")
        for column in range(len(columns)):
            value = float(ious[row, column])
            face = (1 - 0.45 * value, 1 - 0.2 * value, 1 - 0.5 * value)
            x = left + column * wide
            paper.add_patch(Rectangle((x, y), wide, tall, facecolor=face, edgecolor="#CCCCCC", linewidth=0.8))
            bold = "bold" if (row, column) in pairs else "normal"
            paper.text(x + wide / 2, y + tall / 2, f"{value:.2f}", ha="center", va="center", fontweight=bold)
    for row, column in pairs:
        place = (left + column * wide + 0.03, top + row * tall + 0.03)
        frame = Rectangle(place, wide - 0.06, tall - 0.06, fill=False, edgecolor=style.BETTER, linewidth=2.2)
        paper.add_patch(frame)
    return top + len(rows) * tall


def _write_sum(paper: Axes, ious: np.ndarray, score: float, left: float, top: float) -> None:
    matched = [float(ious[row, column]) for row, column in _matched(ious)]
    n_predicted, n_true = ious.shape
    terms = " + ".join(f"{value:.2f}" for value in matched)
    lines = (
        "soft-F1 = 2 \u00b7 summed IoU / (predicted + true)",
        f"= 2 \u00b7 ({terms}) / ({n_predicted} + {n_true}) = {score:.3f}",
        "",
        f"at IoU {IOU_THRESHOLD}: {true_positives(ious)} of {n_true} found, "
        f"{n_predicted - true_positives(ious)} of {n_predicted} wrong",
    )
    for number, line in enumerate(lines):
        paper.text(left, top + 0.24 * number, line, va="center", fontsize=9.5)


@style.styled
def draw_average_precision(cases: Mapping[str, np.ndarray]) -> Figure:
    """One sample's average precision read in two ways, as areas under precision over recall.

    Args:
        cases: name -> IoU matrix (n_predicted, n_true), predictions in the order written.

    Raises:
        ValueError: no case.
    """
    if not cases:
        raise ValueError("expected at least one case, found none")
    width, gap, top = 2.2, 0.6, 0.75
    figure = style.new_figure(len(cases) * (width + gap) + 0.35, top + width + 1.0)
    paper = style.page(figure)
    for index, (name, ious) in enumerate(cases.items()):
        x = 0.5 + index * (width + gap)
        axes = style.axes_at(figure, x, top, width, width)
        paper.text(x, 0.18, name, fontweight="bold", fontsize=9.5, va="center")
        paper.text(x, 0.45, _orders(ious), fontsize=8.5, va="center", color=style.MUTED)
        _draw_areas(axes, ious)
        if not index:
            axes.set_ylabel("precision")
    y = top + width + 0.7
    for x, colour, text in (
        (0.5, style.PREDICTION, "paper-compatible: the order written is the ranking"),
        (4.4, style.SERIES[0], "corrected: no ranking, one operating point"),
    ):
        paper.add_patch(Rectangle((x, y - 0.07), 0.25, 0.14, facecolor=colour, alpha=0.45, edgecolor=colour))
        paper.text(x + 0.34, y, text, va="center", fontsize=9)
    return figure


def _orders(ious: np.ndarray) -> str:
    marks = " ".join("hit" if row.max(initial=0.0) >= IOU_THRESHOLD else "miss" for row in ious)
    return f"written: {marks}; true boxes: {ious.shape[1]}"


def _draw_areas(axes: Axes, ious: np.ndarray) -> None:
    hits, (n_predicted, n_true) = true_positives(ious), ious.shape
    precision, recall = hits / max(n_predicted, 1), hits / n_true
    paper_value = average_precision_of_sample(ious)
    steps = _envelope(ious)
    for start, end, height in steps:
        axes.add_patch(Rectangle((start, 0), end - start, height, facecolor=style.PREDICTION, alpha=0.4, linewidth=0))
        axes.plot([start, end], [height, height], color=style.PREDICTION, linewidth=2.4)
    area = Rectangle((0, 0), recall, precision, facecolor=style.SERIES[0], alpha=0.25, linewidth=0)
    axes.add_patch(area)
    axes.plot([recall], [precision], "o", color=style.SERIES[0], markersize=7)
    axes.set(xlim=(0, 1.08), ylim=(0, 1.08), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xlabel="recall")
    axes.text(0.04, 0.16, f"paper {paper_value:.2f}", color=style.PREDICTION_INK, fontweight="bold")
    axes.text(0.04, 0.05, f"corrected {precision * recall:.2f}", color=style.TRUTH_INK, fontweight="bold")


def _envelope(ious: np.ndarray) -> list[tuple[float, float, float]]:
    """Steps (from recall, to recall, best precision there or beyond) of the all-points curve."""
    n_true = ious.shape[1]
    found: set[int] = set()
    hits = []
    for row in ious:
        best = int(row.argmax())
        hits.append(bool(row[best] >= IOU_THRESHOLD and best not in found))
        found |= {best} if hits[-1] else set()
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    heights = [float(best_beyond[place]) for place in np.flatnonzero(hits)]
    return [(index / n_true, (index + 1) / n_true, height) for index, height in enumerate(heights)]


def ngram_counts(response: str, reference: str) -> list[tuple[int, int, int]]:
    """(shared, in the response, in the reference) for n-grams of 1 to 4 tokens, as GLEU counts them.

    GLEU is the summed first column over the larger of the other two sums.

    >>> ngram_counts("No effusion.", "No effusion.")
    [(3, 3, 3), (2, 2, 2), (1, 1, 1), (0, 0, 0)]
    """
    gleu = Gleu()
    sides = [gleu.tokens(text) for text in (response, reference)]
    counts = []
    for length in range(1, _LONGEST + 1):
        grams = [
            Counter(tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1))
            for tokens in sides
        ]
        counts.append(((grams[0] & grams[1]).total(), grams[0].total(), grams[1].total()))
    return counts


@style.styled
def draw_ngrams(response: str, reference: str) -> Figure:
    """Two reports and the n-grams they share, down to the GLEU that follows.

    Raises:
        ValueError: one of the texts is blank.
    """
    if not response.strip() or not reference.strip():
        raise ValueError("expected two texts to compare, found a blank one")
    text_width, bars = 4.3, 3.6
    given, marked = plain_words(reference, None), mark_words(response, reference)
    tall = words_height(given, text_width) + words_height(marked, text_width) + 0.95
    counts = ngram_counts(response, reference)
    figure = style.new_figure(text_width + bars + 1.1, max(tall, 2.95) + 0.1)
    paper = style.page(figure)
    paper.text(_MARGIN, 0.18, "reference", va="center", color=style.MUTED)
    y = 0.3 + draw_words(paper, given, _MARGIN, 0.3, text_width)
    paper.text(_MARGIN, y + 0.25, "response (darker: longer shared run)", va="center", color=style.MUTED)
    draw_words(paper, marked, _MARGIN, y + 0.37, text_width)
    _draw_counts(paper, counts, text_width + 0.75)
    return figure


def _draw_counts(paper: Axes, counts: Sequence[tuple[int, int, int]], left: float) -> None:
    """A row of three bars for each length, and the sums."""
    columns = (left + 1.25, left + 2.1, left + 2.95)
    for x, head in zip(columns, ("shared", "response", "reference"), strict=True):
        paper.text(x, 0.18, head, ha="center", va="center", color=style.MUTED)
    for number, row in enumerate(counts):
        y = 0.5 + 0.33 * number
        paper.text(left, y, f"runs of {number + 1}", va="center", ha="left", fontsize=9)
        for x, value, face in zip(columns, row, ("#A6D5F3", "#F2F2F2", "#F2F2F2"), strict=True):
            paper.add_patch(Rectangle((x - 0.3, y - 0.12), 0.6, 0.24, facecolor=face, edgecolor="#CCCCCC"))
            paper.text(x, y, str(value), ha="center", va="center")
    sums = [sum(row[place] for row in counts) for place in range(3)]
    y = 0.5 + 0.33 * len(counts)
    paper.plot([left, columns[-1] + 0.3], [y - 0.17, y - 0.17], color="#777777", linewidth=0.8)
    paper.text(left, y, "sum", va="center", fontweight="bold")
    for x, value in zip(columns, sums, strict=True):
        paper.text(x, y, str(value), ha="center", va="center", fontweight="bold")
    lines = (
        f"precision {sums[0]} / {sums[1]} = {sums[0] / max(sums[1], 1):.2f}",
        f"recall {sums[0]} / {sums[2]} = {sums[0] / max(sums[2], 1):.2f}",
        f"GLEU, the smaller of the two: {sums[0] / max(*sums[1:], 1):.3f}",
    )
    for number, line in enumerate(lines):
        bold = "bold" if number == 2 else "normal"
        paper.text(left, y + 0.36 + 0.24 * number, line, va="center", fontsize=9.5, fontweight=bold)
