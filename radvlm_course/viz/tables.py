"""Results with their uncertainty: as dots with intervals, and as a table for notebooks and READMEs.

Numbers come in as :class:`radvlm_course.evaluation.statistics.Interval`; nothing is computed here.
A value without its interval is half a result, so both are always shown. Left out: stars and
p-values; whether one model beats another is read from the interval of their paired difference.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvlm_course.evaluation.statistics import Interval
from radvlm_course.viz import style

__all__ = ["Results", "ResultsTable", "dot_plot"]

Results = Mapping[str, Mapping[str, Interval]]

MISSING = "\N{EN DASH}"
_ROW = 0.32  # inches
_PANEL = 2.35


def _metrics(results: Results, metrics: Sequence[str] | None) -> list[str]:
    """The metrics to show, in order.

    Raises:
        ValueError: there is none, or one that no model has.
    """
    found = list(dict.fromkeys(name for values in results.values() for name in values))
    if not found:
        raise ValueError(f"expected at least one model with one metric, found {dict(results)!r:.200}")
    if unknown := sorted(set(metrics or ()) - set(found)):
        raise ValueError(f"no model has the metric {', '.join(unknown)}; there are {', '.join(found)}")
    return list(metrics) if metrics else found


@style.styled
def dot_plot(
    results: Results,
    metrics: Sequence[str] | None = None,
    title: str = "",
    baselines: Sequence[str] = (),
    lower_is_better: Sequence[str] = (),
    columns: int = 4,
) -> Figure:
    """Every metric in a panel of its own, every model in a row, dots with their intervals.

    Args:
        results: model -> metric -> interval; a model may lack a metric.
        metrics: which to show and in which order; all by default.
        baselines: models drawn hollow and grey (priors, published numbers).
        lower_is_better: metrics whose panel says so; all others say that higher is better.
        columns: panels in a row, at most.

    Raises:
        ValueError: nothing to show, or a metric that no model has.
    """
    shown = _metrics(results, metrics)
    models = list(results)
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    label = min(3.2, max(style.text_width(style.printable(model), 9.5) for model in models) + 0.2)
    body, above, below = _ROW * len(models) + 0.1, 0.5, 0.42
    top = 0.38 if title else 0.1
    figure = style.new_figure(label + columns * (_PANEL + 0.25) + 0.2, top + rows * (above + body + below))
    if title:
        style.page(figure).text(0.12, 0.22, style.printable(title), va="center", fontsize=11.5)
    for index, metric in enumerate(shown):
        row, column = divmod(index, columns)
        left = label + 0.1 + column * (_PANEL + 0.25)
        axes = style.axes_at(figure, left, top + row * (above + body + below) + above, _PANEL, body)
        _panel(axes, results, models, metric, baselines)
        names = [style.wrapped(model, label - 0.15, 9.5, max_lines=1)[0] for model in models]
        axes.set_yticks(range(len(models)), names if column == 0 else [])
        axes.tick_params(axis="y", labelsize=9.5, length=0)
        direction = "lower is better ←" if metric in lower_is_better else "higher is better →"
        axes.set_title(f"{style.printable(metric)}\n", pad=4)
        axes.annotate(
            direction,
            (0, 1),
            xytext=(0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=8,
            color=style.MUTED,
        )
    return figure


def _panel(axes: Axes, results: Results, models: Sequence[str], metric: str, baselines: Sequence[str]) -> None:
    for position, model in enumerate(models):
        interval = results[model].get(metric)
        if interval is None or math.isnan(interval.value):
            axes.text(0.02, position, MISSING, transform=axes.get_yaxis_transform(), va="center", color=style.MUTED)
            continue
        hollow = model in baselines
        colour = style.MUTED if hollow else style.SERIES[0]
        if not math.isnan(interval.low):
            axes.plot([interval.low, interval.high], [position, position], color=colour, linewidth=1.8, gid="interval")
        axes.plot(
            [interval.value],
            [position],
            "o",
            color=colour,
            markersize=6.5,
            markerfacecolor="white" if hollow else colour,
        )
        axes.annotate(
            f"{interval.value:.3f}",
            (interval.value, position),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
        )
    axes.set_ylim(len(models) - 0.4, -0.75)
    axes.margins(x=0.16)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)


@dataclass(frozen=True)
class ResultsTable:
    """A results table that shows itself as HTML in a notebook and prints as Markdown.

    Attributes:
        results: model -> metric -> interval.
        metrics: which to show and in which order; empty for all.
        caption: what was measured, on how many examples.
        lower_is_better: metrics in which the lowest value is the best.

    The best value of each metric is bold; that alone does not make it better (see the intervals).
    """

    results: Results
    metrics: tuple[str, ...] = ()
    caption: str = ""
    lower_is_better: tuple[str, ...] = ()

    def _cells(self) -> tuple[list[str], list[list[tuple[str, bool]]]]:
        """Metrics, and for each model its name and (text, is best) of every metric."""
        metrics = _metrics(self.results, self.metrics or None)
        rows: list[list[tuple[str, bool]]] = []
        for model, values in self.results.items():
            row = [(model, False)]
            for metric in metrics:
                interval = values.get(metric)
                undefined = interval is None or math.isnan(interval.value)
                row.append((MISSING, False) if undefined else (str(interval), interval == self._best(metric)))
            rows.append(row)
        return metrics, rows

    def _best(self, metric: str) -> Interval | None:
        found = [values[metric] for values in self.results.values() if metric in values]
        found = [interval for interval in found if not math.isnan(interval.value)]
        if len(found) < 2:
            return None
        choose = min if metric in self.lower_is_better else max
        return choose(found, key=lambda interval: interval.value)

    def to_markdown(self) -> str:
        """A GitHub table; intervals are 95% unless the caption says otherwise."""
        metrics, rows = self._cells()
        lines = ["| " + " | ".join(["", *map(_escaped, metrics)]) + " |", "|---|" + "---:|" * len(metrics)]
        for row in rows:
            lines.append("| " + " | ".join(f"**{text}**" if best else _escaped(text) for text, best in row) + " |")
        return "\n".join(lines + (["", self.caption] if self.caption else []))

    def to_html(self) -> str:
        """A table with its own plain style, readable on light and dark notebooks."""
        metrics, rows = self._cells()
        head = "".join(f'<th style="text-align:right;padding:4px 10px">{html.escape(name)}</th>' for name in metrics)
        lines = []
        for row in rows:
            cells = [f'<td style="text-align:left;padding:4px 10px">{html.escape(row[0][0])}</td>']
            for text, best in row[1:]:
                weight = "bold" if best else "normal"
                rule = f"text-align:right;padding:4px 10px;font-weight:{weight};white-space:nowrap"
                cells.append(f'<td style="{rule}">{html.escape(text)}</td>')
            lines.append(f"<tr>{''.join(cells)}</tr>")
        caption = f'<caption style="text-align:left">{html.escape(self.caption)}</caption>' if self.caption else ""
        return f"<table>{caption}<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __str__(self) -> str:
        return self.to_markdown()


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
