"""Things to play with: a box to move over a film, and the groups of a run to leaf through.

Each is a static figure first. In a notebook the figure is shown as an ordinary picture; only if a
live frontend with ipywidgets is there are controls added below it, and they redraw that same
picture in place. So an executed notebook, a printed one and one without a kernel all show
something whole, and no figure is ever there twice.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvlm_course.boxes import Box, BoxError, format_box, iou_matrix
from radvlm_course.evaluation.grounding import average_precision_of_sample, true_positives
from radvlm_course.records import Example
from radvlm_course.rewards.base import BOX_TASKS
from radvlm_course.rewards.soft_f1 import soft_f1
from radvlm_course.runs import Rollout
from radvlm_course.viz import style
from radvlm_course.viz.boxes import aspect_of, draw_annotated, legend_of_kinds
from radvlm_course.viz.films import Film, load_film
from radvlm_course.viz.report_rollouts import FindingsOf, show_reports
from radvlm_course.viz.rollout_parts import hide_frame
from radvlm_course.viz.rollouts import show_boxes_together, show_group

__all__ = ["BoxExplorer", "Interactive", "RolloutBrowser", "has_live_frontend"]

SWITCH = "RADVLM_COURSE_WIDGETS"


def has_live_frontend() -> bool:
    """Whether somebody can move a slider here: a kernel with ipywidgets and a frontend opened by hand.

    A kernel cannot see its frontend, so this looks for the marks that JupyterLab, VS Code and Colab
    leave; ``nbclient``, ``nbconvert`` and plain Python leave none. The environment variable
    ``RADVLM_COURSE_WIDGETS`` overrides it: 1 for yes, 0 for no.
    """
    if importlib.util.find_spec("ipywidgets") is None or "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return False
    if SWITCH in os.environ:
        return os.environ[SWITCH] == "1"
    return "JPY_SESSION_NAME" in os.environ or "__vsc_ipynb_file__" in shell.user_ns or "google.colab" in sys.modules


class Interactive:
    """A static figure with controls; subclasses say what to draw and what can be moved."""

    def render(self) -> Figure:
        """The figure of the present state."""
        raise NotImplementedError

    def controls(self, redraw: Any) -> Any:
        """An ipywidgets widget that changes the state and then calls ``redraw()``."""
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        from IPython.display import display

        handle = display(self.render(), display_id=True)
        if has_live_frontend():
            display(self.controls(lambda: handle.update(self.render())))


class BoxExplorer(Interactive):
    """Move one box over a film and watch IoU, soft-F1 and mAP@0.5.

    mAP@0.5 is that of this film alone, in the paper's reading and in the corrected one (precision x recall).

    Args:
        film: the film.
        truth: at least one ground-truth box, unit coordinates.
        start: where the box begins; by default beside the first ground-truth box.
        others: further predictions that stay where they are, to see what stray boxes cost.

    Raises:
        ValueError: no ground truth.

    Attributes:
        corners: [x1, y1, x2, y2] as the sliders stand, which may be no box.
    """

    def __init__(self, film: Film, truth: Sequence[Box], start: Box | None = None, others: Sequence[Box] = ()) -> None:
        if not truth:
            raise ValueError("expected at least one ground-truth box to compare with, found none")
        self.film = load_film(film)
        self.truth, self.others = list(truth), list(others)
        self.corners = (start or _beside(self.truth[0])).to_list()

    @property
    def box(self) -> Box | None:
        """The box, or None where the sliders make none."""
        try:
            return Box(*self.corners)
        except BoxError:
            return None

    @style.styled
    def render(self) -> Figure:
        width = 4.2
        height = width * aspect_of(self.film)
        figure = style.new_figure(width + 3.6, max(height, 2.4) + 0.7)
        paper = style.page(figure)
        text = format_box(self.box) if self.box else "no box: x1 < x2 and y1 < y2 must hold; it earns nothing"
        paper.text(0.12, 0.17, f"completion: {text}", va="center", fontsize=10)
        predictions = ([self.box] if self.box else []) + self.others
        axes = style.axes_at(figure, 0.12, 0.35, width, height)
        found = draw_annotated(axes, self.film, self.truth, predictions)
        legend_of_kinds(figure, 0.12, 0.35 + height + 0.1)
        overlap = found.ious[0] if self.box else 0.0
        _draw_measures(style.axes_at(figure, width + 1.75, 0.5, 1.55, 1.5), overlap, predictions, self.truth)
        total = sum(found.ious)
        numbers = f"2 \u00b7 {total:.2f} / ({len(predictions)} + {len(self.truth)})"
        formula = f"soft-F1 = 2 \u00b7 summed IoU / (predicted + true)\n= {numbers} = {found.soft_f1:.2f}"
        paper.text(width + 0.45, 2.35, formula, va="center", fontsize=9, linespacing=1.5)
        return figure

    def controls(self, redraw: Any) -> Any:
        import ipywidgets

        sliders = []
        for index, name in enumerate(("x1", "y1", "x2", "y2")):
            slider = ipywidgets.FloatSlider(self.corners[index], min=0.0, max=1.0, step=0.01, description=name)
            slider.observe(lambda change, index=index: self._move(index, change["new"], redraw), names="value")
            sliders.append(slider)
        return ipywidgets.HBox([ipywidgets.VBox(sliders[:2]), ipywidgets.VBox(sliders[2:])])

    def _move(self, index: int, value: float, redraw: Any) -> None:
        self.corners[index] = value
        redraw()


def _draw_measures(axes: Axes, overlap: float, predictions: Sequence[Box], truth: Sequence[Box]) -> None:
    """A bar a measure of the same boxes; ``overlap`` is the IoU of the box that moves."""
    ious = iou_matrix(predictions, truth)
    hits = true_positives(ious)
    measures = {
        "IoU": overlap,
        "soft-F1": soft_f1(predictions, truth),
        "mAP@0.5 (paper)": average_precision_of_sample(ious),
        "mAP@0.5": hits**2 / (max(len(predictions), 1) * len(truth)),
    }
    colours = [style.PREDICTION, style.SERIES[4], style.SERIES[0], style.SERIES[0]]
    axes.barh(range(len(measures)), list(measures.values()), height=0.6, color=colours)
    axes.set(xlim=(0, 1.3), ylim=(len(measures) - 0.4, -0.6))
    hide_frame(axes)
    axes.set_yticks(range(len(measures)), list(measures), fontsize=10)
    axes.tick_params(length=0)
    axes.axvline(0, color="#999999", linewidth=0.8)
    for position, value in enumerate(measures.values()):
        axes.text(value + 0.03, position, f"{value:.2f}", va="center", fontsize=10)


def _beside(box: Box) -> Box:
    """The box moved by a third of its size towards the film's middle."""
    across = box.width / 3 * (1 if box.center[0] < 0.5 else -1)
    down = box.height / 3 * (1 if box.center[1] < 0.5 else -1)
    moved = (box.x1 + across, box.y1 + down, box.x2 + across, box.y2 + down)
    return Box.clipped(*(round(value, 2) for value in moved)) if min(box.width, box.height) > 0.05 else box


