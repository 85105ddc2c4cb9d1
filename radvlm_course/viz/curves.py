"""Training curves from a stage's ``metrics.jsonl``: SFT, GRPO, and several runs side by side.

Raw values are thin, their running mean is thick: single steps of RL are noisy and the trend is
what counts. Panels whose values were not logged are left out; a figure with no panel at all is an
error that says what was logged. Left out: live updating (run the cell again) and hosted loggers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from radvlm_course.runs import read_metrics
from radvlm_course.viz import style

__all__ = ["GRPO_PANELS", "SFT_PANELS", "CurveError", "Panel", "Source", "compare_runs", "grpo_curves", "sft_curves"]

Source = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
Series = tuple[np.ndarray, np.ndarray]


class CurveError(ValueError):
    """There is nothing to draw; the message says what was logged."""


@dataclass(frozen=True)
class Panel:
    """One set of axes of a training figure.

    Attributes:
        title: what it shows and which way is better, if either.
        keys: metric key -> its name in the legend; ``*`` stands for any reward's name.
        note: what to look for, in a few words.
        smooth: draw the running mean; False for what is set, not measured.
    """

    title: str
    keys: Mapping[str, str]
    note: str = ""
    smooth: bool = True


GRPO_PANELS = (
    Panel("Reward (higher is better)", {"reward": "reward", "rewards/*/mean": "*"}),
    Panel(
        "Spread within groups",
        {"reward_std": "standard deviation of rewards", "frac_reward_zero_std": "share of groups without spread"},
        "no spread, no learning",
    ),
    Panel("KL from the starting model", {"kl": "KL"}, "how far the policy has moved"),
    Panel(
        "Length of completions (tokens)",
        {"completions/mean_length": "mean", "completions/max_length": "longest", "completions/min_length": "shortest"},
    ),
    Panel("Entropy of the policy (nats a token)", {"entropy": "entropy"}, "low: little left to explore"),
    Panel("Loss", {"loss": "loss"}, "not a measure of quality in GRPO"),
)

SFT_PANELS = (
    Panel("Loss (lower is better)", {"loss": "training", "eval_loss": "held-out"}),
    Panel(
        "Share of right next tokens (higher is better)",
        {"mean_token_accuracy": "training", "eval_mean_token_accuracy": "held-out"},
    ),
    Panel("Learning rate", {"learning_rate": "learning rate"}, smooth=False),
)


def read_series(source: Source) -> dict[str, Series]:
    """Every numeric metric of a stage as (steps, values), both float arrays of equal length.

    Args:
        source: the stage's folder, its ``metrics.jsonl``, or the rows themselves (each with ``step``).
            Values that are missing, not numbers or not finite are left out of their curve.

    Raises:
        CurveError: a row has no step.
        RunError: the file is missing or is not JSON.
    """
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        rows: list[Mapping[str, Any]] = list(
            read_metrics(os.path.dirname(path) or "." if path.endswith(".jsonl") else path)
        )
    else:
        rows = list(source)
    points: dict[str, dict[float, float]] = {}
    for row in rows:
        if "step" not in row:
            raise CurveError(f"expected a step in every logged row, found only {', '.join(row)}")
        for key, value in row.items():
            if key != "step" and _is_number(value):
                points.setdefault(key, {})[float(row["step"])] = float(value)
    return {key: (np.array(sorted(at)), np.array([at[step] for step in sorted(at)])) for key, at in points.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over a window centred on each point, cut off at both ends.

    >>> running_mean(np.array([0.0, 3.0, 6.0, 0.0]), 3).tolist()
    [1.5, 3.0, 3.0, 3.0]
    """
    if window < 1:
        raise ValueError(f"expected a window of at least 1 point, found {window}")
    half, count = (window - 1) // 2, len(values)
    total = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(count) - half, 0)
    last = np.minimum(np.arange(count) + half + 1, count)
    return (total[last] - total[first]) / (last - first)


def default_window(count: int) -> int:
    """About a tenth of the points, odd, at least 1."""
    return max(1, count // 10) | 1


def _present(panel: Panel, series: Mapping[str, Series]) -> list[tuple[str, str]]:
    """The panel's (key, name) pairs that were logged, stars filled in."""
    found: list[tuple[str, str]] = []
    for key, name in panel.keys.items():
        if "*" not in key:
            found += [(key, name)] if key in series else []
            continue
        before, after = key.split("*")
        matching = sorted(other for other in series if other.startswith(before) and other.endswith(after))
        if len(matching) > 1:  # a single component is the reward itself
            found += [(other, other[len(before) : len(other) - len(after)]) for other in matching]
    return found


def _draw(axes: Axes, series: Series, name: str, colour: str, line: str, window: int | None) -> None:
    steps, values = series
    smooth = running_mean(values, window or default_window(len(values)))
    if len(values) < 3:
        axes.plot(steps, values, "o", color=colour, label=name)
        return
    axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.35)
    axes.plot(steps, smooth, color=colour, linewidth=2, linestyle=line, label=name)


