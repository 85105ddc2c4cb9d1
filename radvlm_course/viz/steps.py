"""One answer scored step by step: what is read of it, and every metric with the sum that gives its number.

The numbers are those of :mod:`radvlm_course.evaluation.steps`; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from radvlm_course.evaluation.steps import (
    COCO,
    CORRECTED,
    PAPER,
    GroupReading,
    Step,
    common_subsequence,
    rouge_tokens,
)
from radvlm_course.viz import style
from radvlm_course.viz.texts import Word, draw_words, plain_words, words_height

__all__ = ["draw_reading", "draw_steps", "draw_subsequence"]

READING_COLOURS = {PAPER: style.PREDICTION, CORRECTED: style.SERIES[0], COCO: style.SERIES[4], "": style.SERIES[0]}
"""As in the curves of average precision: the paper's reading orange, the corrected one blue."""

_MARGIN, _ROW, _LINE = 0.15, 0.3, 0.17
_SHARED = 4  # the shade of a word in the common subsequence


@style.styled
def draw_steps(steps: Sequence[Step], title: str = "", sum_width: float = 4.3) -> Figure:
    """A line a metric: which reading, the sum in numbers, and the value as a bar.

    Args:
        sum_width: of the column of sums, in inches; longer ones are broken.

    Raises:
        ValueError: no step.
    """
    if not steps:
        raise ValueError("expected at least one metric, found none")
    name = max(style.text_width(step.metric, 9.5, "bold") for step in steps) + 0.25
    reading, bar = 0.95, 1.6
    sums = [style.wrapped(step.sum, sum_width - 0.2, 9) for step in steps]
    tall = [max(_ROW, _LINE * len(lines) + 0.12) for lines in sums]
    top = 0.35 if title else 0.08
    figure = style.new_figure(_MARGIN + name + reading + sum_width + bar + 0.75, top + 0.3 + sum(tall) + 0.1)
    paper = style.page(figure)
    if title:
        paper.text(_MARGIN, 0.2, style.printable(title), va="center", fontsize=11)
    columns = (_MARGIN, _MARGIN + name, _MARGIN + name + reading, _MARGIN + name + reading + sum_width)
    for x, head in zip(columns, ("metric", "reading", "how it comes about", "value"), strict=True):
        paper.text(x, top + 0.15, head, va="center", fontsize=8.5, color=style.MUTED)
    y = top + 0.3
    for step, lines, height in zip(steps, sums, tall, strict=True):
        middle = y + height / 2
        paper.plot([_MARGIN, columns[-1] + bar + 0.5], [y, y], color="#E3E3E3", linewidth=0.8)
        paper.text(columns[0], middle, step.metric, va="center", fontweight="bold")
        paper.text(columns[1], middle, step.reading, va="center", fontsize=9, color=style.MUTED)
        for number, line in enumerate(lines):
            place = middle + _LINE * (number - (len(lines) - 1) / 2)
            paper.text(columns[2], place, line, va="center", fontsize=9)
        _draw_value(paper, step, columns[3], middle, bar)
        y += height
    return figure


def _draw_value(paper: Axes, step: Step, x: float, middle: float, width: float) -> None:
    paper.add_patch(Rectangle((x, middle - 0.08), width, 0.16, facecolor=style.PALE, linewidth=0))
    colour = READING_COLOURS[step.reading]
    paper.add_patch(Rectangle((x, middle - 0.08), width * min(1.0, max(0.0, step.value)), 0.16, facecolor=colour))
    paper.text(x + width + 0.08, middle, f"{step.value:.3f}", va="center", fontsize=9.5)


