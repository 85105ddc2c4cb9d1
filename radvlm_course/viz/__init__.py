"""Pictures of the course: films with boxes, groups of rollouts, training curves, results, diagrams.

Every function returns a matplotlib ``Figure`` that shows itself once when it is the last value of
a notebook cell; nothing calls pyplot or changes global settings. Imports are lazy: a name is
loaded from its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radvlm_course.viz.boxes import before_after, gallery, show_boxes
    from radvlm_course.viz.curves import compare_runs, grpo_curves, sft_curves
    from radvlm_course.viz.diagrams import draw_grpo_idea, draw_pipeline
    from radvlm_course.viz.errors import ErrorBrowser
    from radvlm_course.viz.findings import draw_findings
    from radvlm_course.viz.leaderboard import draw_leaderboard
    from radvlm_course.viz.report_lab import ReportLab
    from radvlm_course.viz.reward_table import draw_margins, draw_reward_table
    from radvlm_course.viz.rollouts import compare_reports, show_boxes_together, show_group, show_reports
    from radvlm_course.viz.tables import ResultsTable, dot_plot
    from radvlm_course.viz.texts import comparison_html
    from radvlm_course.viz.widgets import BoxExplorer, RolloutBrowser

__all__ = [
    "BoxExplorer",
    "ErrorBrowser",
    "ReportLab",
    "ResultsTable",
    "RolloutBrowser",
    "before_after",
    "compare_reports",
    "compare_runs",
    "comparison_html",
    "dot_plot",
    "draw_findings",
    "draw_grpo_idea",
    "draw_leaderboard",
    "draw_margins",
    "draw_pipeline",
    "draw_reward_table",
    "gallery",
    "grpo_curves",
    "sft_curves",
    "show_boxes",
    "show_boxes_together",
    "show_group",
    "show_reports",
]

_MODULES = {
    "boxes": ("before_after", "gallery", "show_boxes"),
    "curves": ("compare_runs", "grpo_curves", "sft_curves"),
    "diagrams": ("draw_grpo_idea", "draw_pipeline"),
    "errors": ("ErrorBrowser",),
    "findings": ("draw_findings",),
    "leaderboard": ("draw_leaderboard",),
    "report_lab": ("ReportLab",),
    "reward_table": ("draw_margins", "draw_reward_table"),
    "rollouts": ("compare_reports", "show_boxes_together", "show_group", "show_reports"),
    "tables": ("ResultsTable", "dot_plot"),
    "texts": ("comparison_html",),
    "widgets": ("BoxExplorer", "RolloutBrowser"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
