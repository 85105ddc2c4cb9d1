"""Reports under several scores at once: what one measure praises and another one sees.

Words (GLEU, ROUGE-L) and facts (the findings with their sides, as a labeller reads them) disagree, and
where they disagree a policy that is paid for words will find the gap.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from matplotlib.figure import Figure

from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.viz import style

__all__ = ["FINDINGS_SCORE", "draw_scorecard", "finding_agreement", "score_reports"]

FINDINGS_SCORE = "findings and sides (F1)"
FindingsOf = Callable[[str], Collection[tuple[str, str]]]
Scorecard = Mapping[str, Mapping[str, float]]

_ROW = 0.42  # inches
_PANEL = 1.9


def finding_agreement(response: str, reference: str, findings_of: FindingsOf) -> float:
    """F1 of the (finding, side) pairs of two reports, 0 to 1, higher is better; 1 if neither affirms any."""
    found, true = set(findings_of(response)), set(findings_of(reference))
    return 2 * len(found & true) / (len(found) + len(true)) if found or true else 1.0


def score_reports(
    candidates: Mapping[str, str], example: Example, findings_of: FindingsOf | None = None
) -> dict[str, dict[str, float]]:
    """GLEU and ROUGE-L of each candidate against the example's report, and F1 of findings with a labeller.

    Args:
        candidates: name -> report.
        findings_of: reads (finding, side) pairs, such as ``phantoms.labeller.report_findings``.
    """
    texts = list(candidates.values())
    columns = {
        title: get_reward(name)(texts, [example] * len(texts))
        for title, name in (("GLEU", "gleu"), ("ROUGE-L", "rouge_l"))
    }
    if findings_of is not None:
        columns[FINDINGS_SCORE] = [finding_agreement(text, example.answer, findings_of) for text in texts]
    return {name: {title: values[row] for title, values in columns.items()} for row, name in enumerate(candidates)}


@style.styled
def draw_scorecard(scores: Scorecard, title: str = "") -> Figure:
    """One panel a score, one bar a candidate, so that the panels' orders can be compared.

    Raises:
        ValueError: no candidate.
    """
    if not scores:
        raise ValueError("expected at least one report with its scores, found none")
    titles = list(next(iter(scores.values())))
    label = max(style.text_width(style.printable(name), 9.5) for name in scores) + 0.25
    top, body = (0.72 if title else 0.45), _ROW * len(scores)
    figure = style.new_figure(label + len(titles) * (_PANEL + 0.3), top + body + 0.15)
    if title:
        style.page(figure).text(0.1, 0.2, style.printable(title), va="center", fontsize=11)
    for column, name in enumerate(titles):
        axes = style.axes_at(figure, label + column * (_PANEL + 0.3), top, _PANEL, body)
        values = [row[name] for row in scores.values()]
        best = max(values)
        colours = [style.SERIES[0] if value == best else "#9DB8CC" for value in values]
        axes.barh(range(len(values)), values, height=0.62, color=colours)
        for row, value in enumerate(values):
            axes.text(value + 0.02, row, f"{value:.2f}", va="center", fontsize=9)
        axes.set(xlim=(0, 1.18), ylim=(len(values) - 0.5, -0.5), xticks=[])
        axes.set_yticks(range(len(values)), list(scores) if column == 0 else [], fontsize=9.5)
        axes.tick_params(length=0)
        axes.set_title(name)
        axes.spines["bottom"].set_visible(False)
    return figure