@style.styled
def draw_reading(response: str, groups: Sequence[GroupReading]) -> Figure:
    """An answer, and below it what two readers take from each bracketed group.

    Args:
        groups: as :func:`radvlm_course.evaluation.steps.read_groups` gives them.

    Raises:
        ValueError: the answer has no bracketed group.
    """
    if not groups:
        raise ValueError("expected an answer with at least one bracketed group, found none")
    columns = (_MARGIN, 3.1, 5.9)
    width = 8.6
    lines = style.wrapped(response, width - 0.4, 9.5)
    top = 0.35 + 0.18 * len(lines) + 0.2
    figure = style.new_figure(width, top + 0.3 + _ROW * len(groups) + 0.1)
    paper = style.page(figure)
    paper.text(_MARGIN, 0.16, "the answer", va="center", fontsize=8.5, color=style.MUTED)
    for number, line in enumerate(lines):
        paper.text(_MARGIN, 0.38 + 0.18 * number, line, va="center")
    for x, head in zip(columns, ("group in brackets", "this course's reader", "the paper's reader"), strict=True):
        paper.text(x, top + 0.12, head, va="center", fontsize=8.5, color=style.MUTED)
    for number, group in enumerate(groups):
        y = top + 0.3 + _ROW * (number + 0.5)
        paper.plot([_MARGIN, width - _MARGIN], [y - _ROW / 2] * 2, color="#E3E3E3", linewidth=0.8)
        paper.text(columns[0], y, style.clipped_text(style.printable(group.text), 38), va="center", fontsize=9)
        for x, (good, words) in zip(columns[1:], (_ours(group), _theirs(group)), strict=True):
            colour = style.BETTER if good else style.WORSE if good is not None else style.MUTED
            paper.plot([x + 0.06], [y], "o" if good else "x", color=colour, markersize=6, markeredgewidth=2)
            paper.text(x + 0.2, y, words, va="center", fontsize=9)
    return figure


def _ours(group: GroupReading) -> tuple[bool | None, str]:
    if group.ours is not None:
        return True, "a box"
    return (False, "malformed, counted") if group.malformed else (None, "words")


def _theirs(group: GroupReading) -> tuple[bool | None, str]:
    if group.paper is None:
        return False, "stops with an error"
    if not group.paper:
        return None, "not seen"
    return (True, "a box") if group.ours is not None else (False, "taken for a box")


@style.styled
def draw_subsequence(response: str, reference: str) -> Figure:
    """Two reports with the words of their longest common subsequence shaded, and the ROUGE-L that follows.

    Raises:
        ValueError: one of the texts has no word.
    """
    sides = [plain_words(text, ()) for text in (reference, response)]
    stems = [[rouge_tokens(word.text) for word in words] for words in sides]
    flat = [[(place, stem) for place, found in enumerate(side) for stem in found] for side in stems]
    if not all(flat):
        raise ValueError("expected words in both texts, found a text without any")
    pairs = common_subsequence(*([stem for _, stem in side] for side in flat))
    width, y = 6.6, 0.3
    shaded = [_shaded(words, [flat[side][pair[side]][0] for pair in pairs]) for side, words in enumerate(sides)]
    tall = sum(words_height(words, width) for words in shaded)
    figure = style.new_figure(width + 2 * _MARGIN, tall + 1.55)
    paper = style.page(figure)
    for name, words in zip(("reference", "response"), shaded, strict=True):
        paper.text(_MARGIN, y - 0.12, name, va="center", color=style.MUTED)
        y += draw_words(paper, words, _MARGIN, y, width) + 0.34
    n, (theirs, ours) = len(pairs), (len(side) for side in flat)
    lines = (
        f"shaded: {n} words in the same order in both; gaps are free, endings do not count",
        f"precision {n} / {ours}, recall {n} / {theirs}, ROUGE-L = 2 \u00b7 {n} / ({ours} + {theirs}) = "
        f"{2 * n / (ours + theirs):.3f}",
    )
    for number, line in enumerate(lines):
        paper.text(_MARGIN, y + 0.22 * number, line, va="center", fontweight="bold" if number else "normal")
    return figure


def _shaded(words: Sequence[Word], places: Sequence[int]) -> list[Word]:
    chosen = set(places)
    return [Word(w.text, _SHARED if place in chosen else 0, "", w.spaced) for place, w in enumerate(words)]
