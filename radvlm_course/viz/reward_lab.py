"""Pictures of the reward lab: what length pays, where looking stops paying, and what a policy makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from radvlm_course.rewards.lab.shortening import Lengths, best_length
from radvlm_course.viz import style

if TYPE_CHECKING:
    from radvlm_course.training.toy_policy import ToyRun

__all__ = ["draw_lengths", "draw_looking_pays", "draw_measured_lengths", "draw_policy_lengths"]

_PANEL, _HEIGHT = 4.1, 3.3  # inches


@style.styled
def draw_lengths(
    panels: Mapping[str, Mapping[str, Sequence[float]]], xlabel: str = "facts stated, surest first"
) -> Figure:
    """Reward against length, a panel each, the best length of every line marked.

    Args:
        panels: title -> line -> reward of stating 0, 1, 2, ... facts.

    Raises:
        ValueError: no panel, or one without lines.
    """
    if not panels or not all(panels.values()):
        raise ValueError("expected at least one panel, each with at least one line; found none")
    figure = _panels(len(panels))
    for axes, (title, lines) in zip(figure.axes, panels.items(), strict=True):
        for number, (name, values) in enumerate(lines.items()):
            best = best_length(np.asarray(values))
            _draw_line(axes, np.arange(len(values)), values, best, f"{name}: best at {best}", number)
        axes.set(title=style.printable(title), xlabel=xlabel, ylim=(-0.03, 1.03))
        axes.legend(loc="best")
    figure.axes[0].set_ylabel("expected reward")
    return figure


@style.styled
def draw_measured_lengths(panels: Mapping[str, Lengths]) -> Figure:
    """Mean rewards of honest reports that were cut to their surest sentences, a panel each.

    Below the number of sentences stands the mean length of the reports in characters.

    Args:
        panels: title -> what :func:`~radvlm_course.rewards.lab.shortening.measure_lengths` found.

    Raises:
        ValueError: no panel.
    """
    if not panels:
        raise ValueError("expected at least one measurement, found none")
    figure = _panels(len(panels))
    for axes, (title, lengths) in zip(figure.axes, panels.items(), strict=True):
        kept = np.arange(1, len(lengths.characters) + 1)
        for number, (name, values) in enumerate(lengths.rewards.items()):
            best = lengths.best(name)
            _draw_line(axes, kept, values, best - 1, f"{name}: best at {best}", number)
        axes.set_xticks(kept, [f"{n}\n{round(size)}" for n, size in zip(kept, lengths.characters, strict=True)])
        axes.set(
            title=style.printable(title), xlabel="sentences kept, surest first\nmean characters", ylim=(-0.03, 1.03)
        )
        axes.legend(loc="lower right")
    figure.axes[0].set_ylabel("mean reward")
    return figure


@style.styled
def draw_looking_pays(error_rates: Sequence[float], curves: Mapping[str, tuple[Sequence[float], float]]) -> Figure:
    """What honest readers of growing error earn, against one normal report for every film, a panel a reward.

    Args:
        error_rates: 0 to 1, ascending.
        curves: reward of the range 0 to 1 -> (mean at each error rate, mean of the normal report), as
            :func:`~radvlm_course.rewards.lab.survey.looking_pays` returns it.

    Raises:
        ValueError: no reward.
    """
    if not curves:
        raise ValueError("expected at least one reward, found none")
    figure = _panels(len(curves), 3.1)
    for axes, (name, (earned, blind)) in zip(figure.axes, curves.items(), strict=True):
        axes.plot(error_rates, earned, "o-", color=style.SERIES[0], linewidth=2, markersize=4, label="honest reader")
        axes.axhline(blind, color=style.SERIES[1], linestyle="--", linewidth=2, label="normal for all")
        crossing = _crossing(error_rates, earned, blind)
        if crossing is not None:
            axes.axvspan(crossing, error_rates[-1], color=style.SERIES[1], alpha=0.12, linewidth=0)
            text = f"from {crossing:.2f} on,\nlooking does not pay"
            axes.text(0.97, 0.04, text, transform=axes.transAxes, ha="right", fontsize=8.5)
        axes.set(title=name, xlabel="error rate of the reader", ylim=(0, 1.05), xlim=(error_rates[0], error_rates[-1]))
    figure.axes[0].set_ylabel("mean reward")
    figure.axes[0].legend(loc="upper right")
    return figure


def _crossing(error_rates: Sequence[float], earned: Sequence[float], blind: float) -> float | None:
    """Where the falling line first meets the flat one, its start if it begins below; None if it stays above."""
    if earned[0] <= blind:
        return float(error_rates[0])
    for index in range(1, len(earned)):
        if earned[index] <= blind:
            share = (earned[index - 1] - blind) / (earned[index - 1] - earned[index])
            return float(error_rates[index - 1] + share * (error_rates[index] - error_rates[index - 1]))
    return None


@style.styled
def draw_policy_lengths(
    runs: Mapping[str, ToyRun], lengths: Sequence[int], ylabel: str = "facts in a report"
) -> Figure:
    """The mean length of what a toy policy writes while it is trained, a line a reward.

    Args:
        runs: reward -> run; the answers of the policy are the lengths.
        lengths: of each answer.

    Raises:
        ValueError: no run, or one over another number of answers.
    """
    if not runs:
        raise ValueError("expected at least one run to draw, found none")
    figure = style.new_figure(6.4, 3.0)
    axes = style.axes_at(figure, 0.7, 0.3, 4.1, 2.15)
    for number, (name, run) in enumerate(runs.items()):
        table = np.array(run.probabilities)  # (steps + 1, answers)
        if table.shape[1] != len(lengths):
            raise ValueError(f"run {name!r} has {table.shape[1]} answers, expected {len(lengths)}")
        means = table @ np.asarray(lengths, dtype=np.float64)
        line = style.LINE_STYLES[number % len(style.LINE_STYLES)]
        axes.plot(means, color=style.SERIES[number % len(style.SERIES)], linestyle=line, linewidth=2)
        axes.annotate(
            style.printable(name),
            (len(means) - 1, means[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            annotation_clip=False,
        )
    axes.set(xlabel="step", ylabel=ylabel, ylim=(0, max(lengths) + 0.5))
    axes.set_title("What the policy makes of each reward")
    axes.grid(axis="y")
    return figure


def _draw_line(axes: Axes, x: np.ndarray, values: Sequence[float], best: int, label: str, number: int) -> None:
    colour = style.SERIES[number % len(style.SERIES)]
    line = style.LINE_STYLES[number % len(style.LINE_STYLES)]
    axes.plot(x, values, color=colour, linestyle=line, linewidth=2, label=label)
    axes.plot(x[best], values[best], "o", color=colour, markersize=8)
    axes.grid(axis="y")


def _panels(count: int, width: float = _PANEL) -> Figure:
    figure = style.new_figure(width * count + 0.4, _HEIGHT, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
    for index in range(count):
        figure.add_subplot(1, count, index + 1).set_axisbelow(True)
    return figure
