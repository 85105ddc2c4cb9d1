"""A completion beside its reference: which words they share, drawn and as HTML.

Two readings of the same words, because rewards differ in what they read:

- **shared n-grams**: each word is shaded by the longest run of words (1 to 4) that the reference
  has too, counted as GLEU counts them: a run that the reference holds once is shared once, and
  case matters. Deeper shade, longer run.
- **finding words**: a word from a list of findings is bold; underlined if the other text has it
  too, on orange if only the completion has it; what only the reference has is listed as missed.

Word colouring does not see a negation ("no effusion" shares its words with "effusion"): that is
what a learner should notice, and what finding-level rewards repair.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from radvlm_course.viz import style

__all__ = [
    "FINDING_WORDS",
    "Word",
    "comparison_html",
    "draw_words",
    "lay_out",
    "mark_words",
    "missed_words",
    "plain_words",
    "words_height",
]

MAX_RUN = 4
SHADES = ("#FFFFFF", "#E8F4FC", "#CDE7F8", "#A6D5F3", "#74BEEC")  # by the length of the shared run, 0 to 4
EXTRA = "#F8D58F"
LINE_SPACING = 1.75  # in font heights

_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+(?:[-'\u2019]\w+)*|[^\w\s]")

FINDING_WORDS = frozenset(
    {
        "atelectasis",
        "atelectatic",
        "calcification",
        "cardiomediastinum",
        "cardiomegaly",
        "catheter",
        "congestion",
        "consolidation",
        "consolidations",
        "edema",
        "effusion",
        "effusions",
        "emphysema",
        "enlarged",
        "enlargement",
        "fibrosis",
        "fracture",
        "fractures",
        "granuloma",
        "hernia",
        "infiltrate",
        "infiltrates",
        "lesion",
        "lesions",
        "mass",
        "masses",
        "nodule",
        "nodules",
        "oedema",
        "opacification",
        "opacities",
        "opacity",
        "pacemaker",
        "pneumonia",
        "pneumothorax",
        "thickening",
        "tube",
    }
)

Finding = Literal["", "named", "agreed", "only here"]


@dataclass(frozen=True)
class Word:
    """One word or sign of a text and how the other text sees it.

    Attributes:
        run: length of the longest shared run of words that covers it, 0 to 4.
        finding: empty if no finding word, else whether the other text has the word too
            (``named``: a finding word that was not compared).
        spaced: a space stood before it.
    """

    text: str
    run: int
    finding: Finding
    spaced: bool


def mark_words(text: str, other: str, finding_words: Collection[str] | None = None) -> list[Word]:
    """The words of ``text``, each marked by what ``other`` shares with it.

    Args:
        finding_words: lower-case words to treat as findings; common chest X-ray findings by default.

    >>> [word.run for word in mark_words("No effusion seen.", "There is no effusion seen.")]
    [0, 3, 3, 3]
    """
    known = FINDING_WORDS if finding_words is None else finding_words
    found = list(_WORD.finditer(text))
    words = [match.group() for match in found]
    others = [match.group() for match in _WORD.finditer(other)]
    elsewhere = {word.lower() for word in others}
    marked: list[Word] = []
    for index, (word, run) in enumerate(zip(words, _shared_runs(words, others), strict=True)):
        lower = word.lower()
        finding: Finding = "" if lower not in known else "agreed" if lower in elsewhere else "only here"
        spaced = index > 0 and found[index - 1].end() < found[index].start()
        marked.append(Word(word, run, finding, spaced))
    return marked


def plain_words(text: str, finding_words: Collection[str] | None = None) -> list[Word]:
    """The words of a text that is compared with nothing: finding words are bold, nothing is shaded."""
    marked = mark_words(text, "", finding_words)
    return [Word(word.text, 0, "named" if word.finding else "", word.spaced) for word in marked]


def missed_words(text: str, reference: str, finding_words: Collection[str] | None = None) -> list[str]:
    """Finding words that the reference has and the text has not, once each, in lower case, in order."""
    marked = mark_words(reference, text, finding_words)
    return list(dict.fromkeys(word.text.lower() for word in marked if word.finding == "only here"))


def _shared_runs(words: Sequence[str], others: Sequence[str]) -> list[int]:
    """For each word the longest counted n-gram that covers it; counts are clipped as in GLEU."""
    longest = [0] * len(words)
    for length in range(1, MAX_RUN + 1):
        left = Counter(tuple(others[i : i + length]) for i in range(len(others) - length + 1))
        for start in range(len(words) - length + 1):
            gram = tuple(words[start : start + length])
            if left[gram] > 0:
                left[gram] -= 1
                longest[start : start + length] = [length] * length
    return longest


def lay_out(words: Sequence[Word], width: float, size: float) -> list[list[tuple[float, float, Word]]]:
    """Words with their left edge and width in inches, broken into lines."""
    space = 1.35 * (style.text_width("a a", size) - 2 * style.text_width("a", size))
    lines: list[list[tuple[float, float, Word]]] = [[]]
    x = 0.0
    for word in words:
        wide = style.text_width(style.printable(word.text[:80]), size, "bold" if word.finding else "normal")
        x += space if word.spaced and lines[-1] else 0.0
        if lines[-1] and x + wide > width:
            lines.append([])
            x = 0.0
        lines[-1].append((x, wide, word))
        x += wide
    return lines


def words_height(words: Sequence[Word], width: float, size: float = 9.0) -> float:
    """Height in inches of the block that :func:`draw_words` would draw."""
    return len(lay_out(words, width, size)) * size * LINE_SPACING / 72


def draw_words(
    paper: Axes,
    words: Sequence[Word],
    left: float,
    top: float,
    width: float,
    size: float = 9.0,
) -> float:
    """Draw marked words as a block on a page (see :func:`style.page`).

    Args:
        left, top, width: of the block, in inches from the page's top left corner.

    Returns:
        The block's height in inches.
    """
    step = size * LINE_SPACING / 72
    tall = size * 1.35 / 72
    lines = lay_out(words, width, size)
    for number, line in enumerate(lines):
        middle = top + (number + 0.5) * step
        for x, wide, word in line:
            _shade(paper, word, left + x, middle, wide, tall)
            paper.text(
                left + x,
                middle,
                style.printable(word.text[:80]),
                fontsize=size,
                va="center_baseline",
                fontweight="bold" if word.finding else "normal",
            )
    return len(lines) * step


def _shade(paper: Axes, word: Word, x: float, middle: float, wide: float, tall: float) -> None:
    made_up = word.finding == "only here"
    if word.run or made_up:
        colour = EXTRA if made_up else SHADES[word.run]
        paper.add_patch(Rectangle((x - 0.012, middle - tall / 2), wide + 0.024, tall, color=colour, linewidth=0))
    if word.finding == "agreed":
        low = middle + tall * 0.42
        paper.plot([x, x + wide], [low, low], color=style.TRUTH_INK, linewidth=1.4, solid_capstyle="butt")


def draw_legend(paper: Axes, left: float, top: float, size: float = 7.5) -> None:
    """What the shades and marks mean, on one line some 5 inches long."""
    middle = top + size * LINE_SPACING / 144
    x = left + 0.02
    for run in range(1, MAX_RUN + 1):
        word = Word(f" {run} ", run, "", False)
        draw_words(paper, [word], x, top, 1, size)
        x += style.text_width(word.text, size) + 0.05
    x = _say(paper, "words in a row shared", x + 0.03, middle, size)
    meanings: tuple[tuple[Finding, str], ...] = (
        ("agreed", "in the reference too"),
        ("only here", "not in the reference"),
    )
    for finding, meaning in meanings:
        draw_words(paper, [Word("finding", 0, finding, False)], x, top, 1, size)
        x = _say(paper, meaning, x + style.text_width("finding", size, "bold") + 0.07, middle, size)


def _say(paper: Axes, text: str, x: float, middle: float, size: float) -> float:
    paper.text(x, middle, text, fontsize=size, va="center_baseline", color=style.MUTED)
    return x + style.text_width(text, size) + 0.18


def comparison_html(completion: str, reference: str, finding_words: Collection[str] | None = None) -> str:
    """The two texts below each other as HTML, marked as in the figures; safe to show as it is."""
    rows = []
    for name, text, other, is_reference in (
        ("reference", reference, completion, True),
        ("completion", completion, reference, False),
    ):
        marked = "".join(_word_html(word, is_reference) for word in mark_words(text, other, finding_words))
        rows.append(f'<div style="margin:4px 0"><b>{name}</b><br>{marked or "<i>(empty)</i>"}</div>')
    return f'<div style="font-family:sans-serif;color:{style.INK};background:white;padding:6px">{"".join(rows)}</div>'


def _word_html(word: Word, reference: bool) -> str:
    made_up = word.finding == "only here" and not reference
    rules = [f"background:{EXTRA if made_up else SHADES[word.run]}"]
    if word.finding:
        rules.append("font-weight:bold")
    if word.finding == "agreed":
        rules.append(f"border-bottom:2px solid {style.TRUTH_INK}")
    elif word.finding == "only here" and reference:
        rules.append(f"outline:1px dashed {style.INK}")
    return f'{" " if word.spaced else ""}<span style="{";".join(rules)}">{html.escape(word.text)}</span>'
