"""Sentences of reports with the words marked that refer to an earlier study, and the rule that found each."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from radvlm_course.language.priors import find_prior_references
from radvlm_course.viz import style

__all__ = ["mark_priors"]

_SIZE = 9.5
_LINE = 0.21  # inches
_TEXT, _RULE, _MARGIN = 6.4, 1.6, 0.12
_MARKED = "#FBE3B4"  # the orange of predictions, pale


@style.styled
def mark_priors(sentences: Sequence[str]) -> Figure:
    """A row a sentence: its words, those that refer to an earlier study marked; on the right the rules that found them.

    Args:
        sentences: single sentences; longer ones are broken into lines.

    Raises:
        ValueError: there is no sentence.
    """
    if not sentences:
        raise ValueError("expected at least one sentence, found none")
    found = [find_prior_references(sentence) for sentence in sentences]
    rows = [_placed(sentence, [item.words for item in items]) for sentence, items in zip(sentences, found, strict=True)]
    tall = sum(lines * _LINE + 0.08 for _, lines in rows)
    figure = style.new_figure(_TEXT + _RULE + 2 * _MARGIN, tall + 2 * _MARGIN)
    paper = style.page(figure)
    top = _MARGIN
    for (words, lines), items in zip(rows, found, strict=True):
        for word, x, line, marked in words:
            background = {"boxstyle": "square,pad=0.12", "facecolor": _MARKED, "edgecolor": "none"} if marked else None
            ink = style.PREDICTION_INK if marked else style.INK
            place = (_MARGIN + x, top + (line + 0.5) * _LINE)
            paper.text(*place, word, fontsize=_SIZE, va="center_baseline", color=ink, bbox=background)
        rules = ", ".join(dict.fromkeys(item.rule.replace("_", " ") for item in items)) or "none"
        ink = style.PREDICTION_INK if items else style.MUTED
        paper.text(_MARGIN + _TEXT + 0.1, top + 0.5 * _LINE, rules, fontsize=8.5, va="center_baseline", color=ink)
        top += lines * _LINE + 0.08
    return figure


def _placed(sentence: str, references: Sequence[str]) -> tuple[list[tuple[str, float, int, bool]], int]:
    """(word, inches from the left, line, marked) of every word, and the number of lines."""
    text = " ".join(style.printable(sentence).split())
    spans = [(start, start + len(words)) for words in references if (start := text.find(words)) >= 0]
    placed: list[tuple[str, float, int, bool]] = []
    x, line, at = 0.0, 0, 0
    space = style.text_width("x x", _SIZE) - style.text_width("xx", _SIZE)
    for word in text.split(" "):
        wide = style.text_width(word, _SIZE)
        if x and x + wide > _TEXT:
            x, line = 0.0, line + 1
        marked = any(start < at + len(word) and at < stop for start, stop in spans)
        placed.append((word, x, line, marked))
        x, at = x + wide + space, at + len(word) + 1
    return placed, line + 1
