"""What the modules say of their baselines, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from radvlm_course.evaluation.baselines import BASELINES, baseline_class, get_baseline
from radvlm_course.records import TASKS

__all__ = ["PARTS", "differences_table", "models_table", "settings_table", "supports_table", "supports_text"]

PAPER, HERE = "paper", "here"


def supports_table() -> dict[str, dict[str, str]]:
    """Who supports what: baseline -> task -> ``paper`` (in the paper's tables too), ``here``, or empty."""
    table = {}
    for name in BASELINES:
        found = baseline_class(name)
        here = {task: PAPER if task in found.card.paper_tasks else HERE for task in found.tasks}
        table[name] = {task: here.get(task, "") for task in TASKS}
    return table


def supports_text() -> str:
    """:func:`supports_table` as Markdown."""
    rows = [[f"`{name}`", *by_task.values()] for name, by_task in supports_table().items()]
    return _markdown(["baseline", *(task.replace("_", " ") for task in TASKS)], rows)


def models_table() -> str:
    """Identifier, size, licence, access and citation of each."""
    cards = [baseline_class(name).card for name in BASELINES]
    rows = [
        [
            f"`{card.name}`",
            card.title,
            card.identifier or "-",
            f"{card.billions:g} B",
            card.licence,
            card.access,
            card.environment or "this course's",
            card.citation,
        ]
        for card in cards
    ]
    head = ["baseline", "model", "on the hub", "size", "licence", "access", "environment", "citation"]
    return _markdown(head, rows)


def settings_table() -> str:
    """Generation settings of each task, in both variants; tasks with equal settings share a line."""
    rows = []
    for name in BASELINES:
        variants = [get_baseline(name, variant=variant) for variant in ("paper", "corrected")]
        same: dict[tuple[str, ...], list[str]] = {}
        for task in variants[0].tasks:
            settings = tuple(_settings(item.generation(task)) for item in variants)
            same.setdefault(settings, []).append(task)
        rows += [
            [f"`{name}`", "all" if len(same) == 1 else ", ".join(tasks), *settings] for settings, tasks in same.items()
        ]
    return _markdown(["baseline", "tasks", "paper", "corrected"], rows)


def differences_table() -> str:
    """What the two variants do differently, and why."""
    rows = [
        [f"`{name}`", item.what, item.paper, item.corrected, item.why]
        for name in BASELINES
        for item in baseline_class(name).differences
    ]
    return _markdown(["baseline", "what", "paper", "corrected", "why"], rows)


PARTS = {
    "models": models_table,
    "supports": supports_text,
    "settings": settings_table,
    "differences": differences_table,
}
"""Name -> what writes it."""


def _settings(generation: object) -> str:
    values = vars(generation)
    decoding = "greedy" if values["temperature"] == 0 else f"temperature {values['temperature']:g}"
    return f"{decoding}, {values['max_new_tokens']:,} tokens"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
