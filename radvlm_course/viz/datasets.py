"""Pictures that put several datasets, or several choices, side by side: what each holds and what comes of it.

Left out: what one dataset looks like by itself (``viz.data``) and its films (``viz.boxes``). Nothing is computed here
but counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from radvlm_course.instructions.mixture_settings import Entry, Mixture
from radvlm_course.records import ABSENT, PRESENT, UNCERTAIN, Study
from radvlm_course.viz import style

__all__ = ["contents", "count_matrix", "in_words", "label_matrix", "paper_pairs", "split_crossing", "stacked_bars"]

_ROW = 0.3  # inches
_SIZE = 9.0
_NARROW = 0.04  # share of the widest bar below which a part gets no number
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#555555", "#B8A200")
_PALE_COLOURS = ("#E69F00", "#56B4E9")
_SPLITS = ("train", "validation", "test")
Cell = tuple[str, float]  # text, share 0 to 1 that shades the cell


def contents(studies: Sequence[Study]) -> dict[str, int]:
    """How much of each kind of thing the studies hold; what they hold none of is missing, but for films."""
    boxes = {
        "boxes of findings": [study.abnormalities for study in studies],
        "boxes of structures": [study.structures for study in studies],
        "boxes of phrases": [study.phrases for study in studies],
    }
    found = {
        "films": len(studies),
        "patients": len({study.patient_id for study in studies}),
        "reports": sum(bool(study.report) for study in studies),
        "labels": sum(len(study.findings) for study in studies),
        "labels in doubt": sum(value == UNCERTAIN for study in studies for value in study.findings.values()),
    } | {name: sum(len(group) for held in every for group in held.values()) for name, every in boxes.items()}
    return {name: count for name, count in found.items() if count or name == "films"}


def in_words(study: Study) -> str:
    """What a dataset says of a film, in one line: its name, the labels (in doubt with a question mark), the report."""
    present = [name for name, value in study.findings.items() if value == PRESENT]
    doubted = [f"{name}?" for name, value in study.findings.items() if value == UNCERTAIN]
    absent = sum(value == ABSENT for value in study.findings.values())
    labels = ", ".join([*sorted(present), *sorted(doubted), *([f"{absent} absent"] if absent else [])])
    return f"{study.source} | {labels or 'no labels'} | {study.report or 'no report'}"


@style.styled
def count_matrix(counts: Mapping[str, Mapping[str, int]], title: str = "", columns: Sequence[str] = ()) -> Figure:
    """A row a dataset, a column a kind of thing, in each cell how many; nothing where there is none.

    The darker a cell, the nearer it is to the largest count of its column.

    Args:
        counts: row -> column -> count; a missing column or 0 is an empty cell.
        columns: their order; default the order in which the rows first name them.

    Raises:
        ValueError: there is no row or no count.
    """
    columns = columns or list(dict.fromkeys(name for row in counts.values() for name in row))
    if not counts or not columns:
        raise ValueError("expected at least one row with at least one count, found none")
    most = {name: max(1, *(row.get(name, 0) for row in counts.values())) for name in columns}
    cells = {
        (row, name): (f"{number:,}", number / most[name])
        for row, found in counts.items()
        for name, number in found.items()
        if number
    }
    return _matrix(list(counts), columns, cells, title)


@style.styled
def label_matrix(datasets: Mapping[str, Sequence[Study]], title: str = "") -> Figure:
    """For each dataset on how many films a finding is present, and after a plus on how many in doubt.

    An empty cell: the dataset never speaks of the finding. 0: it does, and no film has it. Findings that no
    dataset has on any film are left out.

    Raises:
        ValueError: no dataset has a finding.
    """
    counts: dict[str, dict[str, Counter[int]]] = {}
    for name, studies in datasets.items():
        found = counts[name] = {}
        for study in studies:
            for finding, value in study.findings.items():
                found.setdefault(finding, Counter())[value] += 1
    shown = {f for found in counts.values() for f, values in found.items() if values[PRESENT] or values[UNCERTAIN]}
    if not shown:
        raise ValueError("expected at least one finding that is present or in doubt, found none")
    spoken = Counter(finding for found in counts.values() for finding in found)
    columns = sorted(shown, key=lambda finding: (-spoken[finding], finding))
    cells: dict[tuple[str, str], Cell] = {}
    for name, found in counts.items():
        for finding, values in found.items():
            doubt = f"+{values[UNCERTAIN]}" if values[UNCERTAIN] else ""
            share = (values[PRESENT] + values[UNCERTAIN]) / len(datasets[name])
            cells[name, finding] = f"{values[PRESENT]}{doubt}", share
    return _matrix(list(datasets), columns, {key: cell for key, cell in cells.items() if key[1] in shown}, title)


def _matrix(rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], Cell], title: str) -> Figure:
    """Shaded cells with a text each; the columns' names stand slanted above them."""
    names = [style.printable(column) for column in columns]
    left = max(style.text_width(style.printable(row), _SIZE) for row in rows) + 0.25
    slant = 0.64 * max(style.text_width(name, _SIZE) for name in names)  # 40 degrees
    wide = max(0.5, max((style.text_width(text, _SIZE) for text, _ in cells.values()), default=0) + 0.16)
    top = slant + 0.2 + (0.35 if title else 0)
    width, height = wide * len(columns), _ROW * len(rows)
    figure = style.new_figure(left + width + 1.2 * slant + 0.3, top + height + 0.12)
    paper = style.page(figure)
    if title:
        paper.text(0.12, 0.18, style.printable(title), va="center", fontsize=10.5)
    for place, name in enumerate(names):
        x = left + (place + 0.5) * wide
        paper.text(x, top - 0.06, name, fontsize=_SIZE, rotation=40, rotation_mode="anchor", va="bottom")
    for number, row in enumerate(rows):
        y = top + number * _ROW
        paper.text(left - 0.1, y + _ROW / 2, style.printable(row), fontsize=_SIZE, ha="right", va="center")
        for place, column in enumerate(columns):
            text, share = cells.get((row, column), ("", 0.0))
            paper.add_patch(_cell(left + place * wide, y, wide, share if text else None))
            ink = "white" if share > 0.6 else style.INK
            middle = left + (place + 0.5) * wide
            paper.text(middle, y + _ROW / 2, text, fontsize=_SIZE, ha="center", va="center", color=ink)
    return figure


