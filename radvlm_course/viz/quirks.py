"""The quirks of the paper's evaluation at work: both values of each example, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radvlm_course.evaluation.quirks import Quirk
from radvlm_course.viz import style

__all__ = ["draw_quirks"]

_MARGIN, _LINE, _SIZE = 0.15, 0.155, 8.5
_EXAMPLE, _SCALE, _NUMBER, _WHY = 3.0, 1.9, 0.7, 2.6  # widths of the columns in inches
_GAP = 0.2


@style.styled
def draw_quirks(quirks: Sequence[Quirk]) -> Figure:
    """A line an example under the name of its metric: the paper's value in orange, the corrected one in blue.

    Values outside 0 to 1 and ends with an error are written, not drawn.

    Raises:
        ValueError: no quirk.
    """
    if not quirks:
        raise ValueError("expected at least one quirk, found none")
    rows = [(q, style.wrapped(q.example, _EXAMPLE, _SIZE), style.wrapped(q.why, _WHY, _SIZE)) for q in quirks]
    heights = [_LINE * max(len(example), len(why)) + 0.13 for _, example, why in rows]
    names = list(dict.fromkeys(q.metric for q in quirks))
    scale = _MARGIN + _EXAMPLE + _GAP
    numbers = scale + _SCALE + _GAP
    why_left = numbers + 2 * _NUMBER + _GAP
    figure = style.new_figure(why_left + _WHY + _MARGIN, 0.45 + sum(heights) + 0.27 * len(names) + 0.1)
    paper = style.page(figure)
    _header(paper, scale, numbers, why_left)
    y, shown = 0.42, ""
    for (quirk, example, why), height in zip(rows, heights, strict=True):
        if quirk.metric != shown:
            shown = quirk.metric
            paper.plot([_MARGIN, why_left + _WHY], [y, y], color="#BBBBBB", linewidth=0.8)
            paper.text(_MARGIN, y + 0.15, shown, va="center", fontweight="bold", fontsize=9)
            y += 0.27
        middle = y + height / 2
        for x, lines in ((_MARGIN, example), (why_left, why)):
            for number, line in enumerate(lines):
                paper.text(x, middle + _LINE * (number - (len(lines) - 1) / 2), line, va="center", fontsize=_SIZE)
        _values(paper, quirk, scale, numbers, middle)
        y += height
    return figure


def _header(paper: Axes, scale: float, numbers: float, why: float) -> None:
    heads = ((_MARGIN, "what is scored"), (why, "what makes the difference"))
    for x, head in heads:
        paper.text(x, 0.18, head, va="center", fontsize=_SIZE, color=style.MUTED)
    for value in (0, 0.5, 1):
        paper.text(scale + value * _SCALE, 0.18, f"{value:g}", ha="center", va="center", fontsize=8, color=style.MUTED)
    for x, head, colour in ((0.5, "paper", style.PREDICTION_INK), (1.5, "corrected", style.TRUTH_INK)):
        paper.text(numbers + x * _NUMBER, 0.18, head, ha="center", va="center", fontsize=8.5, color=colour)


def _values(paper: Axes, quirk: Quirk, scale: float, numbers: float, y: float) -> None:
    paper.plot([scale, scale + _SCALE], [y, y], color="#E8E8E8", linewidth=1)
    marks = [
        (quirk.paper, style.PREDICTION, "D", style.PREDICTION_INK),
        (quirk.corrected, style.SERIES[0], "o", style.TRUTH_INK),
    ]
    drawn = [scale + v * _SCALE for v, *_ in marks if not isinstance(v, str) and 0 <= v <= 1]
    if len(drawn) == 2:
        paper.plot(drawn, [y, y], color="#999999", linewidth=2)
    for place, (value, colour, mark, ink) in enumerate(marks):
        text = value if isinstance(value, str) else f"{value:.3f}"
        paper.text(numbers + (place + 0.5) * _NUMBER, y, text, ha="center", va="center", fontsize=_SIZE, color=ink)
        if not isinstance(value, str) and 0 <= value <= 1:
            size = 7.5 if mark == "o" else 5.5  # the diamond stays visible on a dot of the same value
            paper.plot([scale + value * _SCALE], [y], mark, color=colour, markersize=size, zorder=3 + (mark == "D"))
