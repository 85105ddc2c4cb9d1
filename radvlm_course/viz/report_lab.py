"""Write a report of one's own and see what every reward gives for it.

As with every widget of the course there is a figure first, which shows a prepared candidate and survives without a
kernel; with a live frontend there are a choice of candidates and an input box below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.base import Reward
from radvlm_course.rewards.lab.survey import score_candidates
from radvlm_course.viz import style
from radvlm_course.viz.boxes import aspect_of
from radvlm_course.viz.films import Film, draw_film, load_film
from radvlm_course.viz.report_rollouts import FindingsOf, findings_note
from radvlm_course.viz.rollout_parts import shown_text
from radvlm_course.viz.texts import SHADES, draw_legend, draw_words, mark_words, plain_words, words_height
from radvlm_course.viz.widgets import Interactive

__all__ = ["OWN", "ReportLab"]

OWN = "your own"

_FILM, _TEXT, _BARS, _LABEL, _GAP, _MARGIN = 1.95, 3.75, 1.7, 1.1, 0.2, 0.12  # inches
_ROW = 0.34


class ReportLab(Interactive):
    """One reference, an input box, and every reward.

    Args:
        example: its answer is the reference.
        candidates: name -> report, to choose from; at least one.
        rewards: registered names, or rewards. Each is built once.
        start: the candidate that is shown first; the first one by default.
        marks: candidates whose rewards are marked on every bar, for comparison.
        film: shown on the left if given.
        findings_of: a labeller such as ``phantoms.labeller.report_findings``; it adds a line of findings.

    Raises:
        ValueError: no candidate, or a start or mark that is none of them.

    Attributes:
        text: the report that is shown.
        name: which candidate it is, or :data:`OWN`.
    """

    def __init__(
        self,
        example: Example,
        candidates: Mapping[str, str],
        rewards: Sequence[str | Reward],
        start: str = "",
        marks: Sequence[str] = (),
        film: Film | None = None,
        findings_of: FindingsOf | None = None,
    ) -> None:
        if not candidates:
            raise ValueError("expected at least one candidate to begin with, found none")
        self.example, self.candidates = example, dict(candidates)
        self.name = start or next(iter(self.candidates))
        if unknown := [name for name in (self.name, *marks) if name not in self.candidates]:
            raise ValueError(f"expected candidates among {', '.join(self.candidates)}; found {unknown[0]!r}")
        self.text = self.candidates[self.name]
        self.film = None if film is None else load_film(film)
        self.findings_of = findings_of
        self._rewards = [get_reward(reward) if isinstance(reward, str) else reward for reward in rewards]
        self._marks = score_candidates({name: self.candidates[name] for name in marks}, example, self._rewards)

    def write(self, text: str) -> None:
        """Put a report of one's own in place of the one that is shown."""
        self.text = text
        self.name = next((name for name, report in self.candidates.items() if report == text), OWN)

    def scores(self) -> dict[str, float]:
        """Reward -> what the report that is shown earns."""
        return score_candidates({self.name: self.text}, self.example, self._rewards)[self.name]

    @style.styled
    def render(self) -> Figure:
        left = _MARGIN + (_FILM + _GAP if self.film is not None else 0.0)
        film_height = 0.0 if self.film is None else _FILM * aspect_of(self.film)
        given = plain_words(self.example.answer, None)
        written = mark_words(shown_text(self.text), self.example.answer)
        note = self._note()
        texts = 0.85 + words_height(given, _TEXT) + max(words_height(written, _TEXT), 0.2) + 0.15 * len(note)
        bars = 0.3 + _ROW * len(self._rewards) + 0.2 * len(self._marks)
        height = _MARGIN + max(film_height, texts, bars) + 0.35
        width = left + _TEXT + _GAP + _LABEL + _BARS + 0.45 + _MARGIN
        figure = style.new_figure(width, height)
        paper = style.page(figure)
        if self.film is not None:
            draw_film(style.axes_at(figure, _MARGIN, _MARGIN, _FILM, film_height), self.film)
        paper.text(left, 0.2, "reference", va="center", fontsize=9, color=style.MUTED)
        y = 0.32 + draw_words(paper, given, left, 0.32, _TEXT)
        paper.text(left, y + 0.22, self.name, va="center", fontweight="bold")
        y += 0.36
        y += draw_words(paper, written, left, y, _TEXT) if self.text.strip() else self._say_nothing(paper, left, y)
        for number, line in enumerate(note):
            paper.text(left, y + 0.12 + 0.15 * number, line, va="center", fontsize=8, color=style.MUTED)
        draw_legend(paper, left, height - 0.3)
        self._draw_bars(paper, left + _TEXT + _GAP)
        return figure

    def _note(self) -> list[str]:
        if self.findings_of is None:
            return []
        return style.wrapped(findings_note(self.text, self.example.answer, self.findings_of), _TEXT, 8.0, max_lines=3)

    def _say_nothing(self, paper: Axes, left: float, y: float) -> float:
        paper.text(left, y + 0.1, "(no text)", va="center", color=style.MUTED)
        return 0.2

    def _draw_bars(self, paper: Axes, left: float) -> None:
        x = left + _LABEL
        for row, (name, value) in enumerate(self.scores().items()):
            middle = 0.45 + _ROW * row
            marked = [scores[name] for scores in self._marks.values()]
            low, high = min(0.0, value, *marked), max(1.0, value, *marked)
            scale = _BARS / (high - low)
            paper.text(x - 0.08, middle, name, ha="right", va="center", fontsize=9)
            paper.add_patch(Rectangle((x, middle - 0.09), _BARS, 0.18, facecolor=style.PALE, linewidth=0))
            origin, end = x - low * scale, x + (value - low) * scale
            bar = (min(origin, end), middle - 0.09), abs(end - origin), 0.18
            paper.add_patch(Rectangle(*bar, facecolor=SHADES[-1], linewidth=0))
            paper.text(x + _BARS + 0.06, middle, f"{value:.2f}", va="center", fontsize=9.5)
            for number, mark in enumerate(marked):
                place = x + (mark - low) * scale
                line = style.LINE_STYLES[number % 4]
                paper.plot([place] * 2, [middle - 0.13, middle + 0.13], color=style.INK, linestyle=line, linewidth=1.6)
        y = 0.45 + _ROW * len(self._rewards)
        for number, name in enumerate(self._marks):
            line = style.LINE_STYLES[number % 4]
            at = y + 0.2 * number
            paper.plot([x, x], [at - 0.08, at + 0.08], color=style.INK, linestyle=line, linewidth=1.6)
            paper.text(x + 0.08, at, f"what {name} earns", va="center", fontsize=8, color=style.MUTED)

    def controls(self, redraw: Any) -> Any:
        """A choice of candidates and an input box; a report is scored by the button or when the box loses the focus."""
        import ipywidgets

        wide = ipywidgets.Layout(width="640px")
        choice = ipywidgets.Dropdown(options=[*self.candidates, OWN], value=self.name, description="report")
        box = ipywidgets.Textarea(self.text, description="try one", continuous_update=False, rows=4, layout=wide)
        score = ipywidgets.Button(description="score")

        def chosen(change: Any) -> None:
            if change["new"] in self.candidates:
                box.value = self.candidates[change["new"]]

        def written(_: Any) -> None:
            self.write(box.value)
            choice.value = self.name
            redraw()

        choice.observe(chosen, names="value")
        box.observe(written, names="value")
        score.on_click(written)
        return ipywidgets.VBox([choice, box, score])
