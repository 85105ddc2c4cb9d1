"""A group of rollouts of a report prompt, each beside its reference, word by word.

How words are marked is in :mod:`radvlm_course.viz.texts`. Where a labeller is given, each response
also says in words which findings agree with the reference, which it missed and which it made
up: shared words alone do not see that "no effusion" and "effusion" are opposites.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvlm_course.chat import split_thought
from radvlm_course.runs import Rollout
from radvlm_course.viz import style
from radvlm_course.viz.boxes import aspect_of
from radvlm_course.viz.films import Film, draw_film
from radvlm_course.viz.rollout_parts import (
    BARS_WIDTH,
    MARGIN,
    check_group,
    draw_bars,
    draw_header,
    group_name,
    header_height,
    shown_text,
)
from radvlm_course.viz.texts import (
    Word,
    draw_legend,
    draw_words,
    mark_words,
    missed_words,
    plain_words,
    words_height,
)

__all__ = ["FindingsOf", "compare_reports", "findings_note", "show_reports"]

FindingsOf = Callable[[str], Collection[tuple[str, str]]]

NO_RESPONSE = "(no response: the thought never ended)"
_TEXT_WIDTH = 5.6
_INDENT = 0.3
_NAME = 0.2  # inches that a row's name takes when it is a word
_NOTE_SIZE = 8.0
_FILM_WIDTH = 2.9


@dataclass(frozen=True)
class _Row:
    """One response ready to draw; height in inches."""

    name: str
    words: list[Word]
    note: list[str]

    @property
    def height(self) -> float:
        return max(0.34, words_height(self.words, _TEXT_WIDTH - _INDENT) + 0.15 * len(self.note) + 0.16)


@style.styled
def show_reports(
    rollouts: Sequence[Rollout],
    reference: str,
    film: Film | None = None,
    question: str = "",
    thinking: bool = False,
    finding_words: Collection[str] | None = None,
    findings_of: FindingsOf | None = None,
) -> Figure:
    """A group of a report prompt: each response with the words that it shares with the reference.

    Args:
        rollouts: one group, in the order to show.
        reference: the reference report.
        film: shown on the left if given.
        question: the prompt's text.
        thinking: the model was asked to think: a completion without ``</think>`` has no response.
        finding_words: lower-case words that count as findings; common chest X-ray findings by default.
        findings_of: reads the affirmed (finding, side) pairs of a report, such as
            ``phantoms.labeller.report_findings``; without it, missed finding words are listed.

    Raises:
        ValueError: no rollout, or rollouts of several groups.
    """
    check_group(rollouts)
    texts = {f"{number}": rollout.completion for number, rollout in enumerate(rollouts, start=1)}
    rows = _rows(texts, reference, thinking, finding_words, findings_of)
    figure, left, top, middles = _draw_reports(
        rows, reference, film, group_name(rollouts), question, finding_words, BARS_WIDTH
    )
    draw_bars(figure, rollouts, left + _TEXT_WIDTH + 0.2, top, middles)
    return figure


@style.styled
def compare_reports(
    completions: Mapping[str, str],
    reference: str,
    film: Film | None = None,
    question: str = "",
    thinking: bool = False,
    finding_words: Collection[str] | None = None,
    findings_of: FindingsOf | None = None,
) -> Figure:
    """Reports of several models on one film beside the reference, for before and after.

    Args:
        completions: the model's name -> its completion, in the order to show.

    Other arguments as :func:`show_reports`.

    Raises:
        ValueError: no completion.
    """
    if not completions:
        raise ValueError("expected at least one completion to compare with the reference, found none")
    rows = _rows(completions, reference, thinking, finding_words, findings_of)
    return _draw_reports(rows, reference, film, "", question, finding_words, 0.0)[0]


def _rows(
    completions: Mapping[str, str],
    reference: str,
    thinking: bool,
    finding_words: Collection[str] | None,
    findings_of: FindingsOf | None,
) -> list[_Row]:
    rows = []
    for name, completion in completions.items():
        response = split_thought(completion, thinking).response
        if findings_of is not None:
            note = findings_note(response or "", reference, findings_of)
        else:
            missed = missed_words(response or "", reference, finding_words)
            note = f"finding words missed: {', '.join(missed)}" if missed else ""
        lines = style.wrapped(note, _TEXT_WIDTH - _INDENT, _NOTE_SIZE, max_lines=3) if note else []
        if response:
            words = mark_words(shown_text(response), reference, finding_words)
        else:
            words = plain_words(NO_RESPONSE if response is None else shown_text(response), ())
        rows.append(_Row(name, words, lines))
    return rows


def _draw_reports(
    rows: Sequence[_Row],
    reference: str,
    film: Film | None,
    head: str,
    question: str,
    finding_words: Collection[str] | None,
    beside: float,
) -> tuple[Figure, float, float, list[float]]:
    """Everything but the bars.

    Args:
        beside: room to leave on the right, in inches.

    Returns:
        The figure, the left edge of the texts, the top of the rows, and the rows' middles below that top.
    """
    named = any(len(row.name) > 2 for row in rows)
    left = MARGIN if film is None else MARGIN + _FILM_WIDTH + 0.3
    film_height = 0.0 if film is None else _FILM_WIDTH * aspect_of(film)
    total = left + _TEXT_WIDTH + (0.2 + beside if beside else 0.0) - MARGIN
    given = plain_words(reference, finding_words)
    rows_top = 0.2 + words_height(given, _TEXT_WIDTH) + (0.24 if beside else 0.1)
    tall = rows_top + sum(row.height + _NAME * named for row in rows)
    start = header_height(head, question, total)
    figure = style.new_figure(total + 2 * MARGIN, start + max(tall, film_height) + 0.45)
    paper = style.page(figure)
    draw_header(paper, head, question, total)
    if film is not None:
        draw_film(style.axes_at(figure, MARGIN, start + 0.05, _FILM_WIDTH, film_height), film)
    paper.text(left, start + 0.08, "reference", va="center", fontsize=9, color=style.MUTED)
    draw_words(paper, given, left, start + 0.18, _TEXT_WIDTH)
    middles = _draw_rows(paper, rows, left, start + rows_top, named)
    draw_legend(paper, left, start + tall + 0.12)
    return figure, left, start + rows_top, middles


def _draw_rows(paper: Axes, rows: Sequence[_Row], left: float, top: float, named: bool) -> list[float]:
    """Draw the responses below each other; returns the middle of each, in inches below ``top``."""
    middles: list[float] = []
    y = top
    for row in rows:
        paper.plot([left, left + _TEXT_WIDTH], [y, y], color="#DDDDDD", linewidth=0.8)
        paper.text(left, y + 0.16, row.name, va="center_baseline", fontweight="bold")
        y += _NAME * named
        used = draw_words(paper, row.words, left + _INDENT, y + 0.06, _TEXT_WIDTH - _INDENT)
        for offset, line in enumerate(row.note):
            height = y + 0.06 + used + 0.09 + 0.15 * offset
            paper.text(left + _INDENT, height, line, va="center", fontsize=_NOTE_SIZE, color=style.MUTED)
        middles.append(y - top + row.height / 2)
        y += row.height
    return middles


def findings_note(response: str, reference: str, findings_of: FindingsOf) -> str:
    """Which findings of the reference a response has, missed and made up, in words.

    >>> findings_note("", "Left effusion.", lambda text: {("effusion", "left")} if text else set())
    'agrees: none · missed: left effusion'
    """
    found, true = set(findings_of(response)), set(findings_of(reference))
    if not found and not true:
        return "agrees: nothing abnormal in either"
    parts = [f"agrees: {_named(found & true) or 'none'}"]
    if true - found:
        parts.append(f"missed: {_named(true - found)}")
    if found - true:
        parts.append(f"made up: {_named(found - true)}")
    return " · ".join(parts)


def _named(pairs: Collection[tuple[str, str]]) -> str:
    return ", ".join(sorted(f"{side} {finding}".strip() for finding, side in pairs))