def _grid(count: int, columns: int) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels; columns as wide as fits three in a notebook."""
    columns = min(columns, count)
    rows = -(-count // columns)
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.09)
    figure = style.new_figure(3.7 * columns, 2.75 * rows + 0.35, layout=layout)
    axes = [figure.add_subplot(rows, columns, index + 1) for index in range(count)]
    for one in axes:
        one.grid(axis="y")
        one.set_axisbelow(True)
        one.margins(x=0.02)
        one.set_xlabel("step")
    return figure, axes


def _finish(axes: Axes, panel: Panel, lines: int) -> None:
    axes.set_title(panel.title)
    if panel.note:
        axes.set_title(panel.title + "\n", pad=4)
        axes.annotate(
            panel.note,
            (0, 1),
            xytext=(0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=8.5,
            color=style.MUTED,
            va="bottom",
        )
    if lines > 1:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.16 * lines * (high - low))  # room for the legend above the lines
        axes.legend(loc="upper left", borderaxespad=0.2, handlelength=1.6)
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:.4g}")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _curves(source: Source, panels: Sequence[Panel], title: str, window: int | None) -> Figure:
    series = read_series(source)
    shown = [(panel, present) for panel in panels if (present := _present(panel, series))]
    if not shown:
        wanted = ", ".join(key for panel in panels for key in panel.keys)
        raise CurveError(
            f"nothing to draw: expected at least one of {wanted}; "
            f"found {', '.join(sorted(series)) or 'no logged number at all'}"
        )
    figure, all_axes = _grid(len(shown), columns=3)
    for axes, (panel, present) in zip(all_axes, shown, strict=True):
        for index, (key, name) in enumerate(present):
            colour, line = style.SERIES[index % 6], style.LINE_STYLES[index % 4]
            _draw(axes, series[key], name, colour, line, window if panel.smooth else 1)
        _finish(axes, panel, len(present))
    if title:
        figure.suptitle(style.printable(title), x=0.01, ha="left", fontsize=11.5)
    return figure


@style.styled
def grpo_curves(
    source: Source, title: str = "", window: int | None = None, panels: Sequence[Panel] = GRPO_PANELS
) -> Figure:
    """How a GRPO run went: reward, spread within groups, KL, length, entropy, loss.

    Args:
        source: the stage's folder, its ``metrics.jsonl``, or its rows.
        window: points in the running mean (odd); a tenth of the run by default.
        panels: what to draw; those without a logged value are left out.

    Raises:
        CurveError: none of the panels has a logged value.
        RunError: the file is missing or is not JSON.
    """
    return _curves(source, panels, title, window)


@style.styled
def sft_curves(
    source: Source, title: str = "", window: int | None = None, panels: Sequence[Panel] = SFT_PANELS
) -> Figure:
    """How a supervised run went: loss, right next tokens, learning rate. Arguments as :func:`grpo_curves`."""
    return _curves(source, panels, title, window)


@style.styled
def compare_runs(
    sources: Mapping[str, Source],
    keys: Mapping[str, str] | None = None,
    title: str = "",
    window: int | None = None,
) -> Figure:
    """The same metrics of several runs, one panel a metric, one line a run.

    Args:
        sources: the run's name -> where its metrics are, as in :func:`grpo_curves`.
        keys: metric key -> the panel's title; reward, KL, mean length and entropy by default.

    Raises:
        CurveError: no run, or no run logged any of the keys.
        RunError: a file is missing or is not JSON.
    """
    if not sources:
        raise CurveError("expected at least one run to compare, found none")
    wanted = keys or {
        "reward": "Reward (higher is better)",
        "kl": "KL from the starting model",
        "completions/mean_length": "Mean length (tokens)",
        "entropy": "Entropy (nats a token)",
    }
    runs = {name: read_series(source) for name, source in sources.items()}
    shown = {key: name for key, name in wanted.items() if any(key in series for series in runs.values())}
    if not shown:
        logged = {name: sorted(series) for name, series in runs.items()}
        raise CurveError(f"nothing to draw: expected at least one of {', '.join(wanted)}; found {logged}")
    figure, all_axes = _grid(len(shown), columns=2 if len(shown) in (2, 4) else 3)
    for axes, (key, name) in zip(all_axes, shown.items(), strict=True):
        for index, (run, series) in enumerate(runs.items()):
            if key in series:
                _draw(axes, series[key], run, style.SERIES[index % 6], style.LINE_STYLES[index % 4], window)
        _finish(axes, Panel(name, {key: name}), 1)
    _legend_below(figure, all_axes)
    if title:
        figure.suptitle(style.printable(title), x=0.01, ha="left", fontsize=11.5)
    return figure


def _legend_below(figure: Figure, all_axes: Sequence[Axes]) -> None:
    """One legend for all panels, each run once, also those that lack the first panel's metric."""
    lines = {}
    for axes in all_axes:
        handles, names = axes.get_legend_handles_labels()
        lines.update({name: handle for handle, name in zip(handles, names, strict=True) if name not in lines})
    figure.legend(
        list(lines.values()), list(lines), loc="outside lower left", ncols=min(4, len(lines)), handlelength=2.6
    )
