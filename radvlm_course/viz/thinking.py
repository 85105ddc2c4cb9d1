"""Pictures of the thinking mode: a thought beside its film, what a cut-off thought does to its group, and GRPO with
and without thoughts over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from radvlm_course.boxes import Box
from radvlm_course.chat import split_thought
from radvlm_course.records import Example
from radvlm_course.viz import style
from radvlm_course.viz.diagrams import group_advantages
from radvlm_course.viz.films import Film
from radvlm_course.viz.pairs import film_and_text
from radvlm_course.viz.rollout_parts import sign_colour

if TYPE_CHECKING:
    from radvlm_course.experiments.results import Results

__all__ = [
    "draw_cut_thoughts",
    "draw_length_and_reward",
    "draw_planted",
    "draw_stated",
    "draw_thinking_over_time",
    "show_completion",
    "show_thought",
]

_TEXT = 5.4
_ROWS = {
    "length": "tokens of a completion",
    "format_rate": "share with a closed thought",
    "reward": "reward of the response",
}
_MODES = {"direct": style.SERIES[0], "thinking": style.SERIES[1]}


@style.styled
def show_thought(film: Film, example: Example) -> Figure:
    """A film with its true boxes; beside it question, thought and answer of one trace."""
    labels = example.labels * len(example.boxes) if len(example.labels) == 1 else ()
    blocks = [
        ("question", f"{example.question} /think", ""),
        ("thought", example.thought, ""),
        ("answer", "", example.answer),
    ]
    return film_and_text(film, example.boxes, labels, blocks, _TEXT)


@style.styled
def show_completion(film: Film, example: Example, completion: str, truth: Sequence[Box] = ()) -> Figure:
    """A film; beside it what was asked, what a model thought and answered, and what is true."""
    found = split_thought(completion, thinking=True)
    blocks = [
        ("question", f"{example.question} /think", ""),
        ("the model's thought", found.thought or "(none)", ""),
        ("the model's answer", "", found.response or "(none: the thought was never closed)"),
        ("ground truth", example.answer, ""),
    ]
    return film_and_text(film, truth or example.boxes, (), blocks, _TEXT)


@style.styled
def draw_planted(counts: Mapping[str, tuple[int, int]], title: str = "") -> Figure:
    """Faults planted into clean traces, and how many of each the filters caught.

    Args:
        counts: fault -> (planted, caught).

    Raises:
        ValueError: nothing was planted.
    """
    if not counts:
        raise ValueError("expected at least one fault, found none")
    names = list(counts)
    label = max(style.text_width(name.replace("_", " "), 9) for name in names) + 0.3
    figure = style.new_figure(label + 4.6, 0.25 * len(names) + 0.95)
    axes = style.axes_at(figure, label, 0.4, 3.5, 0.25 * len(names) + 0.1)
    for row, name in enumerate(names):
        planted, caught = counts[name]
        axes.barh(row, planted, height=0.62, color=style.PALE, edgecolor="#999999")
        axes.barh(row, caught, height=0.62, color=style.BETTER if caught == planted else style.WORSE)
        axes.text(planted, row, f"  {caught} of {planted}", va="center", fontsize=8.5)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="traces", xlim=(0, 1.12 * max(p for p, _ in counts.values())))
    axes.tick_params(axis="y", length=0)
    axes.set_title(title or "Planted faults, and those that were caught")
    return figure


@style.styled
def draw_cut_thoughts(rewards: Sequence[float], floors: Mapping[str, float], cut: int = 1) -> Figure:
    """The advantages of one group in which some thoughts were cut off, under several values of such a completion.

    Args:
        rewards: of the completions that ended, in any order.
        floors: panel title -> what a completion without a response earns.
        cut: how many of those the group has beside.

    Raises:
        ValueError: fewer than two rewards, or no floor.
    """
    if len(rewards) < 2 or not floors:
        raise ValueError(f"expected at least two rewards and one floor, found {len(rewards)} and {len(floors)}")
    ordered = sorted(rewards, reverse=True)
    figure = style.new_figure(3.5 * len(floors) + 0.3, 3.3)
    paper = style.page(figure)
    for column, (title, floor) in enumerate(floors.items()):
        values = [*ordered, *[floor] * cut]
        advantages = group_advantages(values)
        axes = style.axes_at(figure, 0.75 + 3.5 * column, 0.55, 2.6, 2.05)
        axes.bar(range(len(values)), advantages, color=[sign_colour(value) for value in advantages])
        axes.axhline(0, color=style.INK, linewidth=0.8)
        axes.set_xticks(range(len(values)), [f"{value:.1f}" for value in values], fontsize=7.5)
        axes.set(xlabel="reward", ylim=(-3.0, 2.0))
        axes.set_title(title)
        spread = max(advantages[: len(ordered)]) - min(advantages[: len(ordered)])
        paper.text(
            0.75 + 3.5 * column,
            3.15,
            f"best and worst whole answer lie {spread:.2f} apart",
            fontsize=8.5,
            color=style.MUTED,
        )
        if not column:
            axes.set_ylabel("advantage")
    return figure


@style.styled
def draw_stated(pairs: Sequence[tuple[float, float]], title: str = "") -> Figure:
    """A number that thoughts state against the true one: on the diagonal it is right.

    Args:
        pairs: (stated, true).

    Raises:
        ValueError: no pair.
    """
    if not pairs:
        raise ValueError("expected at least one stated number, found none")
    stated, true = np.array(pairs).T
    figure = style.new_figure(4.4, 4.1)
    axes = style.axes_at(figure, 0.75, 0.5, 3.2, 3.0)
    low, high = min(stated.min(), true.min()) - 0.02, max(stated.max(), true.max()) + 0.02
    axes.plot([low, high], [low, high], color=style.MUTED, linewidth=1, linestyle="--")
    axes.plot(true, stated, "o", color=style.SERIES[0], markersize=4, alpha=0.45, markeredgewidth=0)
    axes.set(xlabel="true", ylabel="stated in the thought", xlim=(low, high), ylim=(low, high))
    axes.set_title(f"{title or 'Stated and true'}\nn = {len(pairs)}, mean error {np.abs(stated - true).mean():.3f}")
    return figure


@style.styled
def draw_length_and_reward(groups: Sequence[tuple[Sequence[int], Sequence[float]]]) -> Figure:
    """Rollouts by the words of their completion and their reward, each from its own group's mean.

    Args:
        groups: (words, rewards) of the rollouts of one prompt each.

    Raises:
        ValueError: no group.
    """
    if not groups:
        raise ValueError("expected at least one group, found none")
    words = np.concatenate([np.asarray(lengths) - np.mean(lengths) for lengths, _ in groups])
    rewards = np.concatenate([np.asarray(earned) - np.mean(earned) for _, earned in groups])
    figure = style.new_figure(5.4, 3.4)
    axes = style.axes_at(figure, 0.85, 0.5, 4.2, 2.3)
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.axvline(0, color="#999999", linewidth=0.8)
    axes.plot(words, rewards, "o", color=style.SERIES[0], markersize=5, alpha=0.55, markeredgewidth=0)
    defined = words.std() > 0 and rewards.std() > 0
    said = f"correlation {np.corrcoef(words, rewards)[0, 1]:+.2f}" if defined else "no spread"
    axes.set(xlabel="words more than the group's mean", ylabel="reward above the group's")
    axes.set_title(f"{len(words)} rollouts of {len(groups)} groups: {said}")
    return figure


@style.styled
def draw_thinking_over_time(results: Results, window: int = 5) -> Figure:
    """GRPO with and without thoughts, grounding and reports side by side: lengths, form, reward, held-out metric.

    Thin lines are seeds, thick ones their mean (a running mean over ``window`` steps); dots are the metric of greedy
    answers on films that are not trained on.

    Raises:
        ValueError: the experiment has no such arms.
    """
    tasks = {"grounding": "soft-F1 on held-out films", "reports": "GLEU on held-out films"}
    missing = [f"{task}, {mode}" for task in tasks for mode in _MODES if f"{task}, {mode}" not in results.curves]
    if missing:
        raise ValueError(f"expected the arms of the experiment 'thinking', missing {', '.join(missing)}")
    figure = style.new_figure(9.6, 9.6)
    for column, (task, metric) in enumerate(tasks.items()):
        for row, (name, label) in enumerate({**_ROWS, "watched": metric}.items()):
            axes = style.axes_at(figure, 0.8 + 4.7 * column, 0.5 + 2.25 * row, 3.9, 1.7)
            for mode, colour in _MODES.items():
                if name == "watched":
                    _draw_watched(axes, results, f"{task}, {mode}", colour)
                else:
                    _draw_seeds(axes, results.curves[f"{task}, {mode}"].get(name, []), colour, window)
            axes.set_title(f"{task}: {label}", fontsize=9.5)
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("GRPO step")
    handles = [Line2D([], [], color=colour, linewidth=2.2, label=mode) for mode, colour in _MODES.items()]
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.06, 1.0), ncols=2)
    return figure


def _draw_seeds(axes: Axes, seeds: Sequence[Sequence[float]], colour: str, window: int) -> None:
    if not seeds:
        return
    smooth = [np.convolve(values, np.ones(window) / window, mode="valid") for values in seeds]
    for values in smooth:
        axes.plot(np.arange(len(values)) + window, values, color=colour, linewidth=0.8, alpha=0.45)
    mean = np.mean(smooth, axis=0)
    axes.plot(np.arange(len(mean)) + window, mean, color=colour, linewidth=2.2)


def _draw_watched(axes: Axes, results: Results, arm: str, colour: str) -> None:
    for watched in results.watched[arm].values():
        axes.plot(watched.steps, watched.values, "o-", color=colour, linewidth=1.6, markersize=5)
