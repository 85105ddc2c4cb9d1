"""Pieces that every figure of a group of rollouts shares: its header, its bars, its checks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvlm_course.boxes import Box, parse_boxes
from radvlm_course.chat import split_thought
from radvlm_course.runs import Rollout
from radvlm_course.viz import style

__all__ = ["check_group", "draw_bars", "draw_header", "group_name", "header_height", "response_boxes", "shown_text"]

MARGIN = 0.15
BAR_WIDTH = 1.5
BARS_WIDTH = 2 * BAR_WIDTH + 0.15
MAX_SIGNS = 700
_QUESTION_SIZE = 10.5


def response_boxes(rollout: Rollout, thinking: bool = False) -> list[Box]:
    """The boxes of a completion's response; none if it has no response."""
    response = split_thought(rollout.completion, thinking).response
    return parse_boxes(response) if response else []


def check_group(rollouts: Sequence[Rollout]) -> None:
    """Raise ValueError unless these are rollouts of one group."""
    if not rollouts:
        raise ValueError("expected the rollouts of one group, found none")
    groups = sorted({(rollout.step, rollout.example_id) for rollout in rollouts})
    if len(groups) > 1:
        raise ValueError(f"expected rollouts of one group (one step, one example), found {len(groups)}: {groups[:4]}")


def shown_text(text: str) -> str:
    """A completion as it is shown: cut if very long, and said to be empty if it is."""
    return style.clipped_text(text.strip(), MAX_SIGNS) or "(empty)"


def _question_lines(question: str, width: float) -> list[str]:
    return style.wrapped(question, width, _QUESTION_SIZE, max_lines=3) if question else []


def header_height(head: str, question: str, width: float) -> float:
    """Inches from the top of the figure to where the header ends."""
    return MARGIN + (0.2 if head else 0.0) + 0.19 * len(_question_lines(question, width)) + 0.08


def draw_header(paper: Axes, head: str, question: str, width: float) -> float:
    """Write a small line and the question; returns where they end, as :func:`header_height`."""
    y = MARGIN
    if head:
        paper.text(MARGIN, y, style.wrapped(head, width, 9, max_lines=1)[0], va="top", color=style.MUTED)
        y += 0.2
    for number, line in enumerate(_question_lines(question, width)):
        paper.text(MARGIN, y + 0.19 * number, line, va="top", fontsize=_QUESTION_SIZE)
    return header_height(head, question, width)


def group_name(rollouts: Sequence[Rollout]) -> str:
    """Step, example and size of a group."""
    return f"step {rollouts[0].step} · {rollouts[0].example_id} · group of {len(rollouts)}"


def sign_colour(value: float) -> str:
    """Colour of an advantage: better or worse than the group."""
    return style.BETTER if value >= 0 else style.WORSE


def draw_bars(figure: Figure, rollouts: Sequence[Rollout], left: float, top: float, rows: Sequence[float]) -> None:
    """Rewards and advantages as two columns of bars.

    Args:
        left, top: in inches from the figure's top left corner.
        rows: the middle of each rollout's bar, in inches below ``top``; the last bar ends the columns.
    """
    height = rows[-1] + 0.2
    gaps = [second - first for first, second in itertools.pairwise(rows)] or [0.5]
    thickness = min(0.2, 0.7 * min(gaps))
    rewards = [rollout.reward for rollout in rollouts]
    axes = style.axes_at(figure, left, top, BAR_WIDTH, height)
    _bars(axes, rows, rewards, [style.SERIES[4]] * len(rows), "{:.2f}", thickness)
    mean = sum(rewards) / len(rewards)
    axes.axvline(mean, color=style.INK, linewidth=1, linestyle=":")
    axes.set_title(f"reward (mean {mean:.2f})", fontsize=9, pad=3)
    axes = style.axes_at(figure, left + BAR_WIDTH + 0.15, top, BAR_WIDTH, height)
    advantages = [rollout.advantage for rollout in rollouts]
    _bars(axes, rows, advantages, [sign_colour(value) for value in advantages], "{:+.2f}", thickness)
    axes.set_title("advantage", fontsize=9, pad=3)


def _bars(
    axes: Axes, rows: Sequence[float], values: Sequence[float], colours: Sequence[str], form: str, thickness: float
) -> None:
    """Horizontal bars with their values at the end; the sign shows by side, number and colour."""
    axes.barh(rows, values, height=thickness, color=colours)
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.5 * ((high - low) or 1.0)
    axes.set_xlim(low - (room if low < 0 else 0), high + (room if high > 0 or low == 0 else 0))
    axes.set_ylim(rows[-1] + 0.2, 0)
    for row, value in zip(rows, values, strict=True):
        side = -1 if value < 0 else 1
        axes.annotate(
            form.format(value),
            (value, row),
            xytext=(3 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=8.5,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )
    axes.axvline(0, color="#999999", linewidth=0.8)
    hide_frame(axes)


def hide_frame(axes: Axes) -> None:
    """No ticks and no border."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
