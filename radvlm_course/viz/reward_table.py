"""Candidates by rewards as a table picture: what each reward pays for each answer, and which wrong ones it pays well.

A cell is shaded within the range of its column, since rewards have different ones. A frame marks what a reader should
stop at; what it means is written below the table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from radvlm_course.rewards.lab.candidates import KINDS
from radvlm_course.rewards.lab.survey import HONEST, PARAPHRASE, STRATEGIES, Survey
from radvlm_course.viz import style

__all__ = ["draw_margins", "draw_reward_table"]

Table = Mapping[str, Mapping[str, float]]

_CELL_WIDTH, _CELL_HEIGHT, _NAME_WIDTH = 0.98, 0.36, 2.75  # inches
_GROUP_HEIGHT, _MARGIN = 0.3, 0.12
_SIZE, _SMALL = 9.5, 8.0
_PAYS = LinearSegmentedColormap.from_list("pays", ["#FFFFFF", "#CDE7F8", "#74BEEC"])
_MARGINS = LinearSegmentedColormap.from_list("margins", ["#7FA8C9", "#F7F7F7", "#F0B050"])


@dataclass(frozen=True)
class _Cell:
    text: str
    face: str | tuple[float, ...] = "white"
    framed: bool = False


@style.styled
def draw_reward_table(
    scores: Table,
    notes: Mapping[str, str] | None = None,
    right: Collection[str] = (),
    yardstick: str = "",
    title: str = "",
    caption: str = "",
    name_width: float = _NAME_WIDTH,
    decimals: int = 2,
) -> Figure:
    """A row a candidate, a column a reward, shaded by what it earns.

    Args:
        scores: candidate -> reward -> value, higher is better.
        notes: candidate -> what it is, written below its name.
        right: candidates that a reader would accept; never framed.
        yardstick: the candidate of ``right`` that wrong ones should stay below; a wrong one that earns as much is
            framed. Nothing is framed if empty.
        title, caption: above and below the table; a caption may be long.
        name_width: most inches for names and notes; a longer note is cut.
        decimals: of the values.

    Raises:
        ValueError: no candidate, or a yardstick that is none of them.
    """
    if not scores:
        raise ValueError("expected at least one candidate with its rewards, found none")
    if yardstick and yardstick not in scores:
        raise ValueError(f"expected the yardstick among {', '.join(scores)}; found {yardstick!r}")
    columns = list(next(iter(scores.values())))
    limits = {name: _limits([row[name] for row in scores.values()]) for name in columns}
    rows = {}
    for kind, row in scores.items():
        cells = []
        for name in columns:
            low, high = limits[name]
            framed = bool(yardstick) and kind not in right and row[name] >= scores[yardstick][name] - 1e-9
            cells.append(_Cell(f"{row[name]:.{decimals}f}", _PAYS((row[name] - low) / (high - low)), framed))
        rows[kind] = cells
    lines = [f"Framed: earns no less than \u201c{yardstick}\u201d and should not."] if yardstick else []
    return _draw(columns, {"": rows}, notes or {}, title, [*lines, *([caption] if caption else [])], name_width)


@style.styled
def draw_margins(survey: Survey, title: str = "") -> Figure:
    """What strategies earn more than honest reports, and mistakes more than a paraphrase without any; means over films.

    Args:
        survey: of many phantoms.
    """
    strategies = [kind for kind in STRATEGIES if kind != HONEST]
    groups = {
        "a flawless report in other words, against the honest, imperfect report": ([PARAPHRASE], HONEST),
        "what a policy can do instead of reading, against the honest report": (strategies, HONEST),
        "one mistake in the words of the reference, against the flawless paraphrase": (survey.mistakes(), PARAPHRASE),
    }
    tables = {
        head: {kind: [_margin_cell(survey, kind, name, against) for name in survey.rewards] for kind in kinds}
        for head, (kinds, against) in groups.items()
    }
    notes = {kind: about.says for kind, about in (KINDS | STRATEGIES).items()}
    captions = (
        f"Means over {survey.films} phantoms; a kind of report is compared on the films that have it. Framed: a "
        "strategy that earns more by over two standard errors, or a mistake that costs nothing.",
    )
    return _draw(survey.rewards, tables, notes, title, captions)


def _margin_cell(survey: Survey, kind: str, reward: str, against: str) -> _Cell:
    margin = survey.margin(kind, reward, against)
    framed = kind != PARAPHRASE and (margin.is_no_loss if against == PARAPHRASE else margin.is_clear)
    low, high = _limits([survey.mean(kind, reward) for kind in survey.values])
    strength = float(np.clip(0.5 + margin.mean / (high - low), 0, 1))
    return _Cell(f"{margin.mean + 0.0:+.2f}", _MARGINS(strength), framed)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    return min(0.0, *values), max(1.0, *values)


def _draw(
    columns: Sequence[str],
    groups: Mapping[str, Mapping[str, Sequence[_Cell]]],
    notes: Mapping[str, str],
    title: str,
    captions: Sequence[str],
    most_name_width: float = _NAME_WIDTH,
) -> Figure:
    """Rows in groups, each with a heading unless it is empty."""
    noted = any(notes.get(kind) for rows in groups.values() for kind in rows)
    tall = _CELL_HEIGHT + 0.08 * noted
    name_width = _name_width([kind for rows in groups.values() for kind in rows], notes, most_name_width)
    width = 2 * _MARGIN + name_width + len(columns) * _CELL_WIDTH
    heads = [_heading(column) for column in columns]
    head = 0.1 + 0.17 * max(map(len, heads))
    lines = [line for caption in captions for line in style.wrapped(caption, width - 2 * _MARGIN, _SMALL)]
    body = sum(len(rows) * tall + _GROUP_HEIGHT * bool(name) for name, rows in groups.items())
    top = _MARGIN + 0.28 * bool(title)
    figure = style.new_figure(width, top + head + body + 0.14 + 0.16 * len(lines) + _MARGIN)
    paper = style.page(figure)
    if title:
        paper.text(_MARGIN, _MARGIN + 0.1, style.printable(title), fontsize=11, va="center")
    left, y = _MARGIN + name_width, top + head
    for number, words in enumerate(heads):
        x = left + (number + 0.5) * _CELL_WIDTH
        paper.text(x, y - 0.06, "\n".join(words), ha="center", va="bottom", fontweight="bold", linespacing=1.15)
    for name, rows in groups.items():
        if name:
            paper.text(_MARGIN, y + 0.6 * _GROUP_HEIGHT, name, va="center", fontsize=_SMALL, color=style.MUTED)
            y += _GROUP_HEIGHT
        for kind, cells in rows.items():
            _draw_row(paper, kind, notes.get(kind, ""), cells, left, y, tall, name_width)
            y += tall
    for number, line in enumerate(lines):
        paper.text(_MARGIN, y + 0.16 + 0.16 * number, line, va="center", fontsize=_SMALL, color=style.MUTED)
    return figure


def _heading(column: str) -> list[str]:
    """A column's name in lines; a registered name may be broken after an underscore."""
    lines = style.wrapped(column.replace("_", "_ "), _CELL_WIDTH - 0.06, _SIZE, "bold", max_lines=3)
    return [line.replace("_ ", "_") for line in lines]


