"""A table of the paper as a picture: a panel a column, the paper's rows as rings, ours as dots with their intervals."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from radvlm_course.evaluation.beside_paper import SideBySide
from radvlm_course.evaluation.paper_text import UNKNOWN, column_heading, notes_of
from radvlm_course.evaluation.published import PublishedColumn
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.viz import style

__all__ = ["draw_beside_paper"]

_ROW, _PANEL, _GAP = 0.3, 2.0, 0.3  # inches
_ABOVE, _BELOW, _NOTE, _SMALL = 0.55, 0.4, 0.16, 8.0


@style.styled
def draw_beside_paper(side: SideBySide, columns: int = 4) -> Figure:
    """The paper's rows and ours in every column of the table.

    Rings: the paper's values, which have no interval. Dots with a bar: ours, with interval, examples, and place where
    the intervals allow one. A filled ring is the paper's best of its column.

    Args:
        columns: panels in a row, at most.
    """
    shown = {key: column for key, column in side.table.columns.items() if column.metric}
    names = [row.name for row in side.table.rows] + [f"{name} (ours, {side.data[name]})" for name in side.ours]
    label = min(3.6, max(style.text_width(style.printable(name), 9.5) for name in names) + 0.2)
    columns = min(columns, len(shown))
    lines = -(-len(shown) // columns)
    body = _ROW * (len(names) + (0.5 if side.ours else 0)) + 0.1
    block = _ABOVE + body + _BELOW
    width = label + columns * (_PANEL + _GAP) + 0.1
    notes = [line for note in notes_of(side, shown) for line in style.wrapped(note, width - 0.3, _SMALL)]
    top = 0.68
    figure = style.new_figure(width, top + lines * block + _NOTE * len(notes) + 0.15)
    _write_around(figure, side, notes, top + lines * block)
    for index, (key, column) in enumerate(shown.items()):
        line, place = divmod(index, columns)
        left = label + 0.05 + place * (_PANEL + _GAP)
        axes = style.axes_at(figure, left, top + line * block + _ABOVE, _PANEL, body)
        _panel(axes, side, key, column)
        wrapped = [style.wrapped(name, label - 0.1, 9.5, max_lines=1)[0] for name in names]
        axes.set_yticks(_places(side), wrapped if place == 0 else [])
        axes.tick_params(axis="y", labelsize=9.5, length=0)
    return figure


def _places(side: SideBySide) -> list[float]:
    """Heights of the rows: the paper's, half a row of space, ours."""
    paper = len(side.table.rows)
    return [float(row) for row in range(paper)] + [paper + 0.5 + row for row in range(len(side.ours))]


def _panel(axes: Axes, side: SideBySide, key: str, column: PublishedColumn) -> None:
    places, paper = _places(side), len(side.table.rows)
    best = side.table.best(key)
    for place, row in zip(places[:paper], side.table.rows, strict=True):
        face = style.MUTED if row.name in best else "white"
        axes.plot([row.values[key]], [place], "o", color=style.MUTED, markerfacecolor=face, markersize=6)
    for place, name in zip(places[paper:], side.ours, strict=True):
        _our_mark(axes, side.ours[name].get(key), place)
    axes.margins(x=0.22)
    axes.set_xlim(axes.get_xlim())  # the texts below are placed by these limits
    for place, row in zip(places[:paper], side.table.rows, strict=True):
        text = column.text(row.values[key]) + ("*" if row.trained_on == key else "")
        _annotate(axes, text, row.values[key], place, style.INK)
    for place, name in zip(places[paper:], side.ours, strict=True):
        if interval := side.ours[name].get(key):
            rank = side.places.get(key, {}).get(name)
            text = f"{column.text(interval.value)}, n = {interval.n:,}" + (f", place {rank}" if rank else "")
            _annotate(axes, text, interval.value, place, style.SERIES[0])
    if side.ours:
        axes.axhline(paper - 0.25, color="#CCCCCC", linewidth=0.8)
    axes.set_ylim(places[-1] + 0.5, -0.6)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)
    axes.set_title(f"{column_heading(column)}\n", pad=3)
    paper_n = f"paper n = {column.paper_n:,}" if column.paper_n else "paper n not known"
    above: dict[str, Any] = {"xytext": (0, 4), "xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(paper_n, (0, 1), fontsize=8, color=style.MUTED, **above)


def _our_mark(axes: Axes, interval: Interval | None, place: float) -> None:
    if interval is None:
        beside = axes.get_yaxis_transform()
        axes.text(0.02, place, UNKNOWN, transform=beside, va="center", fontsize=8, color=style.MUTED)
        return
    if not math.isnan(interval.low):
        axes.plot([interval.low, interval.high], [place] * 2, color=style.SERIES[0], linewidth=2, gid="interval")
    axes.plot([interval.value], [place], "o", color=style.SERIES[0], markersize=6.5)


def _annotate(axes: Axes, text: str, value: float, place: float, colour: str) -> None:
    """Write above a mark; near the panel's edge to its inner side, so that nothing reaches the next panel."""
    low, high = axes.get_xlim()
    across = (value - low) / (high - low)
    side = "center" if len(text) < 7 or 0.3 <= across <= 0.7 else "left" if across < 0.3 else "right"
    shift = {"left": -5, "right": 5, "center": 0}[side]
    axes.annotate(
        text,
        (value, place),
        xytext=(shift, 4),
        textcoords="offset points",
        ha=side,
        va="bottom",
        fontsize=7.5,
        color=colour,
    )


def _write_around(figure: Figure, side: SideBySide, notes: list[str], bottom: float) -> None:
    page = style.page(figure)
    page.text(0.12, 0.2, f"Table {side.table.number} of the paper: {side.table.title}", va="center", fontsize=11.5)
    handles = [
        Line2D([], [], marker="o", color=style.MUTED, markerfacecolor="white", linewidth=0, label="paper"),
        Line2D([], [], marker="o", color=style.MUTED, linewidth=0, label="paper, best of the column"),
        Line2D([], [], marker="o", color=style.SERIES[0], linewidth=2, label=f"ours, {side.level:.0%} interval"),
    ]
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles if side.ours else handles[:2],
        loc="center left",
        bbox_to_anchor=(0.06 / width, 1 - 0.46 / height),
        ncols=3,
    )
    for number, line in enumerate(notes):
        page.text(0.12, bottom + 0.1 + _NOTE * number, line, va="center", fontsize=_SMALL, color=style.MUTED)
