"""Published figures of rewards, drawn with their source below: what they cost, and what training on them did."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from radvlm_course.rewards.lab.published import PublishedRewards, PublishedTraining
from radvlm_course.viz import style
from radvlm_course.viz.reward_table import draw_reward_table

__all__ = ["draw_published_costs", "draw_published_pairs", "draw_published_training"]

_SMALL = 8.0


def draw_published_pairs(figures: PublishedRewards) -> Figure:
    """Five pairs of sentences under four metrics, as a table with both sentences.

    Framed is a wrong response that earns no less than the paraphrase.
    """
    notes = {pair["kind"]: f"{pair['reference']} \u2192 {pair['response']}" for pair in figures.pairs}
    return draw_reward_table(
        figures.scores(),
        notes,
        right=("reference", "paraphrase"),
        yardstick="paraphrase",
        title="Published: reference \u2192 response, and what each metric gives for it",
        caption=f"Source: {figures.citation}. {figures.note}",
        name_width=5.2,
        decimals=3,
    )


@style.styled
def draw_published_costs(figures: PublishedRewards) -> Figure:
    """Milliseconds a pair, on a logarithmic scale."""
    costs = figures.milliseconds_per_pair
    lines = style.wrapped(f"Measured on {figures.machine}. Source: {figures.citation}.", 7.0, _SMALL)
    figure = style.new_figure(7.4, 3.2 + 0.16 * len(lines))
    axes = style.axes_at(figure, 1.0, 0.35, 5.6, 2.2)
    axes.barh(range(len(costs)), list(costs.values()), color=style.SERIES[0], height=0.6)
    axes.set_xscale("log")
    axes.set_xticks([0.1, 1, 10, 100, 1000], ["0.1", "1", "10", "100", "1,000"])
    axes.minorticks_off()
    for row, value in enumerate(costs.values()):
        axes.annotate(f"{value:,g}", (value, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(costs)), list(costs))
    axes.set(ylim=(len(costs) - 0.5, -0.5), xlabel="milliseconds a pair", title="What a reward costs")
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    _source(figure, lines, 3.15)
    return figure


@style.styled
def draw_published_training(
    figures: PublishedTraining, columns: Sequence[str] = ("characters", "RadGraph", "CheXbert micro", "GREEN")
) -> Figure:
    """One model trained on one reward after the other: a panel a measure, a bar a reward.

    The reward of the shortest reports has another colour.

    Args:
        columns: measures of the paper's table; for all of these but the length, higher is better.
    """
    width, gap, label = 1.55, 0.25, 1.45
    lines = style.wrapped(f"{figures.machine}. Source: {figures.citation}. {figures.note}", 8.2, _SMALL)
    figure = style.new_figure(label + len(columns) * (width + gap) + 0.1, 2.7 + 0.16 * len(lines))
    names = [run["reward"] for run in figures.runs]
    shortest = min(figures.runs, key=lambda run: run["characters"])["reward"]
    for number, column in enumerate(columns):
        axes = style.axes_at(figure, label + number * (width + gap), 0.65, width, 1.75)
        values = [run[column] for run in figures.runs]
        colours = [style.SERIES[1] if name == shortest else style.SERIES[0] for name in names]
        axes.barh(range(len(values)), values, height=0.62, color=colours)
        for row, value in enumerate(values):
            text = f"{value:.1f}" if isinstance(value, float) else f"{value}"
            axes.annotate(text, (value, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set(xlim=(0, 1.3 * max(values)), ylim=(len(values) - 0.5, -0.5), xticks=[])
        axes.set_yticks(range(len(values)), names if number == 0 else [])
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
        axes.set_title(column)
    style.page(figure).text(0.12, 0.2, "Published: the same model, paid by one reward after the other", fontsize=11)
    _source(figure, lines, 2.65)
    return figure


def _source(figure: Figure, lines: Sequence[str], top: float) -> None:
    paper = style.page(figure)
    for number, line in enumerate(lines):
        paper.text(0.12, top + 0.16 * number, line, va="center", fontsize=_SMALL, color=style.MUTED)
