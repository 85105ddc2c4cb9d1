"""Two drawings that every notebook needs: where we are, and the idea of GRPO.

Drawn with matplotlib alone, so that they cost nothing to install and look alike everywhere. The
numbers in the second are computed by the reward itself, not written in.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from radvlm_course.boxes import Box, parse_boxes
from radvlm_course.rewards.soft_f1 import soft_f1
from radvlm_course.viz import style
from radvlm_course.viz.films import Film, draw_boxes, draw_film
from radvlm_course.viz.rollout_parts import sign_colour

__all__ = ["STAGES", "draw_grpo_idea", "draw_pipeline"]

HIGHLIGHT = "#FFE29A"
_BASE = "base"
_BASE_PLACE = (2.5, 2.1, 1.35, 0.5)

# stage -> (left, top, width, height in inches, title, what happens, notebook)
_PLACES: dict[str, tuple[float, float, float, float, str, str, str]] = {
    "curate": (0.15, 0.75, 1.75, 1.0, "Curate", "radiographs, labels,\nboxes → instructions", "notebook 01"),
    "sft": (2.3, 0.75, 1.75, 1.0, "SFT", "imitate the answers,\nall tasks at once", "notebook 02"),
    "cold_start": (4.45, 1.75, 1.75, 0.95, "Cold start", "optional: learn\nto think first", "notebook 03"),
    "grpo_reports": (6.75, 0.3, 1.8, 0.95, "GRPO: reports", "reward: likeness to\nthe true report", "notebook 04"),
    "grpo_grounding": (6.75, 1.45, 1.8, 0.95, "GRPO: grounding", "reward: overlap of\nboxes (soft-F1)", "notebook 05"),
    "evaluate": (9.0, 0.75, 1.75, 1.0, "Evaluate", "unseen patients,\nwith intervals", "notebook 06"),
}
STAGES = tuple(_PLACES)

EXAMPLE_TRUTH = (Box(0.38, 0.47, 0.76, 0.62),)
EXAMPLE_COMPLETIONS = (
    "It is at [0.35, 0.51, 0.75, 0.64].",
    "It is at [0.40, 0.46, 0.75, 0.61].",
    "At [0.10, 0.40, 0.45, 0.60].",
    "I see nothing.",
)


def _card(
    paper: Axes, place: tuple[float, float, float, float], face: str, edge: str, width: float = 1.2, line: Any = "-"
) -> None:
    left, top, wide, tall = place
    card = FancyBboxPatch((left, top), wide, tall, boxstyle="round,pad=0,rounding_size=0.09")
    card.set(facecolor=face, edgecolor=edge, linewidth=width, linestyle=line)
    paper.add_patch(card)


def _arrow(paper: Axes, start: tuple[float, float], end: tuple[float, float], line: Any = "-", bend: str = "") -> None:
    arrow = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=12, shrinkA=0, shrinkB=0, color="#777777", linewidth=1.4
    )
    arrow.set_linestyle(line)
    if bend:
        arrow.set_connectionstyle(bend)
    paper.add_patch(arrow)


@style.styled
def draw_pipeline(current: str | None = None) -> Figure:
    """The method from data to evaluation, with the current stage highlighted.

    Args:
        current: one of :data:`STAGES`, ``base`` (the model that SFT starts from), or None for the overview.

    Raises:
        ValueError: no such stage.
    """
    if current is not None and current not in (*STAGES, _BASE):
        raise ValueError(f"expected a stage, one of {', '.join((*STAGES, _BASE))}; found {current!r}")
    figure = style.new_figure(10.95, 2.95)
    paper = style.page(figure)
    frame = (6.6, 0.1, 2.1, 2.45)
    _card(paper, frame, "#FAFAFA", "#BBBBBB", 1.0)
    paper.text(7.65, 2.66, "reinforcement learning", ha="center", va="center", fontsize=8.5, color=style.MUTED)
    _card(paper, _BASE_PLACE, *_colours(current == _BASE))
    paper.text(3.175, 2.35, "base model", ha="center", va="center", fontsize=9)
    _arrow(paper, (3.175, 2.1), (3.175, 1.77))
    _arrow(paper, (1.9, 1.25), (2.28, 1.25))
    _arrow(paper, (4.05, 1.1), (6.58, 1.1))
    _arrow(paper, (4.05, 1.45), (5.3, 1.73), "--", "angle,angleA=0,angleB=90,rad=6")
    _arrow(paper, (6.2, 2.22), (6.58, 2.22), "--")
    _arrow(paper, (8.7, 1.25), (8.98, 1.25))
    for stage, (left, top, wide, tall, title, text, notebook) in _PLACES.items():
        face, edge, width = _colours(stage == current)
        _card(paper, (left, top, wide, tall), face, edge, width, "--" if stage == "cold_start" else "-")
        middle = left + wide / 2
        paper.text(middle, top + 0.18, title, ha="center", va="center", fontweight="bold", fontsize=10)
        paper.text(middle, top + 0.5, text, ha="center", va="center", fontsize=8.5, linespacing=1.15)
        paper.text(middle, top + tall - 0.13, notebook, ha="center", va="center", fontsize=7.5, color=style.MUTED)
    if current is not None:
        left, top, wide, tall = _BASE_PLACE if current == _BASE else _PLACES[current][:4]
        y = top + tall + 0.12 if current in (_BASE, "cold_start") else top - 0.11
        paper.text(left + wide / 2, y, "you are here", ha="center", va="center", fontsize=8.5, fontweight="bold")
    return figure


def _colours(here: bool) -> tuple[str, str, float]:
    """Face, edge and line width of a card."""
    return (HIGHLIGHT, style.INK, 2.4) if here else ("white", "#999999", 1.2)


def group_advantages(rewards: Sequence[float], epsilon: float = 1e-4) -> list[float]:
    """(reward - mean) / (standard deviation + epsilon) within one group, as TRL computes it (n - 1)."""
    mean = statistics.fmean(rewards)
    spread = statistics.stdev(rewards) if len(rewards) > 1 else 0.0
    return [(reward - mean) / (spread + epsilon) for reward in rewards]


@style.styled
def draw_grpo_idea(
    completions: Sequence[str] = EXAMPLE_COMPLETIONS,
    truth: Sequence[Box] = EXAMPLE_TRUTH,
    question: str = "Where is the finding?",
    film: Film | None = None,
) -> Figure:
    """One prompt, a group of rollouts, their rewards, their advantages, and what the policy does with them.

    Args:
        completions: the group; rewards are their soft-F1 against ``truth``.
        film: shown as the prompt with all boxes; without it only the boxes are drawn.

    Raises:
        ValueError: fewer than two completions: one alone has nothing to be compared with.
    """
    if len(completions) < 2:
        raise ValueError(f"expected a group of at least 2 completions to compare, found {len(completions)}")
    rewards = [soft_f1(parse_boxes(text), truth) for text in completions]
    advantages = group_advantages(rewards)
    top = 0.5
    height = max(2.5, 0.5 * len(completions))
    figure = style.new_figure(10.95, top + height + 0.5)
    paper = style.page(figure)
    lefts = (0.15, 2.6, 6.0, 7.7, 9.6)
    heads = ("1. one prompt", "2. a group of rollouts", "3. rewards", "4. advantages", "5. update")
    for left, head in zip(lefts, heads, strict=True):
        paper.text(left, 0.22, head, va="center", fontweight="bold", fontsize=10.5)
    _draw_prompt(paper, figure, film, truth, completions, question, lefts[0], top)
    rows = [top + height * (index + 0.5) / len(completions) for index in range(len(completions))]
    for row, text in zip(rows, completions, strict=True):
        _arrow(paper, (2.1, top + height / 2), (2.55, row))
        _card(paper, (2.6, row - 0.17, 3.1, 0.34), "white", style.PREDICTION, 1.4, "--")
        paper.text(2.7, row, style.wrapped(text, 2.9, 9, max_lines=1)[0], va="center", fontsize=9)
        _arrow(paper, (5.72, row), (5.95, row))
    _draw_values(paper, rows, rewards, advantages, lefts)
    mean, spread = statistics.fmean(rewards), statistics.stdev(rewards)
    below = top + height + 0.2
    paper.text(lefts[2], below, f"mean {mean:.2f}\ndeviation {spread:.2f}", va="center", fontsize=9)
    paper.text(lefts[3], below, "(reward - mean)\n/ deviation", va="center", fontsize=9)
    return figure


def _draw_prompt(
    paper: Axes,
    figure: Figure,
    film: Film | None,
    truth: Sequence[Box],
    completions: Sequence[str],
    question: str,
    left: float,
    top: float,
) -> None:
    import numpy as np

    axes = style.axes_at(figure, left, top, 1.9, 1.9)
    size = draw_film(axes, np.full((100, 100), 0.2) if film is None else film)
    draw_boxes(axes, truth, size, "truth", width=1.8)
    for text in completions:
        draw_boxes(axes, parse_boxes(text), size, "prediction", width=1.3)
    for number, line in enumerate(style.wrapped(question, 1.9, 9, max_lines=3)):
        paper.text(left, top + 2.02 + 0.17 * number, line, va="top", fontsize=9)


def _draw_values(
    paper: Axes, rows: Sequence[float], rewards: Sequence[float], advantages: Sequence[float], lefts: Sequence[float]
) -> None:
    """Bars of rewards and advantages, and the words for what follows."""
    from matplotlib.patches import Rectangle

    largest = max([1e-9, *map(abs, advantages)])
    middle = lefts[3] + 0.7
    paper.plot([lefts[2]] * 2, [rows[0] - 0.25, rows[-1] + 0.25], color="#999999", linewidth=0.8)
    paper.plot([middle] * 2, [rows[0] - 0.25, rows[-1] + 0.25], color="#999999", linewidth=0.8)
    for row, reward, advantage in zip(rows, rewards, advantages, strict=True):
        paper.add_patch(Rectangle((lefts[2], row - 0.1), 0.9 * reward, 0.2, color=style.SERIES[4], linewidth=0))
        paper.text(lefts[2] + 0.9 * reward + 0.06, row, f"{reward:.2f}", va="center", fontsize=9)
        wide = 0.45 * advantage / largest
        paper.add_patch(Rectangle((middle, row - 0.1), wide, 0.2, color=sign_colour(advantage), linewidth=0))
        side = 1 if advantage >= 0 else -1
        paper.text(
            middle + wide + 0.06 * side,
            row,
            f"{advantage:+.2f}",
            va="center",
            ha="left" if side > 0 else "right",
            fontsize=9,
        )
        word = "more likely ▲" if advantage > 0 else "less likely ▼" if advantage < 0 else "unchanged"
        paper.text(lefts[4], row, word, va="center", fontsize=9.5, fontweight="bold")
