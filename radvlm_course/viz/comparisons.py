"""Comparisons with their uncertainty: paired differences, models against priors, the bootstrap itself.

Intervals come in ready (:mod:`radvlm_course.evaluation.statistics`); only the toy of :func:`draw_bootstrap` draws
samples, to show what such an interval is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from radvlm_course.evaluation.comparison import Comparison
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.evaluation.summary import AgainstPrior, verdict
from radvlm_course.evaluation.tables import METRIC_TITLES
from radvlm_course.viz import style

__all__ = [
    "draw_against_prior",
    "draw_bootstrap",
    "draw_differences",
    "draw_p_values",
    "draw_patients",
    "resampled_means",
]

_ROW = 0.36  # inches
_COLOURS = {"better": style.BETTER, "worse": style.WORSE, "not shown": "#8A8A8A"}
_MARKS = {"better": "^", "worse": "v", "not shown": "o"}


@style.styled
def draw_differences(panels: Mapping[str, Mapping[str, Interval]], title: str = "", columns: int = 3) -> Figure:
    """Paired differences around zero, one panel a metric, one row a comparison.

    Green upward marks: the interval lies above zero; pink downward marks: below; grey circles: it holds zero.

    Args:
        panels: the panel's title -> name of the comparison -> interval of the difference.

    Raises:
        ValueError: nothing to show.
    """
    if not panels or not any(panels.values()):
        raise ValueError("expected at least one panel with one difference, found none")
    names = list(dict.fromkeys(name for rows in panels.values() for name in rows))
    label = max(style.text_width(name, 9) for name in names) + 0.25
    width, gap, above, below = 2.4, 0.5, 0.45, 0.4
    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    body = _ROW * len(names) + 0.1
    top = 0.4 if title else 0.1
    figure = style.new_figure(label + columns * (width + gap) + 0.1, top + lines * (above + body + below) + 0.25)
    paper = style.page(figure)
    if title:
        paper.text(0.12, 0.2, title, va="center", fontsize=11)
    for index, (panel, rows) in enumerate(panels.items()):
        line, column = divmod(index, columns)
        x, y = label + column * (width + gap), top + line * (above + body + below) + above
        axes = style.axes_at(figure, x, y, width, body)
        axes.set_title(panel, pad=6)
        _draw_rows(axes, names, rows)
        axes.set_yticks(range(len(names)), names if column == 0 else [])
    _verdict_legend(figure, top + lines * (above + body + below) + 0.1, label)
    return figure


def _draw_rows(axes: Axes, names: Sequence[str], rows: Mapping[str, Interval]) -> None:
    axes.axvline(0, color="#555555", linewidth=1)
    reach = 0.0
    for place, name in enumerate(names):
        interval = rows.get(name)
        if interval is None or interval.value != interval.value:
            axes.text(0, place, "not measured", ha="center", va="center", fontsize=8, color=style.MUTED)
            continue
        said = verdict(interval)
        colour = _COLOURS[said]
        axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2)
        axes.plot([interval.value], [place], _MARKS[said], color=colour, markersize=7)
        place_text = (interval.value, place)
        axes.annotate(
            f"{interval.value:+.3f}", place_text, xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8
        )
        reach = max(reach, abs(interval.low), abs(interval.high))
    reach = 1.25 * reach if reach > 0 else 0.01
    axes.set(xlim=(-reach, reach), ylim=(len(names) - 0.45, -0.8))
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=4)


def _verdict_legend(figure: Figure, y: float, left: float) -> None:
    meanings = {"better": "interval above zero", "worse": "interval below zero", "not shown": "interval holds zero"}
    handles = [
        Line2D([], [], marker=_MARKS[said], color=_COLOURS[said], linewidth=2, label=text)
        for said, text in meanings.items()
    ]
    width, height = figure.get_size_inches()
    figure.legend(handles=handles, loc="center left", bbox_to_anchor=(left / width, 1 - y / height), ncols=3)


@style.styled
def draw_p_values(comparisons: Sequence[Comparison], title: str = "") -> Figure:
    """p-values before (hollow) and after Holm's correction (filled), on a logarithmic scale, the smallest first.

    Args:
        comparisons: of one family, as ``comparison.compare_models`` gives them.

    Raises:
        ValueError: no comparison with a p-value.
    """
    known = sorted((item for item in comparisons if item.p_value == item.p_value), key=lambda item: item.p_value)
    if not known:
        raise ValueError("expected at least one comparison with a p-value, found none")
    names = [
        f"{item.model}: {METRIC_TITLES.get(item.metric, item.metric)}, {item.task.replace('_', ' ')}" for item in known
    ]
    label = max(style.text_width(name, 9) for name in names) + 0.25
    body, top = 0.25 * len(known) + 0.1, 0.85 if title else 0.5
    figure = style.new_figure(label + 4.0, top + body + 0.6)
    if title:
        style.page(figure).text(0.12, 0.2, title, va="center", fontsize=11)
    axes = style.axes_at(figure, label, top, 3.6, body)
    axes.set_xscale("log")
    axes.set_xticks([0.0001, 0.001, 0.01, 0.1, 1], ["0.0001", "0.001", "0.01", "0.1", "1"])
    axes.minorticks_off()
    for place, item in enumerate(known):
        colour = style.SERIES[0] if item.p_corrected < 0.05 else "#8A8A8A"
        axes.plot([item.p_value, item.p_corrected], [place, place], color=colour, linewidth=1.5, alpha=0.5)
        axes.plot([item.p_value], [place], "o", color=colour, markerfacecolor="white", markersize=6)
        axes.plot([item.p_corrected], [place], "o", color=colour, markersize=6)
    axes.axvline(0.05, color=style.INK, linewidth=1, linestyle=":")
    axes.set(xlim=(0.7 * min(known[0].p_value, 0.001), 1.5), ylim=(len(known) - 0.4, -0.6))
    axes.set(xlabel='p-value of "no difference" (dotted: 0.05)')
    axes.set_yticks(range(len(known)), names)
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.spines["left"].set_visible(False)
    handles = [
        Line2D([], [], marker="o", color=style.INK, markerfacecolor="white", linewidth=0, label="alone"),
        Line2D([], [], marker="o", color=style.INK, linewidth=0, label=f"corrected for {known[0].family} tests (Holm)"),
    ]
    width, height = figure.get_size_inches()
    place_of_legend = (label / width, 1 - (top - 0.05) / height)
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=place_of_legend, ncols=2, borderaxespad=0)
    return figure


@style.styled
def draw_against_prior(rows: Sequence[AgainstPrior], metric: str, title: str = "") -> Figure:
    """Each label's score beside what the best prior gets without a film; the distance is what the model sees.

    Raises:
        ValueError: no label.
    """
    if not rows:
        raise ValueError("expected at least one label, found none")
    names = [f"{row.label} (n = {row.model.n})" for row in rows]
    label = max(style.text_width(name, 9.5) for name in names) + 0.3
    body = _ROW * len(rows) + 0.2
    figure = style.new_figure(label + 5.6, body + 1.15)
    axes = style.axes_at(figure, label, 0.45, 4.5, body)
    for place, row in enumerate(rows):
        colour = style.MUTED if abs(row.gain) < 0.005 else style.BETTER if row.gain > 0 else style.WORSE
        axes.plot([row.prior.value, row.model.value], [place, place], color=colour, linewidth=5, alpha=0.35)
        axes.plot([row.model.low, row.model.high], [place, place], color=style.SERIES[0], linewidth=1.3)
        axes.plot([row.prior.value], [place], "o", color=style.MUTED, markerfacecolor="white", markersize=7.5)
        axes.plot([row.model.value], [place], "o", color=style.SERIES[0], markersize=7.5)
        axes.text(1.03, place, f"{row.gain:+.2f}", transform=axes.get_yaxis_transform(), va="center", color=colour)
    axes.text(1.03, -0.95, "gain", transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    axes.set(xlim=(-0.03, 1.03), ylim=(len(rows) - 0.4, -0.6), xlabel=f"{metric} (higher is better)")
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    if title:
        axes.set_title(title, pad=12)
    handles = [
        Line2D([], [], marker="o", color=style.SERIES[0], label="model, with its interval"),
        Line2D(
            [], [], marker="o", color=style.MUTED, markerfacecolor="white", linewidth=0, label="best prior, no film"
        ),
    ]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.42 / body), ncols=2)
    return figure


def resampled_means(values: Sequence[float], clusters: Sequence[str], draws: int = 2000, seed: int = 0) -> np.ndarray:
    """Means of resamples that draw whole clusters with replacement, shape (draws,).

    Args:
        values: one for each film. clusters: what is drawn; give every film its own to draw single films.
    """
    names = sorted(set(clusters))
    sums = np.array([[v for v, c in zip(values, clusters, strict=True) if c == name] for name in names], dtype=object)
    totals = np.array([(sum(part), len(part)) for part in sums], dtype=float)
    drawn = np.random.default_rng(seed).integers(0, len(names), size=(draws, len(names)))
    picked = totals[drawn].sum(axis=1)
    return picked[:, 0] / picked[:, 1]


@style.styled
def draw_patients(values: Sequence[float], patients: Sequence[str], metric: str = "soft-F1") -> Figure:
    """The films of each patient as dots: how alike are films of one patient?"""
    names = list(dict.fromkeys(patients))
    figure = style.new_figure(6.2, 0.34 * len(names) + 0.8)
    axes = style.axes_at(figure, 1.3, 0.1, 4.7, 0.34 * len(names) + 0.1)
    for place, name in enumerate(names):
        own = [value for value, patient in zip(values, patients, strict=True) if patient == name]
        axes.plot(own, [place] * len(own), "o", color=style.SERIES[place % len(style.SERIES)], alpha=0.8, markersize=8)
    axes.set(xlim=(-0.03, 1.03), ylim=(len(names) - 0.5, -0.5), xlabel=f"{metric} of a film")
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="x")
    return figure


@style.styled
def draw_bootstrap(resamples: Mapping[str, np.ndarray], estimate: float, metric: str = "mean soft-F1") -> Figure:
    """Histograms of resampled estimates with their 95% intervals, below each other on one scale.

    Args:
        resamples: what was drawn -> the estimate in each resample.
        estimate: the value on the films themselves.

    Raises:
        ValueError: nothing was drawn.
    """
    if not resamples:
        raise ValueError("expected at least one set of resamples, found none")
    low, high = min(v.min() for v in resamples.values()), max(v.max() for v in resamples.values())
    bins = np.linspace(low, high, 41)
    tall, gap = 1.15, 0.5
    figure = style.new_figure(6.6, len(resamples) * (tall + gap) + 0.45)
    for index, (name, drawn) in enumerate(resamples.items()):
        axes = style.axes_at(figure, 0.3, 0.35 + index * (tall + gap), 6.0, tall)
        bounds = np.quantile(drawn, [0.025, 0.975])
        axes.hist(drawn, bins=bins.tolist(), color=style.SERIES[index], alpha=0.45)
        axes.axvline(estimate, color=style.INK, linewidth=1.2)
        height = axes.get_ylim()[1]
        axes.plot(bounds, [0.5 * height] * 2, color=style.SERIES[index], linewidth=3)
        axes.set_title(f"{name}: {estimate:.2f} [{bounds[0]:.2f}, {bounds[1]:.2f}]", fontsize=10)
        axes.set(yticks=[], xlim=(low, high))
        axes.spines["left"].set_visible(False)
        if index + 1 == len(resamples):
            axes.set_xlabel(f"{metric} in 2,000 resamples; the bar holds 95% of them")
    return figure