def _cell(x: float, y: float, width: float, share: float | None) -> Rectangle:
    colour = "white" if share is None else _blue(share)
    return Rectangle((x, y), width, _ROW, facecolor=colour, edgecolor="#DDDDDD", linewidth=0.6)


def _blue(share: float) -> tuple[float, float, float]:
    """From a pale to the full blue of the palette."""
    pale, full = (0.91, 0.95, 0.98), (0.0, 0.447, 0.698)
    red, green, blue = (low + (high - low) * min(1.0, share) for low, high in zip(pale, full, strict=True))
    return red, green, blue


@style.styled
def stacked_bars(rows: Mapping[str, Mapping[str, int]], xlabel: str, title: str = "") -> Figure:
    """A bar a row, made of its parts, with the row's sum behind it; all bars on one scale.

    Args:
        rows: row -> part -> count; a part has one colour in all rows.
        xlabel: what is counted.

    Raises:
        ValueError: there is no count above 0, or there are more than eight parts.
    """
    totals = {row: sum(parts.values()) for row, parts in rows.items()}
    if not any(totals.values()):
        raise ValueError("expected at least one count above 0, found none")
    parts = list(dict.fromkeys(part for row in rows.values() for part in row))
    if len(parts) > len(_COLOURS):
        raise ValueError(f"expected at most {len(_COLOURS)} parts, found {len(parts)}: {', '.join(parts)}")
    label = max(style.text_width(style.printable(row), 9.5) for row in rows) + 0.25
    top, body, width, widest = 0.45 if title else 0.12, _ROW * len(rows) + 0.1, 6.2, max(totals.values())
    lines = -(-len(parts) // 4)
    figure = style.new_figure(label + width + 0.2, top + body + 0.6 + 0.2 * lines)
    axes = style.axes_at(figure, label, top, width, body)
    for position, counts in enumerate(rows.values()):
        shown = [(count, _COLOURS[parts.index(part)]) for part, count in counts.items()]
        _draw_bar(axes, position, shown, widest, width / (1.2 * widest))
    axes.set_yticks(range(len(rows)), [style.printable(row) for row in rows])
    axes.set(xlim=(0, 1.2 * widest), ylim=(len(rows) - 0.45, -0.55), xlabel=xlabel)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.spines["left"].set_visible(False)
    handles = [Patch(color=_COLOURS[index], label=style.printable(part)) for index, part in enumerate(parts)]
    place = (0, -0.5 / body)
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=place, ncols=min(4, len(parts)), borderaxespad=0)
    if title:
        style.page(figure).text(0.12, 0.2, style.printable(title), va="center", fontsize=10.5)
    return figure


