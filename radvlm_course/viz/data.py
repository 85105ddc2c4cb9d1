"""Pictures of a dataset before anything is trained on it: labels, boxes, report lengths, mixture.

Look at these first: most of what a model will later do well without looking at the film can be read
from them. Where all boxes of a finding lie in one place, the mean box scores; where most films are
normal, "normal" scores. Nothing is computed here but counts and percentiles. Left out: the pixels
(``viz.films`` draws those) and the splits (``viz.splits``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from radvlm_course.boxes import Box
from radvlm_course.records import ABSENT, PRESENT, UNCERTAIN, Study
from radvlm_course.viz import style

__all__ = ["box_maps", "box_sizes", "label_bars", "mixture_bars", "report_lengths"]

_ROW = 0.3  # inches
_PALE_BLUE = "#A9CFE8"


@style.styled
def label_bars(studies: Sequence[Study], title: str = "") -> Figure:
    """For each finding the share of films that have it, certainly or with doubt.

    The last row counts films on which no finding is present or doubted. Labels that are missing on a
    film (not mentioned) are neither: the note beside a bar says how many films have the label at all
    where that is not all of them.

    Raises:
        ValueError: there is no study.
    """
    if not studies:
        raise ValueError("expected at least one study, found none")
    counts = {name: Counter[int]() for name in sorted({name for study in studies for name in study.findings})}
    for study in studies:
        for name, value in study.findings.items():
            counts[name][value] += 1
    normal = sum(not any(value != ABSENT for value in study.findings.values()) for study in studies)
    rows = [(name, found[PRESENT], found[UNCERTAIN], found.total()) for name, found in counts.items()]
    rows.append(("(none of them)", normal, 0, len(studies)))
    figure, axes = _rows_figure([row[0] for row in rows], 5.2, title, 0.55)
    for position, (_, present, doubted, labelled) in enumerate(rows):
        shares = present / len(studies), doubted / len(studies)
        axes.barh(position, shares[0], color=style.SERIES[0], height=0.62)
        axes.barh(position, shares[1], left=shares[0], color=_PALE_BLUE, height=0.62)
        note = f" {present}" + (f" + {doubted}" if doubted else "")
        note += f" of {labelled} labelled" if labelled < len(studies) else ""
        axes.text(sum(shares), position, note, va="center", fontsize=8.5)
    axes.set_xlabel(f"share of {len(studies)} films")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlim(0, 1.25 * max((present + doubted) / len(studies) for _, present, doubted, _ in rows))
    handles = [Patch(color=style.SERIES[0], label="present"), Patch(color=_PALE_BLUE, label="in doubt (-1)")]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return figure


@style.styled
def box_maps(boxes: Mapping[str, Sequence[Box]], columns: int = 4, cells: int = 64) -> Figure:
    """For each name where its boxes lie on the film: a map of how many of them cover each place.

    The dashed outline is the mean box: the answer of somebody who never looks. The brighter the map,
    the better that answer is.

    Args:
        boxes: name -> its boxes, unit coordinates; names without boxes are left out.
        cells: the map's cells along each side.

    Raises:
        ValueError: there is no box at all.
    """
    present = {name: list(found) for name, found in boxes.items() if found}
    if not present:
        raise ValueError("expected at least one box, found none")
    maps = {name: coverage(found, cells) for name, found in present.items()}
    brightest = max(float(found.max()) for found in maps.values())
    columns = min(columns, len(present))
    rows = -(-len(present) // columns)
    side, gap, head = 1.9, 0.2, 0.3
    figure = style.new_figure(columns * (side + gap) + 1.0, rows * (side + head) + 0.25)
    for index, (name, found) in enumerate(present.items()):
        row, column = divmod(index, columns)
        axes = style.axes_at(figure, 0.12 + column * (side + gap), row * (side + head) + head, side, side)
        shown = axes.imshow(maps[name], cmap="magma", vmin=0, vmax=brightest, extent=(0, 1, 1, 0))
        mean = np.mean([box.to_list() for box in found], axis=0)
        axes.add_patch(_outline(mean, edgecolor="white", linewidth=1.4, linestyle=(0, (4, 2))))
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{style.printable(name)} ({len(found)})", fontsize=9)
        for spine in axes.spines.values():
            spine.set_visible(False)
    bar = style.axes_at(figure, 0.12 + columns * (side + gap), head, 0.12, side)
    ticks = [0, brightest / 2, brightest]
    names = [f"{tick:.0%}" for tick in ticks]
    figure.colorbar(shown, cax=bar, ticks=ticks).ax.set_yticklabels([*names[:2], f"{names[2]}\nof boxes"], fontsize=8)
    return figure


def coverage(boxes: Sequence[Box], cells: int) -> np.ndarray:
    """Share of the boxes that cover the middle of each cell: float array (cells, cells), rows from the top, 0 to 1."""
    middles = (np.arange(cells) + 0.5) / cells
    corners = np.array([box.to_list() for box in boxes])[:, :, None]  # (n, 4, 1)
    across = (corners[:, 0] <= middles) & (middles <= corners[:, 2])  # (n, cells)
    down = (corners[:, 1] <= middles) & (middles <= corners[:, 3])
    return np.asarray((down[:, :, None] & across[:, None, :]).mean(axis=0))


def _outline(corners: Sequence[float] | np.ndarray, **looks: object) -> Rectangle:
    x1, y1, x2, y2 = corners
    return Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, **looks)  # type: ignore[arg-type]


@style.styled
def box_sizes(boxes: Mapping[str, Sequence[Box]], title: str = "") -> Figure:
    """For each name how much of the film its boxes cover: a dot a box, a line from the 10th to the 90th percentile.

    Raises:
        ValueError: there is no box at all.
    """
    present = {name: np.array([box.area for box in found]) for name, found in boxes.items() if found}
    if not present:
        raise ValueError("expected at least one box, found none")
    figure, axes = _rows_figure(list(present), 5.2, title, 0.55)
    rng = np.random.default_rng(0)
    for position, areas in enumerate(present.values()):
        shown = areas if len(areas) <= 300 else rng.choice(areas, 300, replace=False)
        heights = position + rng.uniform(-0.22, 0.22, len(shown))
        axes.plot(shown, heights, ".", color=_PALE_BLUE, markersize=3.5)
        low, middle, high = np.percentile(areas, [10, 50, 90])
        axes.plot([low, high], [position, position], color=style.SERIES[0], linewidth=1.8)
        axes.plot([middle], [position], "o", color=style.SERIES[0], markersize=6)
    axes.set_xscale("log")
    axes.set_xlabel("share of the film that a box covers (line: 10th to 90th percentile; large dot: median)")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    return figure


@style.styled
def report_lengths(reports: Mapping[str, Sequence[str]], title: str = "") -> Figure:
    """How many words the reports of each group have.

    Args:
        reports: group (``normal``, ``abnormal``) -> its reports.

    Raises:
        ValueError: there is no report.
    """
    counts = {name: [len(text.split()) for text in texts] for name, texts in reports.items() if texts}
    if not counts:
        raise ValueError("expected at least one report, found none")
    shortest, longest = (find(find(values) for values in counts.values()) for find in (min, max))
    figure = style.new_figure(6.4, 2.9)
    axes = style.axes_at(figure, 0.7, 0.75, 5.5, 1.6)
    bins = np.arange(shortest, longest + 2, max(1, (longest - shortest) // 30)) - 0.5
    for index, (name, values) in enumerate(counts.items()):
        label = f"{name} ({len(values)}, mean {np.mean(values):.0f} words)"
        look = style.LINE_STYLES[index % len(style.LINE_STYLES)]
        axes.hist(
            values,
            bins=list(bins),
            histtype="step",
            linewidth=1.6,
            label=label,
            color=style.SERIES[index],
            linestyle=look,
        )
    axes.set(xlabel="words of a report", ylabel="films")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.02), borderaxespad=0)
    if title:
        style.page(figure).text(0.12, 0.2, style.printable(title), va="center", fontsize=10.5)
    return figure


@style.styled
def mixture_bars(
    kept: Mapping[str, Mapping[str, int]], thinned: Mapping[str, Mapping[str, int]] | None = None, title: str = ""
) -> Figure:
    """What a mixture is made of: for each split the share of each task, with the number of pairs.

    Args:
        kept: split -> task -> pairs (``MixtureCard.examples``).
        thinned: split -> task -> pairs that could be built and were not kept (``MixtureCard.thinned``); each split
            then has two bars, what its films could give and what the mixture keeps.

    Raises:
        ValueError: no split has a pair.
    """
    bars: list[tuple[str, Mapping[str, int]]] = []
    for split, counts in kept.items():
        left_out = (thinned or {}).get(split, {})
        if any(left_out.values()):
            both = {task: counts.get(task, 0) + left_out.get(task, 0) for task in {**counts, **left_out}}
            bars.append((f"{split}, possible", both))
        bars.append((f"{split}, kept" if thinned else split, counts))
    bars = [(name, counts) for name, counts in bars if sum(counts.values())]
    if not bars:
        raise ValueError("expected at least one pair in one split, found none")
    tasks = sorted({task for _, counts in bars for task in counts})
    colours = {task: style.SERIES[index % len(style.SERIES)] for index, task in enumerate(tasks)}
    figure, axes = _rows_figure([f"{name} ({sum(counts.values())})" for name, counts in bars], 7.0, title, 0.75)
    for position, (name, counts) in enumerate(bars):
        _stacked(axes, position, [(counts.get(task, 0), colours[task]) for task in tasks], name.endswith("possible"))
    axes.set(xlim=(0, 1), xlabel="share of the split's pairs")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    handles = [Patch(color=colours[task], label=task.replace("_", " ")) for task in tasks]
    place = (0, -0.5 / (_ROW * len(bars) + 0.1))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=place, ncols=4, borderaxespad=0)
    return figure


def _stacked(axes: Axes, position: int, parts: Sequence[tuple[int, str]], pale: bool) -> None:
    total, left = sum(count for count, _ in parts), 0.0
    for count, colour in parts:
        share = count / total
        axes.barh(position, share, left=left, color=colour, alpha=0.45 if pale else 1, height=0.7, edgecolor="white")
        if share > 0.04:
            ink = style.INK if pale else "white"
            axes.text(left + share / 2, position, str(count), ha="center", va="center", fontsize=8.5, color=ink)
        left += share


def _rows_figure(names: Sequence[str], width: float, title: str, below: float) -> tuple[Figure, Axes]:
    """A figure with one row for each name, from the top."""
    label = min(3.0, max(style.text_width(style.printable(name), 9.5) for name in names) + 0.25)
    top, body = 0.42 if title else 0.12, _ROW * len(names) + 0.1
    figure = style.new_figure(label + width + 0.3, top + body + below)
    axes = style.axes_at(figure, label, top, width, body)
    axes.set_yticks(range(len(names)), [style.printable(name) for name in names])
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.spines["left"].set_visible(False)
    if title:
        style.page(figure).text(0.12, 0.2, style.printable(title), va="center", fontsize=10.5)
    return figure, axes
