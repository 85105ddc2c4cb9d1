"""A box sliding off its target: what each way of scoring pays along the way.

A policy gradient can only climb where the reward has a slope. This draws the slope.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from radvlm_course.boxes import Box, BoxError
from radvlm_course.rewards.soft_f1 import soft_f1
from radvlm_course.viz import style

__all__ = ["draw_reward_slope"]


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