def _name_width(kinds: Sequence[str], notes: Mapping[str, str], most: float) -> float:
    wanted = [style.text_width(style.printable(kind), _SIZE, "bold") for kind in kinds]
    wanted += [style.text_width(style.printable(notes.get(kind, "")), _SMALL) for kind in kinds]
    return float(np.clip(max(wanted) + 0.15, 1.0, most))


def _draw_row(
    paper: Axes, kind: str, note: str, cells: Sequence[_Cell], left: float, y: float, tall: float, name_width: float
) -> None:
    middle = y + tall / 2
    name = style.wrapped(kind, name_width - 0.1, _SIZE, "bold", max_lines=1)[0]
    paper.text(_MARGIN, middle - 0.085 * bool(note), name, va="center", fontweight="bold")
    if note:
        text = style.wrapped(note, name_width - 0.1, _SMALL, max_lines=1)[0]
        paper.text(_MARGIN, middle + 0.095, text, va="center", fontsize=_SMALL, color=style.MUTED)
    for number, cell in enumerate(cells):
        x = left + number * _CELL_WIDTH
        paper.add_patch(Rectangle((x, y), _CELL_WIDTH, tall, facecolor=cell.face, edgecolor="white", linewidth=1.2))
        bold = "bold" if cell.framed else "normal"
        paper.text(x + _CELL_WIDTH / 2, middle, cell.text, ha="center", va="center", fontsize=10, fontweight=bold)
        if cell.framed:
            inner = (x + 0.04, y + 0.04), _CELL_WIDTH - 0.08, tall - 0.08
            paper.add_patch(Rectangle(*inner, fill=False, edgecolor=style.PREDICTION_INK, linewidth=1.8))
