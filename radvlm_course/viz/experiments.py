"""Pictures of the experiments: each question with its interval and its seeds, and for each experiment the one that
answers it at a glance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from radvlm_course.evaluation.tables import METRIC_TITLES, WITHOUT_DIRECTION
from radvlm_course.experiments.arms import GENERAL_BASE, Arm
from radvlm_course.experiments.catalogue import METRICS
from radvlm_course.experiments.results import Answer, Results
from radvlm_course.experiments.verdicts import LEAST, effect, least_effect
from radvlm_course.viz import style
from radvlm_course.viz.experiment_grids import draw_metrics_by_reward, draw_trained_and_measured
from radvlm_course.viz.experiment_parts import COLOURS, MARKS, TASKS, legend_at, marks_legend, own_gains

__all__ = [
    "draw_answers",
    "draw_before_and_after",
    "draw_gain_against_start",
    "experiment_pictures",
    "picture_kinds",
    "show_experiment",
]

_ROW = 0.4  # inches
_BASES = {
    GENERAL_BASE: ("general-domain base", style.SERIES[1], "s"),
    "cold_start": ("domain SFT", style.SERIES[0], "o"),
}
_STARTS = {"start: sft_early": "early SFT", "start: sft": "SFT"}


def show_experiment(results: Results) -> Figure:
    """The picture that answers the experiment's question; :func:`draw_answers` where it has no other."""
    return next(iter(_drawers(results.experiment).values()))(results)


def experiment_pictures(results: Results) -> dict[str, Figure]:
    """Name -> picture, the most telling first."""
    return {kind: draw(results) for kind, draw in _drawers(results.experiment).items()}


def picture_kinds(experiment: str) -> tuple[str, ...]:
    """The names that :func:`experiment_pictures` gives; draws nothing."""
    return tuple(_drawers(experiment))


def _drawers(experiment: str) -> dict[str, Callable[[Results], Figure]]:
    differences: dict[str, Callable[[Results], Figure]] = {"differences": draw_answers}
    own: dict[str, dict[str, Callable[[Results], Figure]]] = {
        "matched_rl": {"before_and_after": draw_before_and_after, **differences},
        "reward_choice": {"metrics_by_reward": draw_metrics_by_reward},  # 28 questions, too many rows
        "sft_matters": {"gain_against_start": draw_gain_against_start, **differences},
        "cross_task": {"trained_and_measured": draw_trained_and_measured, **differences},
    }
    return own.get(experiment, differences)


@style.styled
def draw_answers(results: Results, title: str = "") -> Figure:
    """Every question's difference with its interval, the seeds as small hollow dots, a panel for each metric.

    The grey band holds what is too small to count (:func:`~radvlm_course.experiments.verdicts.rule_in_words`).

    Raises:
        ValueError: there are no answers.
    """
    panels: dict[tuple[str, str], list[Answer]] = {}
    for answer in results.answers:
        panels.setdefault((answer.question.task, answer.question.metric), []).append(answer)
    if not panels:
        raise ValueError("expected at least one answer, found none")
    label = max(style.text_width(answer.question.title, 9) for answer in results.answers) + 0.3
    wide, above, below, top = 4.3, 0.42, 0.6, 0.4
    height = top + sum(above + _ROW * len(rows) + below for rows in panels.values()) + 0.3
    figure = style.new_figure(label + wide + 0.25, height)
    style.page(figure).text(0.12, 0.2, title or results.title, va="center", fontsize=11)
    y = top
    for (task, metric), rows in panels.items():
        axes = style.axes_at(figure, label, y + above, wide, _ROW * len(rows))
        axes.set_title(f"{TASKS.get(task, task)}: {METRIC_TITLES.get(metric, metric)}", pad=6)
        _draw_rows(axes, rows)
        if metric not in WITHOUT_DIRECTION:
            axes.set_xlabel("difference; to the right is better", fontsize=8.5)
        y += above + _ROW * len(rows) + below
    marks_legend(figure, 0.1, y + 0.05)
    return figure


def _draw_rows(axes: Axes, rows: Sequence[Answer]) -> None:
    least = min(least_effect(answer) for answer in rows)
    axes.axvspan(-least, least, color=style.PALE, zorder=0)
    axes.axvline(0, color="#555555", linewidth=1)
    reach = least
    for place, answer in enumerate(rows):
        found, one = effect(answer), answer.all_seeds
        if one.value != one.value:
            axes.text(0, place, "not measured", ha="center", va="center", fontsize=8, color=style.MUTED)
            continue
        values = [item.value for item in answer.seeds.values()]
        axes.plot([one.low, one.high], [place, place], color=COLOURS[found], linewidth=2)
        axes.plot(values, [place + 0.22] * len(values), "o", color=style.INK, markerfacecolor="white", markersize=3.5)
        axes.plot([one.value], [place], MARKS[found], color=COLOURS[found], markersize=7)
        axes.annotate(
            f"{one.value:+.3f}", (one.value, place), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=8
        )
        reach = max(reach, *map(abs, (one.low, one.high, *values)))
    axes.set(xlim=(-1.2 * reach, 1.2 * reach), ylim=(len(rows) - 0.4, -0.75))
    axes.set_yticks(range(len(rows)), [answer.question.title for answer in rows])
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=6)


