"""A group of rollouts of one prompt: what the model wrote, what it earned, what it learns from.

GRPO compares the completions of one prompt with each other. These figures show that comparison:
every completion with its boxes on the film (:func:`show_group`, :func:`show_boxes_together`), or
its words beside the reference (:func:`show_reports`), and next to it its reward and its
advantage. A completion without a response (cut off in mid-thought) or without a box is shown as
what it is. Left out: the policy's probabilities, which rollouts do not record.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvlm_course.boxes import Box
from radvlm_course.runs import Rollout
from radvlm_course.viz import style
from radvlm_course.viz.boxes import aspect_of, draw_annotated, legend_of_kinds
from radvlm_course.viz.films import Film, draw_boxes, draw_film, place_labels
from radvlm_course.viz.report_rollouts import FindingsOf, compare_reports, show_reports
from radvlm_course.viz.rollout_parts import (
    BARS_WIDTH,
    MARGIN,
    check_group,
    draw_bars,
    draw_header,
    group_name,
    header_height,
    hide_frame,
    response_boxes,
    shown_text,
    sign_colour,
)

__all__ = ["FindingsOf", "compare_reports", "response_boxes", "show_boxes_together", "show_group", "show_reports"]

_SIZE = 8.5
_LINE = 0.155  # inches a line of text takes
_GAP = 0.16


@style.styled
def show_group(
    film: Film,
    rollouts: Sequence[Rollout],
    truth: Sequence[Box] = (),
    question: str = "",
    thinking: bool = False,
    columns: int = 4,
    width: float = 2.4,
) -> Figure:
    """A group of a grounding prompt: the film once for each rollout.

    Below each film stand the reward, the advantage (as a bar around zero) and the completion.

    Args:
        film: the prompt's film.
        rollouts: one group, in the order to show.
        truth: the ground-truth boxes, unit coordinates.
        question: the prompt's text.
        thinking: the model was asked to think: a completion without ``</think>`` has no response.
        columns: films in a row, at most.
        width: of a film, in inches.

    Raises:
        ValueError: no rollout, or rollouts of several groups.
    """
    check_group(rollouts)
    head = group_name(rollouts)
    columns = min(columns, len(rollouts))
    height = width * aspect_of(film)
    rows = [range(start, min(start + columns, len(rollouts))) for start in range(0, len(rollouts), columns)]
    texts = [style.wrapped(shown_text(rollout.completion), width, _SIZE, max_lines=4) for rollout in rollouts]
    below = [0.62 + _LINE * max(len(texts[index]) for index in row) for row in rows]
    total = columns * width + (columns - 1) * _GAP
    figure = style.new_figure(
        total + 2 * MARGIN, header_height(head, question, total) + len(rows) * height + sum(below) + 0.25
    )
    paper = style.page(figure)
    y = draw_header(paper, head, question, total)
    largest = max([1e-9, *(abs(rollout.advantage) for rollout in rollouts)])
    for row, room in zip(rows, below, strict=True):
        for column, index in enumerate(row):
            x = MARGIN + column * (width + _GAP)
            axes = style.axes_at(figure, x, y, width, height)
            draw_annotated(axes, film, truth, response_boxes(rollouts[index], thinking))
            _draw_scores(paper, rollouts[index], index + 1, x, y + height + 0.05, width)
            _draw_advantage(paper, figure, rollouts[index].advantage, largest, x, y + height + 0.34, width)
            block = "\n".join(texts[index])
            paper.text(x, y + height + 0.5, block, va="top", fontsize=_SIZE, linespacing=1.25)
        y += height + room
    legend_of_kinds(figure, MARGIN, y)
    return figure


def _draw_scores(paper: Axes, rollout: Rollout, number: int, x: float, y: float, width: float) -> None:
    words = f"#{number}  reward {rollout.reward:.2f}"
    paper.text(x, y + 0.09, words, va="center", fontweight="bold", fontsize=9)
    if len(rollout.rewards) > 1:
        start = style.text_width(words, 9, "bold") + 0.1
        parts = ", ".join(f"{name} {value:.2f}" for name, value in rollout.rewards.items())
        detail = style.wrapped(f"({parts})", width - start, 7.5, max_lines=1)[0]
        paper.text(x + start, y + 0.09, detail, va="center", fontsize=7.5, color=style.MUTED)


def _draw_advantage(
    paper: Axes, figure: Figure, advantage: float, largest: float, x: float, middle: float, width: float
) -> None:
    label = style.text_width("advantage +0.00 ", _SIZE)
    paper.text(x, middle, f"advantage {advantage:+.2f}", va="center", fontsize=_SIZE)
    axes = style.axes_at(figure, x + label, middle - 0.07, width - label, 0.14)
    axes.set(xlim=(-largest, largest), ylim=(-0.5, 0.5), facecolor=style.PALE)
    axes.barh([0], [advantage], height=0.9, color=sign_colour(advantage))
    axes.axvline(0, color="#777777", linewidth=0.8)
    hide_frame(axes)


@style.styled
def show_boxes_together(
    film: Film,
    rollouts: Sequence[Rollout],
    truth: Sequence[Box] = (),
    question: str = "",
    thinking: bool = False,
    width: float = 4.0,
) -> Figure:
    """A group of a grounding prompt: one film with the boxes of all rollouts, numbered.

    Beside it stand, under the same numbers, the completions with reward and advantage as bars. The
    boxes of completions that beat their group's mean are drawn thicker.

    Args, Raises: as :func:`show_group`.
    """
    check_group(rollouts)
    head = group_name(rollouts)
    height = width * aspect_of(film)
    text_left, text_width = MARGIN + width + 0.25, 3.0
    texts = [
        style.wrapped(shown_text(rollout.completion), text_width - 0.3, _SIZE, max_lines=3) for rollout in rollouts
    ]
    sizes = [max(0.3, _LINE * len(lines) + 0.12) for lines in texts]
    total = text_left + text_width + 0.2 + BARS_WIDTH - MARGIN
    body = max(height + 0.3, sum(sizes) + 0.25)
    figure = style.new_figure(total + 2 * MARGIN, header_height(head, question, total) + 0.08 + body + 0.1)
    paper = style.page(figure)
    top = draw_header(paper, head, question, total) + 0.08
    _draw_all_boxes(style.axes_at(figure, MARGIN, top, width, height), film, rollouts, truth, thinking)
    legend_of_kinds(figure, MARGIN, top + height + 0.1)
    middles, y = [], 0.12
    for number, (lines, tall) in enumerate(zip(texts, sizes, strict=True), start=1):
        middles.append(y + tall / 2)
        paper.text(text_left, top + middles[-1], f"{number}", va="center", fontweight="bold")
        block = "\n".join(lines)
        paper.text(text_left + 0.3, top + middles[-1], block, va="center", fontsize=_SIZE, linespacing=1.25)
        y += tall
    draw_bars(figure, rollouts, text_left + text_width + 0.2, top, middles)
    return figure


def _draw_all_boxes(axes: Axes, film: Film, rollouts: Sequence[Rollout], truth: Sequence[Box], thinking: bool) -> None:
    size = draw_film(axes, film)
    wanted = draw_boxes(axes, truth, size, "truth", width=2.6)
    for number, rollout in enumerate(rollouts, start=1):
        boxes = response_boxes(rollout, thinking)
        thick = 2.2 if rollout.advantage > 0 else 1.1
        wanted += draw_boxes(axes, boxes, size, "prediction", [f"{number}"] * len(boxes), thick)
    place_labels(axes, wanted, size)
