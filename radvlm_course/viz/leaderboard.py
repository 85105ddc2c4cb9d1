"""The leaderboard as a picture: values with their intervals, and beside them the places that these allow."""

from __future__ import annotations

import math
from collections.abc import Collection

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvlm_course.evaluation.leaderboard import Entry, Leaderboard, title_with_direction
from radvlm_course.viz import style

__all__ = ["draw_leaderboard"]

_ROW, _WIDTH, _PLACES = 0.36, 3.4, 2.2  # inches


@style.styled
def draw_leaderboard(board: Leaderboard, baselines: Collection[str] = (), title: str = "") -> Figure:
    """Models in the order of the first metric, with the range of places of each.

    Args:
        baselines: models drawn hollow and grey, such as priors.
        title: by default the task.

    Raises:
        ValueError: nobody has a value of the first metric.
    """
    first = board.metrics[0]
    entries = [e for e in board.entries if first in e.metrics and not math.isnan(e.metrics[first].value)]
    if not entries:
        raise ValueError(f"nobody has a value of {first} on {board.task}: there is nothing to order")
    names = [style.printable(entry.name) for entry in entries]
    label = max(style.text_width(name, 9.5) for name in names) + 0.3
    body, top = _ROW * len(entries) + 0.1, 0.95
    figure = style.new_figure(label + _WIDTH + 0.45 + _PLACES + 0.75, top + body + 0.8)
    paper = style.page(figure)
    some = entries[0].metrics[first]
    heading = title or board.task.replace("_", " ")
    paper.text(0.12, 0.2, style.printable(heading), va="center", fontsize=11.5)
    about = f"n = {some.n:,} examples of {some.patients:,} patients, {some.level:.0%} intervals by patient"
    paper.text(0.12, 0.45, about, va="center", fontsize=8.5, color=style.MUTED)
    axes = style.axes_at(figure, label, top, _WIDTH, body)
    _draw_values(axes, entries, first, baselines)
    axes.set_yticks(range(len(entries)), names)
    axes.set_title(title_with_direction(first), pad=6)
    _draw_places(style.axes_at(figure, label + _WIDTH + 0.45, top, _PLACES, body), entries, baselines)
    note = "A model stands before another one only if its whole interval lies on the better side of the other's."
    for number, line in enumerate(style.wrapped(note, label + _WIDTH + _PLACES + 0.6, 8)):
        paper.text(0.12, top + body + 0.6 + 0.15 * number, line, va="center", fontsize=8, color=style.MUTED)
    return figure


def _draw_values(axes: Axes, entries: list[Entry], metric: str, baselines: Collection[str]) -> None:
    for row, entry in enumerate(entries):
        interval, (colour, face) = entry.metrics[metric], _look(entry.name, baselines)
        if not math.isnan(interval.low):
            axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=2, gid="interval")
        axes.plot([interval.value], [row], "o", color=colour, markerfacecolor=face, markersize=7)
        place = (interval.value, row)
        axes.annotate(f"{interval.value:.3f}", place, (0, 5), textcoords="offset points", ha="center", fontsize=8)
    axes.set_ylim(len(entries) - 0.45, -0.8)
    axes.margins(x=0.1)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.spines["left"].set_visible(False)


def _draw_places(axes: Axes, entries: list[Entry], baselines: Collection[str]) -> None:
    """A bar from the best to the worst place that each can have."""
    for row, entry in enumerate(entries):
        colour, _ = _look(entry.name, baselines)
        if entry.place is None:
            axes.text(0.6, row, "no place", va="center", fontsize=8.5, color=style.MUTED)
            continue
        best, worst = entry.place.best, entry.place.worst
        axes.barh(row, worst - best + 0.8, left=best - 0.4, height=0.5, color=colour, alpha=0.35)
        axes.text(worst + 0.55, row, str(entry.place), va="center", fontsize=9)
    axes.set(xlim=(0.5, len(entries) + 1.2), ylim=(len(entries) - 0.45, -0.8), yticks=[])
    axes.set_xticks(range(1, len(entries) + 1))
    axes.set_title("places that the intervals allow", pad=6)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def _look(name: str, baselines: Collection[str]) -> tuple[str, str]:
    return (style.MUTED, "white") if name in baselines else (style.SERIES[0], style.SERIES[0])
