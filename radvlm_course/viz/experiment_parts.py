"""What the pictures of experiments share: signs of an effect, a cell of a grid, legends, which answers are gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from radvlm_course.evaluation.tables import WITHOUT_DIRECTION
from radvlm_course.experiments.arms import GROUNDING, REPORTS, Arm
from radvlm_course.experiments.catalogue import EXPERIMENTS
from radvlm_course.experiments.results import Answer, Results
from radvlm_course.experiments.verdicts import effect
from radvlm_course.viz import style

__all__ = [
    "COLOURS",
    "MARKS",
    "MEANINGS",
    "PALE",
    "TASKS",
    "arms_of",
    "draw_cell",
    "legend_at",
    "marks_legend",
    "own_gains",
    "pale_legend",
]

COLOURS = {1: style.BETTER, -1: style.WORSE, 0: "#8A8A8A"}
PALE = {1: "#BFE5D9", -1: "#F1D9E5", 0: style.PALE}
LENGTH = "#CFE5F4"  # another length, which is neither better nor worse
MARKS = {1: "^", -1: "v", 0: "o"}
MEANINGS = {1: "better", -1: "worse", 0: "no effect that counts"}
TASKS = {GROUNDING: "grounding", REPORTS: "reports"}


def arms_of(results: Results) -> Mapping[str, Arm]:
    """The experiment's arms by name.

    Raises:
        KeyError: the catalogue has no such experiment.
    """
    return {arm.name: arm for arm in EXPERIMENTS[results.experiment].arms}


def own_gains(results: Results) -> list[tuple[Arm, Answer]]:
    """Arms with the answer that compares them with their start, on a task that they were trained on.

    Raises:
        ValueError: there is none.
    """
    arms = arms_of(results)
    gains = [
        (arms[answer.question.after], answer)
        for answer in results.answers
        if answer.question.before.startswith("start: ")
        and answer.question.after in arms
        and answer.question.task in arms[answer.question.after].tasks
    ]
    if not gains:
        raise ValueError(f"expected arms that are compared with their start, found none in {results.experiment!r}")
    return gains


def draw_cell(axes: Axes, column: int, row: int, answer: Answer, framed: bool) -> None:
    """A square of a grid whose cells are one unit wide and high, in the colour of the answer's effect."""
    edge, line = (style.INK, 1.6) if framed else ("none", 0.0)
    found = effect(answer)
    neutral = found and answer.question.metric in WITHOUT_DIRECTION
    colour = LENGTH if neutral else PALE[found]
    axes.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=colour, edgecolor=edge, linewidth=line))


def marks_legend(figure: Figure, left: float, y: float, too_small: str = "too small to count") -> None:
    """What the marks, the hollow dots and the grey band mean; place in inches from the top left corner."""
    handles: list[Line2D | Patch] = [
        Line2D([], [], marker=MARKS[sign], color=COLOURS[sign], linewidth=2, label=text)
        for sign, text in MEANINGS.items()
    ]
    handles.append(Line2D([], [], marker="o", color=style.INK, markerfacecolor="white", linewidth=0, label="a seed"))
    handles.append(Patch(color=style.PALE, label=too_small))
    legend_at(figure, handles, left, y, 5)


def pale_legend(figure: Figure, left: float, y: float, framed: str, lengths: bool = False) -> None:
    """What the colours of cells mean, and what the frame does; ``lengths``: also that of another length."""
    handles = [Patch(facecolor=PALE[sign], edgecolor="#BBBBBB", label=text) for sign, text in MEANINGS.items()]
    handles.append(Patch(facecolor="white", edgecolor=style.INK, linewidth=1.6, label=framed))
    if lengths:
        handles.append(Patch(facecolor=LENGTH, edgecolor="#BBBBBB", label="shorter or longer"))
    legend_at(figure, handles, left, y, 5)


def legend_at(figure: Figure, handles: Sequence[Line2D | Patch], left: float, y: float, columns: int) -> None:
    """A legend whose left end and middle are at a place in inches from the top left corner."""
    width, height = figure.get_size_inches()
    place = (left / width, 1 - y / height)
    figure.legend(handles=handles, loc="center left", bbox_to_anchor=place, ncols=columns, columnspacing=1.2)
