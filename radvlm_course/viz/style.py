"""How every picture of the course looks: one palette, one font, one way to make a figure.

Colours come from the Okabe-Ito palette, which colour-blind people can tell apart. Colour is
never the only sign: **ground truth is sky blue and solid, a prediction is orange and dashed**,
in every picture, on films and on white paper alike.

Figures are made without pyplot, so that nothing is shown twice in a notebook and no global
setting changes: a :class:`CourseFigure` shows itself when it is the last value of a cell, and
draws itself under the course's own settings whatever the user's are.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager, textpath
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

__all__ = [
    "BETTER",
    "INK",
    "MUTED",
    "PREDICTION",
    "SERIES",
    "STYLE",
    "TRUTH",
    "WORSE",
    "CourseFigure",
    "axes_at",
    "clipped_text",
    "new_figure",
    "page",
    "printable",
    "styled",
    "text_width",
    "wrapped",
]

TRUTH = "#56B4E9"
PREDICTION = "#E69F00"
TRUTH_INK = "#0B5E93"  # the same two hues, dark enough to read as text on white
PREDICTION_INK = "#8F5B00"
BETTER = "#009E73"
WORSE = "#CC79A7"
INK = "#222222"
MUTED = "#6B6B6B"
PALE = "#F2F2F2"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555", "#B8A200")
LINE_STYLES = ("-", "--", "-.", ":")

STYLE: Any = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on every machine
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#E3E3E3",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # completions may hold dollar signs
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "savefig.facecolor": "white",
    "image.interpolation": "antialiased",
}

# Decorator: the function draws under the course's settings and leaves the user's untouched.
styled = mpl.rc_context(STYLE)


class CourseFigure(Figure):
    """A figure that pyplot does not know of and that shows itself once in a notebook."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw under the course's settings: ticks are made this late."""
        with mpl.rc_context(STYLE):
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        """What a notebook shows; equal to what ``savefig`` writes."""
        return to_png(self)


def to_png(figure: Figure, dpi: float | None = None) -> bytes:
    """The figure as PNG bytes, cropped to what is drawn."""
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=dpi or figure.dpi, bbox_inches="tight", pad_inches=0.08)
    return buffer.getvalue()


def new_figure(width: float, height: float, **options: Any) -> CourseFigure:
    """An empty figure of a size in inches, unknown to pyplot."""
    return CourseFigure(figsize=(width, height), **options)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the figure's top left corner."""
    total_width, total_height = figure.get_size_inches()
    return figure.add_axes(
        (left / total_width, 1 - (top + height) / total_height, width / total_width, height / total_height)
    )


def page(figure: Figure) -> Axes:
    """Invisible axes over the whole figure whose data units are inches from the top left corner."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return axes


def halo(artist: Artist, width: float = 1.6, colour: str = "black", alpha: float = 0.65) -> None:
    """Outline a line or text, so that it reads on dark and on bright parts of a film."""
    from matplotlib import patheffects

    base = artist.get_linewidth() if hasattr(artist, "get_linewidth") else 0.0
    stroke = patheffects.Stroke(linewidth=base + width, foreground=colour, alpha=alpha)
    artist.set_path_effects([stroke, patheffects.Normal()])


@functools.lru_cache(maxsize=8)
def _font(weight: str) -> FT2Font:
    path = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight))
    return font_manager.get_font(path)


@functools.lru_cache(maxsize=65536)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width in inches of one line of text in the course's font at a size in points."""
    properties = font_manager.FontProperties(family="DejaVu Sans", size=size, weight=weight)
    points = textpath.text_to_path.get_text_width_height_descent(text, properties, False)[0]
    return 1.03 * float(points) / 72  # screens round each glyph up a little


def printable(text: str) -> str:
    """The text with line breaks as spaces and every sign that the font lacks as a hollow square.

    Models write anything; a missing sign would draw as a box with a warning for each.
    """
    font = _font("normal")
    return "".join(
        " " if sign in "\n\r\t" else sign if sign.isprintable() and font.get_char_index(ord(sign)) else "\u25a1"
        for sign in text
    )


def clipped_text(text: str, limit: int) -> str:
    """At most ``limit`` signs; what is left out is said."""
    if len(text) <= limit:
        return text
    return f"{text[:limit].rstrip()} … (+{len(text) - limit} characters)"


def wrapped(text: str, width: float, size: float, weight: str = "normal", max_lines: int | None = None) -> list[str]:
    """Break a text into lines no wider than ``width`` inches; a longer word is broken too.

    Args:
        max_lines: keep at most so many; the last one then ends in an ellipsis.
    """
    lines: list[str] = []
    current = ""
    for word in _short_words(printable(text[:20_000]), width, size, weight):
        candidate = f"{current} {word}" if current else word
        if current and text_width(candidate, size, weight) > width:
            lines.append(current)
            current = word
            if max_lines is not None and len(lines) > max_lines:
                break
        else:
            current = candidate
    lines.append(current)
    if max_lines is not None and len(lines) > max_lines:
        last = lines[max_lines - 1]
        while last and text_width(last + " …", size, weight) > width:
            last = last[:-1]
        lines = [*lines[: max_lines - 1], last.rstrip() + " …"]
    return lines


def _short_words(text: str, width: float, size: float, weight: str) -> list[str]:
    """Words of a text, those wider than ``width`` cut into pieces that fit."""
    words: list[str] = []
    for word in text.split():
        if len(word) <= 200 and text_width(word, size, weight) <= width:
            words.append(word)
        else:
            words.extend(_pieces(word, width, size, weight))
    return words


def _pieces(word: str, width: float, size: float, weight: str) -> list[str]:
    pieces, used = [""], 0.0
    for sign in word:
        wide = text_width(sign, size, weight)
        if pieces[-1] and used + wide > 0.97 * width:  # kerning may add a little
            pieces.append("")
            used = 0.0
        pieces[-1] += sign
        used += wide
    return pieces
