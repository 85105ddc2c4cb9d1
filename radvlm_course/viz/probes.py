"""What linear probes of vision towers see, drawn on the films (:mod:`radvlm_course.training.vision_probe`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from radvlm_course.viz import style
from radvlm_course.viz.films import Film, draw_film

__all__ = ["draw_probe"]

_MARGIN = 0.15


@style.styled
def draw_probe(films: Sequence[Film], truth: np.ndarray, maps: Mapping[str, tuple[np.ndarray, float]]) -> Figure:
    """Where a linear reader of visual tokens sees a finding, for several towers on the same films.

    Args:
        films: one column each.
        truth: (films, rows, columns) of patches, 1 where the finding is.
        maps: name of the tower -> its maps of the same shape, and its ranking (0.5 guessing, 1 perfect).

    Raises:
        ValueError: the numbers of films differ.
    """
    if not films or any(len(values) != len(films) for values in [truth, *(table for table, _ in maps.values())]):
        raise ValueError(f"expected one map for each of {len(films)} films")
    width, gap, gutter = 1.45, 0.1, 1.75
    figure = style.new_figure(
        gutter + len(films) * (width + gap) + _MARGIN, 0.15 + (1 + len(maps)) * (width + gap) + 0.1
    )
    paper = style.page(figure)
    rows = [("the film and\nthe truth", None, None), *((name, table, score) for name, (table, score) in maps.items())]
    for number, (name, table, score) in enumerate(rows):
        y = 0.15 + number * (width + gap)
        text = name if score is None else f"{name}\n\nranking {score:.2f}"
        paper.text(_MARGIN, y + width / 2, text, va="center", fontsize=9)
        for column, film in enumerate(films):
            axes = style.axes_at(figure, gutter + column * (width + gap), y, width, width)
            size = draw_film(axes, film)
            if table is not None:
                low, high = np.quantile(table, [0.5, 0.995])
                shown = np.clip((table[column] - low) / max(high - low, 1e-9), 0, 1)
                axes.imshow(shown, cmap="inferno", vmin=0, vmax=1, extent=(0, size[0], size[1], 0), alpha=0.72)
            if truth[column].any():
                grid = np.kron(truth[column], np.ones((8, 8)))
                axes.contour(
                    np.linspace(0, size[0], grid.shape[1]),
                    np.linspace(0, size[1], grid.shape[0]),
                    grid,
                    levels=[0.5],
                    colors=[style.TRUTH],
                    linewidths=1.4,
                )
    return figure
