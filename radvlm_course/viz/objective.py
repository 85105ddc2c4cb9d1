"""What the terms of the GRPO loss look like: the clip, the leash, and a toy policy under both.

Every curve is computed by :mod:`radvlm_course.training.grpo_math`, the same functions that a test
proves equal to the trainer's; nothing is drawn from memory. Torch is imported only when drawing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from radvlm_course.viz import style

if TYPE_CHECKING:
    from radvlm_course.training.toy_policy import ToyRun

__all__ = ["draw_clipped_objective", "draw_kl_leash", "draw_toy_runs"]

_FLAT = "#FBE8D0"


@style.styled
def draw_clipped_objective(
    epsilon_low: float = 0.20, epsilon_high: float = 0.28, delta: float | None = None, highest: float = 2.0
) -> Figure:
    """The clipped objective of one token against its probability ratio, for a good and for a bad completion.

    Where the curve is flat (shaded) the token has no gradient any more.

    Args:
        epsilon_low, epsilon_high, delta: as in ``grpo_math.clipped_objective``.
        highest: largest ratio shown.
    """
    ratios = np.linspace(0.02, highest, 800)
    figure = _panels(2, 8.6, 3.1)
    for axes, advantage, title in zip(
        figure.axes,
        (1.0, -1.0),
        ("Token of a good completion (A = +1)", "Token of a bad completion (A = -1)"),
        strict=True,
    ):
        values = _objective(ratios, advantage, epsilon_low, epsilon_high, delta)
        _shade_flat(axes, ratios, values)
        axes.plot(ratios, ratios * advantage, color=style.MUTED, linewidth=1.2, linestyle="--", label="without clip")
        axes.plot(ratios, values, color=style.SERIES[0], linewidth=2.2, label="with clip")
        axes.axvline(1, color=style.MUTED, linewidth=0.8, linestyle=":")
        axes.plot([1], [advantage], "o", color=style.INK, markersize=5)
        axes.annotate(
            "just sampled",
            (1, advantage),
            xytext=(6, -13 if advantage > 0 else 7),
            textcoords="offset points",
            fontsize=8.5,
        )
        axes.set_title(title)
        axes.set_xlabel("probability now / probability when sampled")
        axes.legend(loc="best")
        axes.grid(axis="y")
    figure.axes[0].set_ylabel("objective (to be raised)")
    return figure


def _objective(ratios: np.ndarray, advantage: float, low: float, high: float, delta: float | None) -> np.ndarray:
    import torch

    from radvlm_course.training.grpo_math import clipped_objective

    log_ratio = torch.tensor(np.log(ratios)).unsqueeze(0)
    advantages = torch.tensor([advantage], dtype=log_ratio.dtype)
    return clipped_objective(log_ratio, advantages, low, high, delta).squeeze(0).numpy()


def _shade_flat(axes: Axes, ratios: np.ndarray, values: np.ndarray) -> None:
    """Shade the ratios at which the objective does not change."""
    flat = np.isclose(np.diff(values), 0, atol=1e-12)
    if not flat.any():
        return
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat.astype(int), [0]])))
    for number, (first, last) in enumerate(zip(edges[::2], edges[1::2], strict=True)):
        label = "no gradient: far enough" if number == 0 else None
        axes.axvspan(ratios[first], ratios[last], color=_FLAT, linewidth=0, label=label)


@style.styled
def draw_kl_leash(probability: float = 0.3, samples: int = 64, batches: int = 40, seed: int = 0) -> Figure:
    """Two ways to estimate the KL from samples: the plain log-ratio and k3.

    Left: what one sampled token contributes, against how many times likelier the policy makes it than
    the reference. Right: means over small batches of tokens from a policy that gives one of two tokens
    ``probability`` where the reference gives it half of that, with the true KL as a line.

    Args:
        probability: of the first token under the policy, within (0, 1).
        samples: tokens in a batch.
        batches: how many batches are drawn.

    Raises:
        ValueError: the probability is not within (0, 1).
    """
    if not 0 < probability < 1:
        raise ValueError(f"expected a probability within (0, 1), found {probability}")
    figure = _panels(2, 8.6, 3.1)
    left, right = figure.axes
    ratios = np.geomspace(0.2, 5, 400)
    left.plot(ratios, np.log(ratios), color=style.SERIES[1], linestyle="--", label="plain log-ratio")
    left.plot(ratios, _k3(np.log(ratios)), color=style.SERIES[0], linewidth=2.2, label="k3")
    left.axhline(0, color=style.MUTED, linewidth=0.8)
    left.set_xscale("log")
    left.set_xticks([0.2, 0.5, 1, 2, 5], ["1/5", "1/2", "1", "2", "5"])
    left.minorticks_off()
    left.set_xlabel("probability under policy / under reference")
    left.set_title("One token's share of the KL (nats)")
    left.legend(loc="upper center")
    left.grid(axis="y")
    _draw_batches(right, probability, samples, batches, seed)
    return figure


def _k3(log_ratio: np.ndarray) -> np.ndarray:
    """k3 for log(policy / reference)."""
    import torch

    from radvlm_course.training.grpo_math import k3_kl

    return k3_kl(torch.tensor(log_ratio), torch.zeros(log_ratio.shape, dtype=torch.float64)).numpy()


def _draw_batches(axes: Axes, probability: float, samples: int, batches: int, seed: int) -> None:
    policy = np.array([probability, 1 - probability])
    reference = np.array([probability / 2, 1 - probability / 2])
    truth = float(np.sum(policy * np.log(policy / reference)))
    generator = np.random.default_rng(seed)
    drawn = np.log(policy / reference)[(generator.random((batches, samples)) > probability).astype(int)]
    for row, (name, values, colour) in enumerate(
        (("plain log-ratio", drawn, style.SERIES[1]), ("k3", _k3(drawn), style.SERIES[0]))
    ):
        heights = row + generator.uniform(-0.16, 0.16, batches)
        axes.plot(values.mean(axis=1), heights, "o", color=colour, markersize=4, alpha=0.6, label=name)
    axes.axvline(truth, color=style.INK, linewidth=1.2)
    axes.annotate(
        f"true KL {truth:.3f}", (truth, 1.45), xytext=(4, 0), textcoords="offset points", fontsize=8.5, va="center"
    )
    axes.axvline(0, color=style.MUTED, linewidth=0.8, linestyle=":")
    axes.set(ylim=(1.7, -0.5))
    axes.set_yticks([0, 1], ["plain\nlog-ratio", "k3"])
    axes.set_xlabel("estimate (nats)")
    axes.set_title(f"{batches} estimates, each from {samples} tokens")


@style.styled
def draw_toy_runs(runs: Mapping[str, ToyRun], answers: Sequence[str]) -> Figure:
    """How the probabilities of a toy policy's answers changed, one panel a run.

    Args:
        runs: title -> run; all over the same answers.
        answers: their names, in the order of the runs' probabilities.

    Raises:
        ValueError: no run, or a run over another number of answers.
    """
    if not runs:
        raise ValueError("expected at least one run to draw, found none")
    for name, run in runs.items():
        if len(run.probabilities[0]) != len(answers):
            raise ValueError(f"run {name!r} has {len(run.probabilities[0])} answers, expected {len(answers)}")
    columns = min(3, len(runs))
    rows = math.ceil(len(runs) / columns)
    figure = _panels(len(runs), 3.6 * columns, 2.9 * rows + 0.3, columns)
    for axes, (title, run) in zip(figure.axes, runs.items(), strict=True):
        table = np.array(run.probabilities)
        for index in range(len(answers)):
            line = style.LINE_STYLES[index % len(style.LINE_STYLES)]
            axes.plot(table[:, index], color=style.SERIES[index % 6], linestyle=line, linewidth=2)
        axes.set(ylim=(-0.03, 1.03), xlabel="step")
        axes.set_title(style.printable(title))
        axes.grid(axis="y")
    figure.axes[0].set_ylabel("probability of the answer")
    figure.legend(figure.axes[0].lines, list(answers), loc="outside lower left", ncols=2, handlelength=2.8)
    return figure


def _panels(count: int, width: float, height: float, columns: int | None = None) -> Figure:
    columns = columns or count
    figure = style.new_figure(width, height, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    for index in range(count):
        figure.add_subplot(math.ceil(count / columns), columns, index + 1).set_axisbelow(True)
    return figure
