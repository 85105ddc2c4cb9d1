"""Grids of an experiment: all metrics against all rewards, and what was measured against what was trained on."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvlm_course.evaluation.tables import METRIC_TITLES, WITHOUT_DIRECTION
from radvlm_course.experiments.catalogue import METRICS
from radvlm_course.experiments.results import Answer, Results
from radvlm_course.experiments.verdicts import effect
from radvlm_course.viz import style
from radvlm_course.viz.experiment_parts import TASKS, arms_of, draw_cell, pale_legend

__all__ = ["draw_metrics_by_reward", "draw_trained_and_measured"]


@style.styled
def draw_metrics_by_reward(results: Results) -> Figure:
    """All metrics against all rewards: the change of each, green where an effect upwards is shown, pink downwards.

    The first row is the start; lengths are in mean words. Bold and coloured is what counts as an effect.

    Raises:
        ValueError: the experiment has no questions that compare a reward with the start.
    """
    table: dict[str, dict[str, Answer]] = {}
    for answer in results.answers:
        if answer.question.after.startswith("reward "):
            table.setdefault(answer.question.after.removeprefix("reward "), {})[answer.question.metric] = answer
    if not table:
        raise ValueError(f"expected questions about rewards, found none in {results.experiment!r}")
    metrics = list(next(iter(table.values())))
    label, wide, tall = 1.6, 1.12, 0.5
    figure = style.new_figure(label + wide * len(metrics) + 0.15, 1.3 + tall * (len(table) + 1) + 0.45)
    axes = style.axes_at(figure, label, 1.1, wide * len(metrics), tall * (len(table) + 1))
    for column, metric in enumerate(metrics):
        first = next(iter(table.values()))[metric]
        digits = _digits(metric)
        axes.text(column, 0, f"{first.before:.{digits}f}", ha="center", va="center", fontsize=9.5)
        for row, answers in enumerate(table.values(), start=1):
            _draw_cell(axes, column, row, answers[metric], list(table)[row - 1] == metric)
    axes.set(xlim=(-0.5, len(metrics) - 0.5), ylim=(len(table) + 0.5, -0.5))
    axes.set_xticks(range(len(metrics)), [_heading(metric) for metric in metrics])
    axes.set_yticks(range(len(table) + 1), ["start", *table])
    _bare(axes)
    paper = style.page(figure)
    paper.text(0.12, 0.2, "Change of each metric (columns) by training on each reward (rows)", va="center", fontsize=11)
    pale_legend(figure, 0.3, 1.1 + tall * (len(table) + 1) + 0.3, "the reward itself", lengths=True)
    return figure


def _draw_cell(axes: Axes, column: int, row: int, answer: Answer, own: bool) -> None:
    found, digits = effect(answer), _digits(answer.question.metric)
    draw_cell(axes, column, row, answer, own)
    text = f"{answer.after:.{digits}f}\n{answer.all_seeds.value:+.{digits}f}"
    axes.text(column, row, text, ha="center", va="center", fontsize=9, weight="bold" if found else "normal")


def _digits(metric: str) -> int:
    return 1 if metric in WITHOUT_DIRECTION else 3


def _heading(metric: str) -> str:
    return "\n".join(style.wrapped(METRIC_TITLES.get(metric, metric), 0.95, 9))


@style.styled
def draw_trained_and_measured(results: Results) -> Figure:
    """A square for each task trained on (rows) and each that was measured (columns): the change, with its interval.

    Raises:
        ValueError: the experiment compares no arm with its start.
    """
    arms = arms_of(results)
    cells = {(a.question.after, a.question.task): a for a in results.answers if a.question.after in arms}
    if not cells:
        raise ValueError(f"expected arms that are compared with their start, found none in {results.experiment!r}")
    rows, columns = list(dict.fromkeys(arm for arm, _ in cells)), list(dict.fromkeys(task for _, task in cells))
    label, wide, tall = 1.5, 2.3, 0.95
    figure = style.new_figure(label + wide * len(columns) + 0.15, 1.1 + tall * len(rows) + 0.5)
    axes = style.axes_at(figure, label, 1.0, wide * len(columns), tall * len(rows))
    for row, arm in enumerate(rows):
        for column, task in enumerate(columns):
            if (arm, task) not in cells:
                continue
            answer = cells[arm, task]
            one, own = answer.all_seeds, task in arms[arm].tasks
            draw_cell(axes, column, row, answer, own)
            axes.text(column, row - 0.14, f"{one.value:+.3f}", ha="center", va="center", fontsize=13, weight="bold")
            text = f"[{one.low:+.3f}, {one.high:+.3f}]\n{answer.before:.3f} → {answer.after:.3f}"
            axes.text(column, row + 0.22, text, ha="center", va="center", fontsize=8.5)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xticks(
        range(len(columns)), [f"measured on {TASKS[task]}\n({METRIC_TITLES[METRICS[task]]})" for task in columns]
    )
    axes.set_yticks(range(len(rows)), [f"trained {arm}" for arm in rows])
    _bare(axes)
    style.page(figure).text(0.12, 0.2, results.title, va="center", fontsize=11)
    pale_legend(figure, 0.3, 1.0 + tall * len(rows) + 0.3, "trained on it")
    return figure


def _bare(axes: Axes) -> None:
    axes.tick_params(length=0, labeltop=True, labelbottom=False, labelsize=9.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
