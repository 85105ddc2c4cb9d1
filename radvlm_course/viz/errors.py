"""An error browser: the worst and the best answers of a model, one page at a time, and what kinds of error it makes.

Grounding answers are shown with their boxes, reports with their findings highlighted
(:mod:`radvlm_course.viz.findings`). Without a live notebook the first page is an ordinary picture.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from radvlm_course.evaluation.errors import BOX_ERRORS, FINDING_ERRORS, Case, box_error
from radvlm_course.evaluation.grounding import label_of
from radvlm_course.evaluation.tables import METRIC_TITLES
from radvlm_course.rewards.base import BOX_TASKS
from radvlm_course.viz import style
from radvlm_course.viz.boxes import gallery
from radvlm_course.viz.findings import FindingsOf, draw_findings
from radvlm_course.viz.widgets import Interactive

__all__ = ["ErrorBrowser", "draw_box_errors", "draw_finding_errors", "draw_report_change"]

ALL = "all labels"
_FILMS, _WIDTH = 8, 1.9  # on a page; inches
_BOX_COLOURS = dict(
    zip(BOX_ERRORS, ("#009E73", "#8CCFB9", "#F0C64A", "#D55E00", "#CC79A7", "#555555", "#B0B0B0"), strict=True)
)
_FINDING_COLOURS = dict(zip(FINDING_ERRORS, ("#009E73", "#F0C64A", style.TRUTH, style.PREDICTION), strict=True))
_ROW = 0.34  # inches


def draw_report_change(cases: Mapping[str, Case], metric: str, findings_of: FindingsOf) -> Figure:
    """What several models wrote about one film, with their scores, the findings highlighted.

    Args:
        cases: model -> its answer, all to the same example. metric: title of what they were scored by.

    Raises:
        ValueError: the answers are to different examples.
    """
    if len(names := sorted({case.example.id for case in cases.values()})) != 1:
        raise ValueError(f"expected answers to one example, found {', '.join(names) or 'none'}")
    example = next(iter(cases.values())).example
    responses = {f"{model}, {metric} {case.value:.2f}": case.response for model, case in cases.items()}
    return draw_findings(responses, example.answer, findings_of, example.image_path)


class ErrorBrowser(Interactive):
    """Leaf through the answers of models, the worst or the best first.

    Args:
        cases: model -> its cases of one task, worst first (:func:`radvlm_course.evaluation.errors.read_cases`).
        metric: the metric that they were sorted by.
        findings_of: reads the findings of reports; needed for reports alone.
        root: the folder that the examples' image paths are below; empty if they stand for themselves.

    Raises:
        ValueError: there is no case, cases of several tasks, or reports without a labeller.

    Attributes:
        model, worst_first, label, place: what is shown; ``place`` is the first case of the page, from 0.
    """

    def __init__(
        self,
        cases: Mapping[str, Sequence[Case]],
        metric: str,
        findings_of: FindingsOf | None = None,
        root: str | os.PathLike[str] = "",
        worst_first: bool = True,
    ) -> None:
        tasks = {case.example.task for some in cases.values() for case in some}
        if len(tasks) != 1 or not all(cases.values()):
            raise ValueError(f"expected cases of one task for every model, found {', '.join(sorted(tasks)) or 'none'}")
        (self.task,) = tasks
        if self.task not in BOX_TASKS and findings_of is None:
            raise ValueError("expected findings_of, a labeller, to highlight the findings of reports")
        self.cases, self.metric, self.findings_of, self.root = dict(cases), metric, findings_of, Path(root)
        self.model, self.worst_first, self.label, self.place = next(iter(cases)), worst_first, ALL, 0

    @property
    def labels(self) -> list[str]:
        """What can be chosen from: all, and each label of the task."""
        if self.task not in BOX_TASKS:
            return [ALL]
        return [ALL, *sorted({label_of(case.example) for some in self.cases.values() for case in some})]

    @property
    def shown(self) -> list[Case]:
        """The cases of the present model and label in the present order."""
        chosen = [case for case in self.cases[self.model] if self.label in (ALL, label_of(case.example))]
        return chosen if self.worst_first else chosen[::-1]

    def render(self) -> Figure:
        chosen = self.shown
        place = min(self.place, len(chosen) - 1)
        order = "worst first" if self.worst_first else "best first"
        title = METRIC_TITLES.get(self.metric, self.metric)
        if self.task in BOX_TASKS:
            page = chosen[place : place + _FILMS]
            head = f"{self.model}, {self.label}, {order}: {place + 1} to {place + len(page)} of {len(chosen)}"
            captions = [
                f"{label_of(case.example)}: {title} {case.value:.2f}, {box_error(case.boxes, case.example.boxes)}"
                for case in page
            ]
            films = [self.root / case.example.image_path for case in page]
            truth = [case.example.boxes for case in page]
            return gallery(films, captions, truth, [case.boxes for case in page], width=_WIDTH, title=head)
        case = chosen[place]
        head = f"{order}: {place + 1} of {len(chosen)}, {title} {case.value:.2f}"
        assert self.findings_of is not None  # as the constructor saw to
        film = self.root / case.example.image_path
        return draw_findings({self.model: case.response}, case.example.answer, self.findings_of, film, head)

    def controls(self, redraw: Any) -> Any:
        import ipywidgets

        model = ipywidgets.Dropdown(options=list(self.cases), value=self.model, description="model")
        order = ipywidgets.Dropdown(
            options=[("worst first", True), ("best first", False)], value=self.worst_first, description="order"
        )
        label = ipywidgets.Dropdown(options=self.labels, value=self.label, description="label")
        step = _FILMS if self.task in BOX_TASKS else 1
        place = ipywidgets.IntSlider(self.place, min=0, max=len(self.shown) - 1, step=step, description="from")

        def changed(_: Any) -> None:
            self.model, self.worst_first, self.label = model.value, order.value, label.value
            place.max = len(self.shown) - 1  # moves the slider where it stood beyond
            self.place = place.value
            redraw()

        for control in (model, order, label, place):
            control.observe(changed, names="value")
        return ipywidgets.HBox([model, order, label, place])


@style.styled
def draw_box_errors(cases: Sequence[Case], title: str = "") -> Figure:
    """Of each label, the share of answers of each kind (:data:`radvlm_course.evaluation.errors.BOX_ERRORS`).

    Raises:
        ValueError: no case.
    """
    if not cases:
        raise ValueError("expected at least one case, found none")
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        counts.setdefault(label_of(case.example), Counter())[box_error(case.boxes, case.example.boxes)] += 1
    rows = {f"{label} (n = {sum(found.values())})": dict(found) for label, found in sorted(counts.items())}
    kinds = {kind: colour for kind, colour in _BOX_COLOURS.items() if any(kind in found for found in rows.values())}
    return _stacked(rows, kinds, title, "share of the questions")


@style.styled
def draw_finding_errors(errors: Mapping[str, Mapping[str, int]], title: str = "") -> Figure:
    """Of each finding, the share of reports in which it is matched, on the wrong side, missed, invented.

    Args:
        errors: as :func:`radvlm_course.evaluation.errors.finding_errors` gives them.

    Raises:
        ValueError: no finding.
    """
    if not errors:
        raise ValueError("expected at least one finding, found none")
    rows = {f"{name} (n = {sum(found.values())})": dict(found) for name, found in errors.items()}
    return _stacked(rows, _FINDING_COLOURS, title, "share of the reports in which model or reference affirms it")


def _stacked(rows: Mapping[str, Mapping[str, int]], colours: Mapping[str, str], title: str, axis: str) -> Figure:
    label = max(style.text_width(name, 9.5) for name in rows) + 0.3
    body = _ROW * len(rows) + 0.1
    top = 0.75 if title else 0.4
    figure = style.new_figure(label + 6.0, top + body + 0.6)
    if title:
        style.page(figure).text(0.12, 0.2, style.printable(title), va="center", fontsize=11)
    axes = style.axes_at(figure, label, top, 5.8, body)
    for place, found in enumerate(rows.values()):
        total, left = sum(found.values()), 0.0
        for kind, colour in colours.items():
            share = found.get(kind, 0) / total
            axes.barh(place, share, left=left, height=0.66, color=colour, edgecolor="white", linewidth=0.8)
            if share >= 0.04:
                dark = colour in ("#009E73", "#D55E00", "#555555")
                colour_of_text = "white" if dark else style.INK
                middle = left + share / 2
                axes.text(middle, place, str(found[kind]), ha="center", va="center", fontsize=8, color=colour_of_text)
            left += share
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel=axis)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.spines["left"].set_visible(False)
    width, height = figure.get_size_inches()
    figure.legend(
        handles=[Patch(color=colour, label=kind) for kind, colour in colours.items()],
        loc="lower left",
        bbox_to_anchor=(label / width, 1 - (top - 0.05) / height),
        ncols=len(colours),
        borderaxespad=0,
        handlelength=1.0,
        columnspacing=1.2,
    )
    return figure
