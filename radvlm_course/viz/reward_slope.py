"""A box sliding off its target: what each way of scoring pays along the way.

A policy gradient can only climb where the reward has a slope. This draws the slope.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from radvlm_course.boxes import Box, BoxError
from radvlm_course.evaluation.grounding import IOU_THRESHOLD
from radvlm_course.rewards.soft_f1 import soft_f1
from radvlm_course.viz import style

__all__ = ["draw_offset_maps", "draw_reward_slope"]

_MAP, _GAP = 2.35, 0.35  # inches


@style.styled
def draw_reward_slope(truth: Box, threshold: float = 0.5, points: int = 161) -> Figure:
    """Reward of a box of the right size against how far it lies beside the truth, in box widths.

    Three lines: soft-F1, soft-F1 as the paper's code computes it, and a hit-or-miss reward at an IoU threshold.

    Args:
        truth: the true box; the prediction slides to the right of it until they no longer touch.
        threshold: the least IoU of a hit.

    Raises:
        ValueError: there is no room in the image to slide by one width.
    """
    shifts = np.linspace(0, 1, points)
    try:
        boxes = [
            Box(truth.x1 + shift * truth.width, truth.y1, truth.x2 + shift * truth.width, truth.y2) for shift in shifts
        ]
    except BoxError as error:
        raise ValueError(f"expected room for one more box to the right of {truth}: {error}") from error
    curves = {
        "soft-F1": [soft_f1([box], [truth]) for box in boxes],
        "soft-F1, published code": [soft_f1([box], [truth], "published") for box in boxes],
        f"hit or miss at IoU {threshold:g}": [float(box.iou(truth) >= threshold) for box in boxes],
    }
    figure = style.new_figure(6.4, 3.0)
    axes = style.axes_at(figure, 0.7, 0.3, 5.5, 2.15)
    for (name, values), line, colour in zip(curves.items(), style.LINE_STYLES, style.SERIES, strict=False):
        axes.plot(shifts, values, linestyle=line, color=colour, linewidth=2, label=name)
    axes.set(xlabel="distance from the truth, in widths of the box", ylabel="reward", ylim=(-0.03, 1.05))
    axes.set_title("What a box earns while it slides away")
    axes.grid(axis="y")
    axes.legend(loc="upper right")
    return figure


@style.styled
def draw_offset_maps(truth: Box, points: int = 61) -> Figure:
    """Reward of a box of the right size moved in any direction, as maps over the offset in its widths and heights.

    Three maps: soft-F1, soft-F1 as the paper's code computes it, and mAP@0.5 of this one box.

    Args:
        truth: the true box, with room for its width and height on every side.
        points: of the maps along each side.

    Raises:
        ValueError: there is no room in the image.
    """
    shifts = np.linspace(-1, 1, points)
    try:
        rows = [[_shifted(truth, across, down) for across in shifts] for down in shifts]
    except BoxError as error:
        raise ValueError(f"expected room for one more box on every side of {truth}: {error}") from error
    maps = {
        "soft-F1": [[soft_f1([box], [truth]) for box in row] for row in rows],
        "soft-F1, published code": [[soft_f1([box], [truth], "published") for box in row] for row in rows],
        f"mAP@{IOU_THRESHOLD:g}": [[float(box.iou(truth) >= IOU_THRESHOLD) for box in row] for row in rows],
    }
    figure = style.new_figure(0.75 + len(maps) * (_MAP + _GAP) + 0.55, _MAP + 1.0)
    for number, (name, values) in enumerate(maps.items()):
        axes = style.axes_at(figure, 0.65 + number * (_MAP + _GAP), 0.35, _MAP, _MAP)
        image = axes.imshow(values, extent=(-1, 1, 1, -1), vmin=0, vmax=1, cmap="cividis", interpolation="nearest")
        if len(np.unique(values)) > 2:
            contours = axes.contour(shifts, shifts, values, levels=[0.25, 0.5, 0.75], colors="white", linewidths=0.8)
            axes.clabel(contours, fmt="%.2f", fontsize=7.5)
        axes.set(title=name, xlabel="offset in widths", xticks=[-1, 0, 1], yticks=[-1, 0, 1] if not number else [])
    figure.axes[0].set_ylabel("offset in heights")
    bar = style.axes_at(figure, 0.65 + len(maps) * (_MAP + _GAP) - 0.1, 0.35, 0.15, _MAP)
    figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1])
    return figure


def _shifted(box: Box, across: float, down: float) -> Box:
    x, y = across * box.width, down * box.height
    return Box(box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y)