@style.styled
def draw_before_and_after(results: Results) -> Figure:
    """The level before and after GRPO, a panel for each task and mode, a line for each base; small dots are seeds.

    Raises:
        ValueError: the experiment compares no arm with its own start.
    """
    gains = own_gains(results)
    modes = {False: "direct", True: "thinking"}
    wide, tall, gap = 2.6, 2.2, 1.55
    figure = style.new_figure(0.8 + 2 * (wide + gap), 0.95 + 2 * (tall + 0.75) - 0.35)
    for row, task in enumerate(TASKS):
        top = max((max(a.before, a.after) for arm, a in gains if arm.tasks == (task,)), default=1.0)
        for column, (thinks, mode) in enumerate(modes.items()):
            axes = style.axes_at(figure, 0.8 + column * (wide + gap), 0.95 + row * (tall + 0.75), wide, tall)
            axes.set_title(f"{TASKS[task]}, {mode}", pad=8)
            shown = [(arm, answer) for arm, answer in gains if arm.tasks == (task,) and arm.thinking == thinks]
            _draw_slopes(axes, shown)
            axes.set(xlim=(-0.15, 1.15), ylim=(-0.04 * top, 1.15 * top))
            axes.set_xticks([0, 1], ["before GRPO", "after"])
            axes.set_ylabel(METRIC_TITLES[METRICS[task]] if column == 0 else "")
            axes.grid(axis="y")
            axes.set_axisbelow(True)
    handles = [Line2D([], [], marker=mark, color=colour, label=name) for name, colour, mark in _BASES.values()]
    handles.append(Line2D([], [], marker="o", color=style.INK, markerfacecolor="white", linewidth=0, label="a seed"))
    style.page(figure).text(0.12, 0.18, results.title, va="center", fontsize=11)
    legend_at(figure, handles, 0.7, 0.45, 3)
    return figure


def _draw_slopes(axes: Axes, shown: Sequence[tuple[Arm, Answer]]) -> None:
    for arm, answer in shown:
        _, colour, mark = _BASES[arm.start]
        axes.plot([0, 1], [answer.before, answer.after], color=colour, linewidth=2.2, marker=mark, markersize=7)
        seeds = [answer.before + item.value for item in answer.seeds.values()]
        axes.plot([0.9] * len(seeds), seeds, "o", color=colour, markerfacecolor="white", markersize=3.5, zorder=3)
        axes.annotate(
            f"{answer.before:.3f}",
            (0, answer.before),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=colour,
        )
        axes.annotate(
            f"{answer.after:.3f} ({answer.all_seeds.value:+.3f})",
            (1, answer.after),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=colour,
            annotation_clip=False,
        )


@style.styled
def draw_gain_against_start(results: Results) -> Figure:
    """What GRPO adds (upwards) against the level that it started from (to the right); hollow dots are seeds.

    Raises:
        ValueError: the experiment compares no arm with its own start.
    """
    gains = own_gains(results)
    figure = style.new_figure(6.4, 4.1)
    axes = style.axes_at(figure, 0.85, 0.5, 5.2, 2.75)
    axes.axhspan(-LEAST, LEAST, color=style.PALE, zorder=0)
    axes.axhline(0, color="#555555", linewidth=1)
    starts = [answer.before for _, answer in gains]
    room = max(0.1, max(starts) - min(starts))
    for _, answer in gains:
        found, one = effect(answer), answer.all_seeds
        axes.plot([answer.before] * 2, [one.low, one.high], color=COLOURS[found], linewidth=2)
        axes.plot([answer.before], [one.value], MARKS[found], color=COLOURS[found], markersize=8)
        for item in answer.seeds.values():
            beside = answer.before - 0.025 * room
            axes.plot([beside], [item.value], "o", color=style.INK, markerfacecolor="white", markersize=3.5)
        name = _STARTS.get(answer.question.before, answer.question.before.removeprefix("start: "))
        axes.annotate(
            f"{name}: {answer.before:.3f} → {answer.after:.3f} ({one.value:+.3f})",
            (answer.before, one.value),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    metric = METRIC_TITLES[gains[0][1].question.metric]
    axes.set(xlim=(min(starts) - 0.15 * room, max(starts) + 0.75 * room))
    axes.set(xlabel=f"{metric} before GRPO: the strength of the start", ylabel="gain by GRPO")
    axes.set_title(results.title)
    axes.margins(y=0.2)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    marks_legend(figure, 0.1, 3.95)
    return figure