class RolloutBrowser(Interactive):
    """Leaf through the groups of a GRPO run, step by step.

    Args:
        rollouts: of one stage (``runs.read_rollouts``).
        examples: example id -> example, for films, questions, ground truth and references.
        root: the folder that the examples' image paths are below; empty if they stand for themselves.
        thinking: the model was asked to think.
        one_film_each: for grounding, draw the film once for each rollout instead of one film with all boxes.
        findings_of: for reports, a labeller as in ``show_reports``.

    Raises:
        ValueError: no rollout, or one whose example is not given.

    Attributes:
        step, group: what is shown: an optimiser step, and which of its groups, from 0.
    """

    def __init__(
        self,
        rollouts: Sequence[Rollout],
        examples: Mapping[str, Example],
        root: str | os.PathLike[str] = "",
        thinking: bool = False,
        one_film_each: bool = False,
        findings_of: FindingsOf | None = None,
    ) -> None:
        if not rollouts:
            raise ValueError("expected the rollouts of a stage, found none: has the stage written any yet?")
        if missing := sorted({rollout.example_id for rollout in rollouts} - set(examples)):
            raise ValueError(f"no example is given for {len(missing)} prompts of the rollouts, such as {missing[:3]}")
        self.groups: dict[int, list[list[Rollout]]] = {}
        by_prompt: dict[tuple[int, str], list[Rollout]] = {}
        for rollout in rollouts:
            by_prompt.setdefault((rollout.step, rollout.example_id), []).append(rollout)
        for (step, _), group in sorted(by_prompt.items(), key=lambda item: item[0][0]):
            self.groups.setdefault(step, []).append(group)
        self.examples, self.root, self.thinking = examples, Path(root), thinking
        self.one_film_each, self.findings_of = one_film_each, findings_of
        self.step, self.group = next(iter(self.groups)), 0

    def render(self) -> Figure:
        rollouts = self.groups[self.step][min(self.group, len(self.groups[self.step]) - 1)]
        example = self.examples[rollouts[0].example_id]
        film = self.root / example.image_path
        if example.task in BOX_TASKS:
            draw = show_group if self.one_film_each else show_boxes_together
            return draw(film, rollouts, example.boxes, example.question, self.thinking)
        return show_reports(
            rollouts, example.answer, film, example.question, self.thinking, findings_of=self.findings_of
        )

    def controls(self, redraw: Any) -> Any:
        import ipywidgets

        largest = max(len(groups) for groups in self.groups.values())
        step = ipywidgets.SelectionSlider(options=list(self.groups), value=self.step, description="step")
        group = ipywidgets.IntSlider(self.group + 1, min=1, max=largest, description="group")

        def changed(_: Any) -> None:
            self.step, self.group = step.value, group.value - 1
            redraw()

        step.observe(changed, names="value")
        group.observe(changed, names="value")
        return ipywidgets.HBox([step, group])
