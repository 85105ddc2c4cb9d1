"""Reports with their findings highlighted: which the two share, which the response missed, which it invented.

A labeller reads the (finding, side) pairs that a text affirms; it is asked about the whole report and about each
sentence, and a sentence is coloured by the pairs that it adds. So any labeller will do, and a denial, which affirms
nothing, has no colour. A sentence with pairs of several kinds ("bilateral effusions" where one side is wrong) has
stripes of several colours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from radvlm_course.viz import style
from radvlm_course.viz.boxes import aspect_of
from radvlm_course.viz.films import Film, draw_film
from radvlm_course.viz.texts import LINE_SPACING, Word, draw_words, lay_out, words_height

__all__ = ["FINDING_COLOURS", "FindingsOf", "MarkedSentence", "draw_findings", "mark_findings"]

FindingsOf = Callable[[str], Collection[tuple[str, str]]]
State = Literal["matched", "missed", "invented"]

FINDING_COLOURS: dict[State, str] = {"matched": "#B5E2D2", "missed": "#BFE1F6", "invented": "#F8D58F"}
"""Green for both; the hue of ground truth for what only the reference has, that of predictions for what only the
response has."""

_SENTENCE = re.compile(r"[^.;:!?\n]+[.;:!?\n]*")
_MEANINGS: dict[State, str] = {
    "matched": "matched: both say it",
    "missed": "missed: only the reference",
    "invented": "invented: only the response",
}
_WIDTH, _FILM, _MARGIN, _SIZE = 5.8, 2.5, 0.15, 9.5


@dataclass(frozen=True)
class MarkedSentence:
    """One sentence, as written, and how the other report sees what it affirms.

    Attributes:
        states: pair -> whether the other report affirms it too; empty for a sentence that affirms nothing.
    """

    text: str
    states: dict[tuple[str, str], State]


def mark_findings(
    text: str, elsewhere: Collection[tuple[str, str]], findings_of: FindingsOf, reference: bool = False
) -> list[MarkedSentence]:
    """The sentences of a report, each with the (finding, side) pairs that it affirms.

    Args:
        elsewhere: the pairs that the report or reports to compare with affirm.
        findings_of: reads the affirmed pairs, such as ``phantoms.labeller.report_findings``.
        reference: ``text`` is the reference: what the others lack is missed; else it is invented.
    """
    own = set(findings_of(text))
    lacking: State = "missed" if reference else "invented"
    sentences = []
    for match in _SENTENCE.finditer(text):
        pairs = sorted(set(findings_of(match.group())) & own)
        states: dict[tuple[str, str], State] = {pair: "matched" if pair in elsewhere else lacking for pair in pairs}
        sentences.append(MarkedSentence(match.group().strip(), states))
    return sentences


@style.styled
def draw_findings(
    responses: Mapping[str, str | None],
    reference: str,
    findings_of: FindingsOf,
    film: Film | None = None,
    title: str = "",
) -> Figure:
    """Reports of several models below the reference, sentences coloured by what they affirm.

    Args:
        responses: name to show -> report; None or blank for no response.
        findings_of: see :func:`mark_findings`.
        film: shown on the left if given.

    Raises:
        ValueError: no response to show.
    """
    if not responses:
        raise ValueError("expected at least one report to compare with the reference, found none")
    texts = {name: (response or "").strip() for name, response in responses.items()}
    said = {pair for text in texts.values() for pair in findings_of(text)}
    name = "reference" if len(texts) == 1 else "reference (missed: by all)"
    blocks = [_Block(name, mark_findings(reference, said, findings_of, reference=True), [])]
    true = findings_of(reference)
    for name, text in texts.items():
        blocks.append(_Block(name, mark_findings(text, true, findings_of), _note(findings_of(text), true)))
    left = _MARGIN if film is None else _MARGIN + _FILM + 0.3
    film_height = 0.0 if film is None else _FILM * aspect_of(film)
    lines = style.wrapped(title, left + _WIDTH - _MARGIN, 10.5) if title else []
    top = _MARGIN + 0.2 * len(lines)
    figure = style.new_figure(
        left + _WIDTH + _MARGIN, top + max(film_height + 0.1, sum(block.height for block in blocks) + 0.35) + 0.1
    )
    paper = style.page(figure)
    for number, line in enumerate(lines):
        paper.text(_MARGIN, _MARGIN + 0.2 * number, line, va="top", fontsize=10.5)
    if film is not None:
        draw_film(style.axes_at(figure, _MARGIN, top + 0.05, _FILM, film_height), film)
    y = top
    for block in blocks:
        _draw_block(paper, block, left, y)
        y += block.height
    _legend(paper, left, y + 0.17)
    return figure


@dataclass(frozen=True)
class _Block:
    """A report ready to draw; height in inches."""

    name: str
    sentences: list[MarkedSentence]
    note: list[str]

    @property
    def words(self) -> list[Word]:
        return [word for words in _sentence_words(self.sentences) for word in words]

    @property
    def height(self) -> float:
        return 0.3 + words_height(self.words, _WIDTH, _SIZE) + 0.16 * len(self.note) + 0.1


def _note(found: Collection[tuple[str, str]], true: Collection[tuple[str, str]]) -> list[str]:
    mine, theirs = set(found), set(true)
    if not mine and not theirs:
        return ["nothing abnormal in either"]
    parts = {"matched": mine & theirs, "missed": theirs - mine, "invented": mine - theirs}
    text = " · ".join(f"{name}: {_named(pairs) or 'none'}" for name, pairs in parts.items())
    return style.wrapped(text, _WIDTH, 8.0, max_lines=3)


def _named(pairs: Collection[tuple[str, str]]) -> str:
    return ", ".join(sorted(f"{side} {finding}".strip() for finding, side in pairs))


def _sentence_words(sentences: Sequence[MarkedSentence]) -> list[list[Word]]:
    """The words of each sentence, with the signs that follow them."""
    return [[Word(word, 0, "", True) for word in sentence.text.split()] for sentence in sentences]


def _draw_block(paper: Axes, block: _Block, left: float, top: float) -> None:
    paper.text(left, top + 0.15, block.name, va="center", fontweight="bold")
    y = top + 0.3
    if not block.sentences:
        paper.text(left + 0.02, y + 0.02, "(no report)", va="center", color=style.MUTED)
    _draw_bands(paper, block, left, y)
    used = draw_words(paper, block.words, left, y, _WIDTH, _SIZE)
    for number, line in enumerate(block.note):
        paper.text(left, y + used + 0.1 + 0.16 * number, line, va="center", fontsize=8, color=style.MUTED)


def _draw_bands(paper: Axes, block: _Block, left: float, top: float) -> None:
    """Behind each sentence a band for each line that it runs over, with a stripe for each kind of finding in it."""
    owners = [n for n, words in enumerate(_sentence_words(block.sentences)) for _ in words]
    step, tall = _SIZE * LINE_SPACING / 72, _SIZE * 1.5 / 72
    place = 0
    for number, line in enumerate(lay_out(block.words, _WIDTH, _SIZE)):
        spans: dict[int, tuple[float, float]] = {}
        for x, wide, _ in line:
            owner = owners[place]
            spans[owner] = (spans.get(owner, (x, x))[0], x + wide)
            place += 1
        for owner, (start, end) in spans.items():
            kinds = [kind for kind in FINDING_COLOURS if kind in block.sentences[owner].states.values()]
            for stripe, kind in enumerate(kinds):
                y = top + (number + 0.5) * step - tall / 2 + stripe * tall / len(kinds)
                band = (left + start - 0.03, y), end - start + 0.06, tall / len(kinds)
                paper.add_patch(Rectangle(*band, facecolor=FINDING_COLOURS[kind], linewidth=0, gid=kind))


def _legend(paper: Axes, left: float, middle: float) -> None:
    x = left
    for kind, meaning in _MEANINGS.items():
        paper.add_patch(Rectangle((x, middle - 0.07), 0.22, 0.14, facecolor=FINDING_COLOURS[kind], linewidth=0))
        paper.text(x + 0.28, middle, meaning, va="center", fontsize=8)
        x += 0.28 + style.text_width(meaning, 8) + 0.2
