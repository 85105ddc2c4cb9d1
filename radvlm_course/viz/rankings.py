"""Average precision without confidences: what stray boxes cost, and the same boxes under three made-up rankings.

The numbers are those of the metrics and of COCO's tool (:mod:`radvlm_course.evaluation.coco`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from radvlm_course.boxes import Box, iou_matrix
from radvlm_course.evaluation.box_matching import SIZES, average_precision_of_sample, true_positives
from radvlm_course.evaluation.coco import RANKINGS
from radvlm_course.rewards.soft_f1 import soft_f1
from radvlm_course.viz import style

__all__ = ["draw_coco_sizes", "draw_ranking_freedom", "draw_rankings", "draw_stray_boxes"]

_TITLES = {"as_written": "as written", "worst": "all wrong boxes first", "best": "all right boxes first"}
_COLOURS = {"as_written": style.SERIES[0], "worst": style.WORSE, "best": style.BETTER}
_MARKS = {"as_written": "o", "worst": "v", "best": "^"}
_ROW = 0.36  # inches


@style.styled
def draw_stray_boxes(right: Box, strays: Sequence[Box]) -> Figure:
    """One film with one true box, found at once: what each measure gives if 0, 1, 2, ... stray boxes follow.

    Raises:
        ValueError: no stray box.
    """
    if not strays:
        raise ValueError("expected at least one stray box, found none")
    counts = range(len(strays) + 1)
    answers = [[right, *strays[:count]] for count in counts]
    overlaps = [iou_matrix(answer, [right]) for answer in answers]
    lines = {
        "mAP@0.5, paper": ([average_precision_of_sample(ious) for ious in overlaps], style.PREDICTION, "D--"),
        "soft-F1": ([soft_f1(answer, [right]) for answer in answers], style.SERIES[4], "s-."),
        "mAP@0.5, corrected": ([true_positives(ious) / len(ious) for ious in overlaps], style.SERIES[0], "o-"),
    }
    figure = style.new_figure(6.6, 3.0)
    axes = style.axes_at(figure, 0.65, 0.2, 4.0, 2.2)
    for name, (values, colour, look) in lines.items():
        axes.plot(counts, values, look, color=colour, markersize=5, linewidth=1.8)
        axes.annotate(name, (counts[-1], values[-1]), (8, 0), textcoords="offset points", va="center", color=colour)
    axes.set(ylim=(0, 1.08), xlabel="stray boxes written after the right one", ylabel="score")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    return figure


@style.styled
def draw_rankings(curves: Mapping[str, np.ndarray], title: str = "") -> Figure:
    """Precision over recall of the same boxes under each ranking; the area below is the AP.

    Args:
        curves: ranking -> precision at 101 recalls from 0 to 1, of one label (``coco.precision_curves``).

    Raises:
        ValueError: a ranking is missing.
    """
    if missing := [ranking for ranking in RANKINGS if ranking not in curves]:
        raise ValueError(f"expected a curve of each ranking, found none of {', '.join(missing)}")
    width, gap, top = 2.3, 0.45, 0.95 if title else 0.6
    figure = style.new_figure(0.55 + 3 * (width + gap), top + width + 0.6)
    if title:
        style.page(figure).text(0.12, 0.2, style.printable(title), va="center", fontsize=11)
    for place, ranking in enumerate(("worst", "as_written", "best")):
        precision = curves[ranking]
        recall = np.linspace(0, 1, len(precision))
        axes = style.axes_at(figure, 0.55 + place * (width + gap), top, width, width)
        axes.fill_between(recall, precision, step="mid", color=_COLOURS[ranking], alpha=0.25, linewidth=0)
        axes.step(recall, precision, where="mid", color=_COLOURS[ranking], linewidth=2)
        axes.set(xlim=(0, 1.03), ylim=(0, 1.08), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xlabel="recall")
        axes.set_title(f"{_TITLES[ranking]}\nAP@0.5 = {precision.mean():.3f}", fontsize=9.5)
        if not place:
            axes.set_ylabel("precision")
    return figure


@style.styled
def draw_ranking_freedom(tables: Mapping[str, Mapping[str, Any]], title: str = "") -> Figure:
    """Of each model, how far AP@0.5 moves when the same boxes are ranked differently.

    Args:
        tables: model -> ``coco.coco_table``.

    Raises:
        ValueError: no model, or one without the tool's numbers.
    """
    _check(tables)
    label = max(style.text_width(style.printable(name), 9.5) for name in tables) + 0.3
    body, top = _ROW * len(tables) + 0.1, 0.85 if title else 0.5
    figure = style.new_figure(label + 5.6, top + body + 0.6)
    if title:
        style.page(figure).text(0.12, 0.2, style.printable(title), va="center", fontsize=11)
    axes = style.axes_at(figure, label, top, 5.3, body)
    for row, table in enumerate(tables.values()):
        ends = [table[ranking]["map50"] for ranking in ("worst", "best")]
        axes.plot(ends, [row, row], color="#BDBDBD", linewidth=4, solid_capstyle="butt")
        for ranking in RANKINGS:
            axes.plot([table[ranking]["map50"]], [row], _MARKS[ranking], color=_COLOURS[ranking], markersize=7)
    axes.set(ylim=(len(tables) - 0.5, -0.5), xlabel="COCO's AP@0.5, mean over labels (higher is better)")
    axes.set_xlim(left=0)
    axes.set_yticks(range(len(tables)), list(tables))
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    handles = [
        Line2D([], [], marker=_MARKS[name], color=_COLOURS[name], linewidth=0, label=_TITLES[name])
        for name in ("worst", "as_written", "best")
    ]
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(label / width, 1 - (top - 0.05) / height),
        ncols=3,
        borderaxespad=0,
    )
    return figure


@style.styled
def draw_coco_sizes(tables: Mapping[str, Mapping[str, Any]], title: str = "") -> Figure:
    """AP@0.5 and AR as written, of all true boxes and of each size, as a shaded table.

    Args, Raises: as :func:`draw_ranking_freedom`.
    """
    _check(tables)
    columns = [(measure, area) for measure in ("map50", "average_recall") for area in ("", *SIZES)]
    label = max(style.text_width(style.printable(name), 9.5) for name in tables) + 0.35
    wide, tall, top = 0.82, 0.32, 0.95 if title else 0.5
    figure = style.new_figure(label + len(columns) * wide + 0.35, top + tall * len(tables) + 0.15)
    paper = style.page(figure)
    if title:
        paper.text(0.12, 0.2, style.printable(title), va="center", fontsize=11)
    lefts = [label + place * wide + (0.2 if measure != "map50" else 0) for place, (measure, _) in enumerate(columns)]
    for start, heading in ((lefts[0], "AP at IoU 0.5"), (lefts[len(columns) // 2], "AR at IoU 0.5 to 0.95")):
        paper.text(start, top - 0.4, heading, va="center", fontweight="bold", fontsize=9)
    for x, (_, area) in zip(lefts, columns, strict=True):
        paper.text(x + wide / 2, top - 0.14, area or "all", ha="center", va="center", fontsize=8.5, color=style.MUTED)
    for row, (name, table) in enumerate(tables.items()):
        y = top + row * tall
        paper.text(label - 0.15, y + tall / 2, style.printable(name), ha="right", va="center")
        for x, (measure, area) in zip(lefts, columns, strict=True):
            value = table["as_written"][f"{measure}_{area}" if area else measure]
            _cell(paper, value, x, y, wide, tall)
    return figure


def _cell(paper: Axes, value: float | None, x: float, y: float, wide: float, tall: float) -> None:
    shade = 0.0 if value is None else value
    face = (1 - 0.55 * shade, 1 - 0.3 * shade, 1 - 0.12 * shade)
    paper.add_patch(Rectangle((x, y), wide, tall, facecolor=face, edgecolor="white", linewidth=1.5))
    text = "none" if value is None else f"{value:.3f}"
    paper.text(x + wide / 2, y + tall / 2, text, ha="center", va="center", fontsize=9)


def _check(tables: Mapping[str, Mapping[str, Any]]) -> None:
    without = [name for name, table in tables.items() if not table or table["as_written"]["map50"] is None]
    if without or not tables:
        raise ValueError(
            f"expected models with the numbers of COCO's tool, found {', '.join(without) or 'no model'} without. "
            "Scores that an earlier version wrote lack them: run the stage evaluate again"
        )
