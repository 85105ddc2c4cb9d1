"""What a vision-language model reads and writes: a film cut into visual tokens, and text token by token.

Drawn from the real grid, the real tokenizer and the real loss mask; nothing here decides what a token is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from radvlm_course.boxes import Box
from radvlm_course.models.token_budget import FilmTokens
from radvlm_course.viz import style
from radvlm_course.viz.films import Film, draw_film, load_film

if TYPE_CHECKING:
    from radvlm_course.training.token_view import TokenView

__all__ = ["draw_film_tokens", "draw_token_budget", "draw_tokens", "exploded"]

_MARGIN = 0.15
_CHIP = 0.3  # inches
_FACES = {"image": "#DCE9D5", "special": "#E4E4E4", "text": "#F2F2F2"}
_COUNTED = "#FBD9A5"
GUESSING_A_DIGIT = math.log(10)


def exploded(film: Film, tiles: int, gap: int = 2) -> np.ndarray:
    """A square film pulled apart into ``tiles`` x ``tiles`` pieces with white gaps between them.

    Args:
        gap: width of the gaps, in pixels of the film.

    Returns:
        float array of shape (side, side), 0 black to 1 white.

    Raises:
        ValueError: the film cannot be cut into that many equal pieces.
    """
    pixels = load_film(film)
    height, width = pixels.shape
    if height % tiles or width % tiles:
        raise ValueError(f"expected a film whose sides are multiples of {tiles}, found {width}x{height} pixels")
    tall, wide = height // tiles, width // tiles
    sheet = np.ones((height + gap * (tiles - 1), width + gap * (tiles - 1)), dtype=np.float32)
    for row in range(tiles):
        for column in range(tiles):
            y, x = row * (tall + gap), column * (wide + gap)
            piece = pixels[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
            sheet[y : y + tall, x : x + wide] = piece
    return sheet


@style.styled
def draw_film_tokens(
    film: Film, patch_size: int, tokens: np.ndarray, block: tuple[int, int] = (3, 2), merge_size: int = 2
) -> Figure:
    """A square film on its way into the language model: pixels, patches, merged blocks, visual tokens.

    Args:
        patch_size: side of a patch in pixels of the film.
        tokens: float array (visual tokens, width), in reading order.
        block: (row, column) of the block that is followed in colour.
    """
    pixels = load_film(film)
    patches = pixels.shape[0] // patch_size
    blocks = patches // merge_size
    width, gap, top = 2.35, 0.4, 0.62
    figure = style.new_figure(4 * width + 3 * gap + 2 * _MARGIN + 0.3, top + width + 0.2)
    paper = style.page(figure)
    pictures = (pixels, exploded(pixels, patches, 2), exploded(pixels, blocks, 4))
    titles = (
        ("1. the film", f"{pixels.shape[1]} x {pixels.shape[0]} pixels"),
        ("2. patches", f"{patches} x {patches} = {patches**2}, each {patch_size} x {patch_size} pixels"),
        ("3. blocks of 2 x 2 patches", f"{blocks} x {blocks} = {blocks**2}"),
        ("4. visual tokens", f"{tokens.shape[0]} rows of {tokens.shape[1]} numbers"),
    )
    for index, (head, text) in enumerate(titles):
        x = _MARGIN + index * (width + gap)
        paper.text(x, 0.18, head, fontweight="bold", va="center")
        paper.text(x, 0.42, text, va="center", fontsize=8.5, color=style.MUTED)
        if index:
            paper.annotate("", (x - 0.06, top + width / 2), (x - gap + 0.06, top + width / 2), arrowprops=_ARROW)
    pieces = (patches, patches, blocks)
    for index, (picture, tiles) in enumerate(zip(pictures, pieces, strict=True)):
        axes = style.axes_at(figure, _MARGIN + index * (width + gap), top, width, width)
        draw_film(axes, picture)
        spread = (0, 2, 4)[index]
        _mark_block(axes, block, pixels.shape[0], tiles, blocks, spread)
    axes = style.axes_at(figure, _MARGIN + 3 * (width + gap), top, width, width)
    _draw_vectors(axes, tokens, block[0] * blocks + block[1])
    return figure


_ARROW = {"arrowstyle": "-|>", "color": "#777777", "linewidth": 1.4}


def _mark_block(axes: Axes, block: tuple[int, int], side: int, tiles: int, blocks: int, gap: int) -> None:
    """Outline one block on a film that was pulled apart into ``tiles`` pieces."""
    per_block = tiles // blocks
    piece = side / tiles
    row, column = (place * per_block * (piece + gap) for place in block)
    length = per_block * piece + (per_block - 1) * gap
    axes.add_patch(Rectangle((column, row), length, length, fill=False, edgecolor=style.PREDICTION, linewidth=2))


def _draw_vectors(axes: Axes, tokens: np.ndarray, marked: int) -> None:
    limit = float(np.quantile(np.abs(tokens), 0.98)) or 1.0
    axes.imshow(tokens, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([0, marked, len(tokens) - 1], ["1", str(marked + 1), str(len(tokens))])
    axes.yaxis.tick_right()
    axes.tick_params(length=0)
    axes.add_patch(
        Rectangle(
            (-0.5, marked - 0.5), tokens.shape[1], 1, fill=False, edgecolor=style.PREDICTION, linewidth=2, clip_on=False
        )
    )
    for spine in axes.spines.values():
        spine.set_visible(False)


@style.styled
def draw_token_budget(costs: Mapping[str, FilmTokens], film: Film, box: Box, title: str = "") -> Figure:
    """What a limit of pixels costs in tokens and in sight.

    Args:
        costs: name of the limit -> what the film becomes under it.
        film: a square film that is shown with as many pixels across as the resized one has, at most its own.
        box: the part that is shown, unit coordinates.

    Raises:
        ValueError: no limit was given.
    """
    from PIL import Image

    if not costs:
        raise ValueError("expected at least one limit, found none")
    width, gap, top = 2.1, 0.22, 0.75
    figure = style.new_figure(2 * _MARGIN + len(costs) * width + (len(costs) - 1) * gap, top + width + 0.75)
    paper = style.page(figure)
    if title:
        paper.text(_MARGIN, 0.16, title, va="center", fontsize=10.5)
    whole = Image.fromarray((load_film(film) * 255).astype(np.uint8))
    most = max(cost.tokens for cost in costs.values())
    for index, (name, cost) in enumerate(costs.items()):
        x = _MARGIN + index * (width + gap)
        side = min(cost.size[0], whole.width)
        small = whole.resize((side, side), Image.Resampling.BICUBIC)
        axes = style.axes_at(figure, x, top, width, width)
        _draw_close_up(axes, np.asarray(small), box)
        paper.text(x, top - 0.32, name, va="center", fontweight="bold", fontsize=9)
        paper.text(x, top - 0.12, f"{cost.size[0]} x {cost.size[1]} pixels", va="center", fontsize=8.5)
        paper.add_patch(Rectangle((x, top + width + 0.12), width * cost.tokens / most, 0.2, color=style.SERIES[0]))
        paper.text(x, top + width + 0.5, f"{cost.tokens:,} visual tokens", va="center", fontsize=9.5)
    return figure


def _draw_close_up(axes: Axes, pixels: np.ndarray, box: Box) -> None:
    """A part of a film, pixel by pixel, and how many pixels it has."""
    side = pixels.shape[0]
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0, 1, 1, 0), interpolation="nearest")
    axes.set(xlim=(box.x1, box.x2), ylim=(box.y2, box.y1), xticks=[], yticks=[], aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)
    count = f"{box.width * side:.0f} x {box.height * side:.0f} pixels"
    background = {"facecolor": "white", "edgecolor": "none", "boxstyle": "square,pad=0.2"}
    axes.text(0.03, 0.03, count, transform=axes.transAxes, fontsize=8, bbox=background)


@style.styled
def draw_tokens(tokens: Sequence[TokenView], width: float = 9.6, title: str = "") -> Figure:
    """Text as a row of tokens: grey ones are only read, orange ones are asked for by the loss.

    Runs of visual tokens are drawn as one. Where a token has a loss, it stands below it, with a bar; the line
    across the bars is what guessing one of ten digits costs.

    Raises:
        ValueError: no token was given.
    """
    if not tokens:
        raise ValueError("expected at least one token, found none")
    chips = _chips(tokens)
    with_loss = any(loss is not None for _, _, loss in chips)
    lines = _broken(chips, width)
    step = _CHIP + (0.75 if with_loss else 0.14)
    top = 0.45 if title else 0.12
    explained = with_loss or len({face for _, face, _ in chips}) > 1
    figure = style.new_figure(width + 2 * _MARGIN, top + step * len(lines) + (0.42 if explained else 0.05))
    paper = style.page(figure)
    if title:
        paper.text(_MARGIN, 0.2, title, va="center", fontsize=10.5)
    for number, line in enumerate(lines):
        y = top + number * step
        for x, wide, (text, face, loss) in line:
            chip = FancyBboxPatch((_MARGIN + x, y), wide, _CHIP, boxstyle="round,pad=0,rounding_size=0.05")
            chip.set(facecolor=face, edgecolor="#888888" if face == _COUNTED else "#CCCCCC", linewidth=0.8)
            paper.add_patch(chip)
            paper.text(_MARGIN + x + wide / 2, y + _CHIP / 2, text, ha="center", va="center_baseline", fontsize=9)
            if loss is not None:
                _draw_loss(paper, loss, _MARGIN + x, y + _CHIP, wide, text.strip("\u00b7").isdigit())
    if explained:
        _token_legend(paper, top + step * len(lines) + 0.2, chips)
    return figure


Chip = tuple[str, str, float | None]


def _chips(tokens: Sequence[TokenView]) -> list[Chip]:
    """(text, colour, loss) of each token; visual tokens in a row become one."""
    chips: list[Chip] = []
    run = 0
    for index, token in enumerate(tokens):
        run += token.kind == "image"
        if token.kind == "image":
            if index + 1 == len(tokens) or tokens[index + 1].kind != "image":
                chips.append((f"{token.text} \u00d7 {run}", _FACES["image"], None))
                run = 0
            continue
        shown = token.text.replace("\n", "\u21b5").replace(" ", "\u00b7")
        chips.append((style.printable(shown), _COUNTED if token.counted else _FACES[token.kind], token.loss))
    return chips


def _broken(chips: Sequence[Chip], width: float) -> list[list[tuple[float, float, Chip]]]:
    lines: list[list[tuple[float, float, Chip]]] = [[]]
    x = 0.0
    for chip in chips:
        wide = max(0.3 if chip[2] is not None else 0.2, style.text_width(chip[0], 9) + 0.12)
        if lines[-1] and x + wide > width:
            lines.append([])
            x = 0.0
        lines[-1].append((x, wide, chip))
        x += wide + 0.06
    return lines


def _draw_loss(paper: Axes, loss: float, x: float, y: float, wide: float, digit: bool) -> None:
    scale = 0.32 / max(GUESSING_A_DIGIT, 1.0)
    height = min(loss * scale, 0.45)
    colour = style.SERIES[1] if loss > 0.1 else style.MUTED
    paper.add_patch(Rectangle((x + 0.02, y + 0.05), wide - 0.04, height, color=colour, linewidth=0, alpha=0.75))
    line = y + 0.05 + GUESSING_A_DIGIT * scale
    if digit:
        paper.plot([x - 0.03, x + wide + 0.03], [line, line], color="#555555", linewidth=0.9, linestyle=(0, (2, 2)))
    paper.text(x + wide / 2, y + 0.57, f"{loss:.2f}", ha="center", va="center", fontsize=7.5)


def _token_legend(paper: Axes, y: float, chips: Sequence[Chip]) -> None:
    x = _MARGIN
    meanings = {
        _FACES["image"]: "place of a visual token",
        _FACES["special"]: "special token",
        _FACES["text"]: "read, not counted",
        _COUNTED: "counted by the loss",
    }
    for face, meaning in meanings.items():
        if any(face == chip[1] for chip in chips):
            paper.add_patch(Rectangle((x, y - 0.07), 0.2, 0.14, facecolor=face, edgecolor="#AAAAAA", linewidth=0.6))
            paper.text(x + 0.27, y, meaning, va="center", fontsize=8, color=style.MUTED)
            x += 0.45 + style.text_width(meaning, 8)
    if any(loss is not None for _, _, loss in chips):
        text = "bars: loss in nats"
        if any(text.strip("\u00b7").isdigit() for text, _, _ in chips):
            text += f"; dashed: guessing one of ten digits ({GUESSING_A_DIGIT:.2f})"
        paper.text(x, y, text, va="center", fontsize=8, color=style.MUTED)
