"""Many groups, many films at a glance: which groups can teach, and what training changed film by film.

A mean hides both: a step's mean reward does not say that half of its groups had nothing to compare,
and a difference of two means does not say how many films got worse. Left out: intervals, which
belong to :mod:`radvlm_course.evaluation.statistics`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from radvlm_course.runs import Rollout
from radvlm_course.viz import style

__all__ = ["by_spread", "choose_along_change", "draw_changes", "draw_group_spread", "groups_of"]

_EQUAL = 1e-6


def groups_of(rollouts: Iterable[Rollout], step: int | None = None) -> list[list[Rollout]]:
    """The rollouts of one step (all steps if None) as groups of one prompt each, in the order written."""
    groups: dict[tuple[int, str], list[Rollout]] = {}
    for rollout in rollouts:
        if step in (None, rollout.step):
            groups.setdefault((rollout.step, rollout.example_id), []).append(rollout)
    return list(groups.values())


def by_spread(groups: Iterable[Sequence[Rollout]]) -> list[Sequence[Rollout]]:
    """Groups by the standard deviation of their rewards, the widest first; ties keep their order."""
    return sorted(groups, key=_spread, reverse=True)


@style.styled
def draw_group_spread(groups: Sequence[Sequence[Rollout]], title: str = "") -> Figure:
    """One row a group, one dot a rollout, sorted by spread; groups of equal rewards are grey.

    Raises:
        ValueError: no group.
    """
    if not groups:
        raise ValueError("expected at least one group of rollouts, found none")
    ordered = by_spread(groups)
    figure = style.new_figure(7.2, 0.24 * len(ordered) + 1.2, layout=ConstrainedLayoutEngine(h_pad=0.06))
    axes = figure.add_subplot()
    highest = max(rollout.reward for group in ordered for rollout in group)
    lowest = min(0.0, *(rollout.reward for group in ordered for rollout in group))
    edge = highest + 0.03 * ((highest - lowest) or 1.0)
    for row, group in enumerate(ordered):
        _draw_row(axes, row, group, edge)
    silent = sum(_spread(group) <= _EQUAL for group in ordered)
    axes.set(ylim=(len(ordered) - 0.4, -0.6), xlabel="reward", yticks=[])
    axes.set_title(style.printable(title or "Rewards of each group"))
    axes.annotate(
        f"{len(ordered)} groups, {silent} without spread",
        (1, 1),
        xytext=(0, 6),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        color=style.MUTED,
    )
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    return figure


def _spread(group: Sequence[Rollout]) -> float:
    return statistics.stdev(rollout.reward for rollout in group) if len(group) > 1 else 0.0


def _draw_row(axes: Axes, row: int, group: Sequence[Rollout], edge: float) -> None:
    rewards = [rollout.reward for rollout in group]
    mean, spread = statistics.fmean(rewards), _spread(group)
    colour = style.SERIES[0] if spread > _EQUAL else style.MUTED
    axes.plot([min(rewards), max(rewards)], [row, row], color=colour, linewidth=1, alpha=0.5)
    axes.plot(rewards, [row] * len(rewards), "o", color=colour, markersize=5, alpha=0.55, markeredgewidth=0)
    axes.plot([mean, mean], [row - 0.32, row + 0.32], color=style.INK, linewidth=1.4)
    axes.text(edge, row, f"deviation {spread:.2f}", va="center", fontsize=8, color=colour)


@style.styled
def draw_changes(
    before: Sequence[float], after: Sequence[float], score: str = "reward", names: tuple[str, str] = ("before", "after")
) -> Figure:
    """Every example as a dot: its score before against its score after; above the diagonal is better.

    Args:
        before, after: scores of the same examples in the same order; higher is better.
        score: the score's name.
        names: of the two models.

    Raises:
        ValueError: no example, or lists of different lengths.
    """
    _check_pairs(before, after)
    first, second = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    change = second - first
    better, worse = int((change > _EQUAL).sum()), int((change < -_EQUAL).sum())
    figure = style.new_figure(8.6, 3.7, layout=ConstrainedLayoutEngine(w_pad=0.12))
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    low, high = min(0.0, first.min(), second.min()), max(1.0, first.max(), second.max())
    left.plot([low, high], [low, high], color=style.MUTED, linewidth=1, linestyle="--")
    for chosen, colour, marker in ((change > _EQUAL, style.BETTER, "^"), (change < -_EQUAL, style.WORSE, "v")):
        left.plot(first[chosen], second[chosen], marker, color=colour, markersize=5, alpha=0.7, markeredgewidth=0)
    same = np.abs(change) <= _EQUAL
    left.plot(first[same], second[same], "o", color=style.MUTED, markersize=4, alpha=0.6, markeredgewidth=0)
    left.set(xlabel=f"{score}, {names[0]}", ylabel=f"{score}, {names[1]}", aspect="equal")
    left.set_title(f"{better} better, {worse} worse, {int(same.sum())} equal")
    order = np.sort(change)[::-1]
    colours = [style.BETTER if value >= 0 else style.WORSE for value in order]
    right.bar(range(len(order)), order, width=1.0, color=colours)
    right.axhline(0, color=style.INK, linewidth=0.8)
    right.axhline(float(change.mean()), color=style.INK, linewidth=1.2, linestyle=":")
    right.set(xlabel="examples, from most gained to most lost", ylabel=f"change of {score}")
    right.set_title(f"mean change {change.mean():+.3f} (dotted)")
    right.margins(x=0.01)
    return figure


def choose_along_change(before: Sequence[float], after: Sequence[float], count: int = 4) -> list[int]:
    """Indices of examples spread evenly from the most gained to the most lost, both ends included.

    A choice by rule, so that a picture of a few films is no choice of the best ones. Ties keep their order.

    >>> choose_along_change([0.0, 0.0, 0.0], [0.1, 0.9, 0.5], 3)
    [1, 2, 0]

    Raises:
        ValueError: no example, lists of different lengths, or a count below 1.
    """
    _check_pairs(before, after)
    if count < 1:
        raise ValueError(f"expected a count of at least 1, found {count}")
    order = sorted(range(len(before)), key=lambda index: before[index] - after[index])
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [order[place] for place in places]


def _check_pairs(before: Sequence[float], after: Sequence[float]) -> None:
    if not len(before) or len(before) != len(after):
        raise ValueError(f"expected scores of the same examples, found {len(before)} before and {len(after)} after")