def _draw_bar(axes: Axes, position: int, parts: Sequence[tuple[int, str]], widest: int, inches: float) -> None:
    """Parts (count, colour) one behind the other, each with its number if it is wide enough, and their sum.

    Args:
        inches: how much of the paper a count of 1 takes.
    """
    left = 0
    for count, colour in parts:
        axes.barh(position, count, left=left, color=colour, height=0.7, edgecolor="white", linewidth=0.6)
        text, where = f"{count:,}", (left + count / 2, position)
        if count > _NARROW * widest and style.text_width(text, 8.5) < 0.9 * count * inches:
            ink = style.INK if colour in _PALE_COLOURS else "white"
            axes.text(*where, text, ha="center", va="center", fontsize=8.5, color=ink)
        left += count
    axes.text(left + 0.01 * widest, position, f"{left:,}", va="center", fontsize=8.5)


def paper_pairs(mixture: Mixture, split: str) -> dict[str, dict[str, int]]:
    """Task -> dataset -> pairs of a split by the paper's counts, with repeats; an entry without a count is left out.

    Raises:
        ValueError: the mixture is one of a single dataset, which no paper counts.
    """
    found: dict[str, dict[str, int]] = {}
    for entry in mixture.splits.get(split, ()):
        if not isinstance(entry, Entry):
            raise ValueError(f"{mixture.name}: expected a mixture of several datasets, found one of a single dataset")
        if entry.paper_pairs is not None:
            of_task = found.setdefault(entry.task.replace("_", " "), {})
            of_task[entry.source] = of_task.get(entry.source, 0) + entry.paper_pairs * entry.repeat
    return found


@style.styled
def split_crossing(films: Sequence[tuple[str, str]], names: tuple[str, str], title: str = "") -> Figure:
    """Films that two datasets share, by the split that each puts them in; those in two different splits are marked.

    Args:
        films: (split in the first dataset, split in the second) of each shared film.
        names: of the two datasets.

    Raises:
        ValueError: they share no film.
    """
    if not films:
        raise ValueError("expected at least one film that both datasets hold, found none")
    counts = Counter(films)
    cell, left, top = 1.15, 2.1, 0.75 + (0.35 if title else 0)
    figure = style.new_figure(left + 3 * cell + 0.2, top + 3 * 0.5 + 0.5)
    paper = style.page(figure)
    if title:
        paper.text(0.12, 0.2, style.printable(title), va="center", fontsize=10.5)
    paper.text(left + 1.5 * cell, top - 0.5, f"split of {names[1]}", ha="center", fontsize=_SIZE)
    paper.text(0.12, top - 0.12, f"split of {names[0]}", fontsize=_SIZE)
    for row, first in enumerate(_SPLITS):
        paper.text(left - 0.12, top + (row + 0.5) * 0.5, first, ha="right", va="center", fontsize=_SIZE)
        paper.text(left + (row + 0.5) * cell, top - 0.12, first, ha="center", fontsize=_SIZE)
        for column, second in enumerate(_SPLITS):
            leak = first != second and counts[first, second] > 0
            colour = style.PREDICTION if leak else style.PALE
            place = (left + column * cell, top + row * 0.5)
            paper.add_patch(Rectangle(place, cell, 0.5, facecolor=colour, edgecolor="white", linewidth=2))
            text = f"{counts[first, second]}" + (" leak" if leak else "")
            weight = "bold" if leak else "normal"
            middle = (place[0] + cell / 2, place[1] + 0.25)
            paper.text(*middle, text, ha="center", va="center", fontsize=10, weight=weight)
    torn = sum(count for (first, second), count in counts.items() if first != second)
    paper.text(0.12, top + 1.75, f"{torn} of {len(films)} films stand in two different splits", fontsize=_SIZE)
    return figure
