"""What a results table leaves out about boxes, as Markdown: COCO's tool, sizes of boxes, empty cases.

All is read from :class:`~radvlm_course.evaluation.score.Scores`; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from radvlm_course.evaluation.box_matching import LARGE_FROM, SIZES, SMALL_BELOW
from radvlm_course.evaluation.score import Scores
from radvlm_course.evaluation.tables import escaped, interval_text

__all__ = ["COCO_NOTE", "box_tables", "coco_table_markdown", "empty_cases_markdown", "size_table_markdown"]

COCO_NOTE = (
    "A language model gives no confidences. COCO's tool is told that first boxes are surer than second ones "
    '("as written"); in brackets the values if all wrong boxes stood first, and if all right ones did. '
    "AP is the mean over labels, AR the mean recall at IoU 0.5 to 0.95. No intervals: resampling would take hours."
)
_CASES = (
    ("nothing_to_find", "nothing to find"),
    ("nothing_to_find_and_said_so", "... and said so"),
    ("nothing_to_find_but_boxes_written", "... but boxes written"),
    ("boxes_to_find_but_none_written", "boxes to find, none written"),
    ("without_response", "no response"),
    ("cut_off_at_length", "cut off"),
    ("malformed_boxes", "malformed boxes"),
)


def box_tables(scores: Mapping[str, Scores]) -> str:
    """All of them with headings, for the results of a run; empty if no task has boxes."""
    parts = (
        ("COCO's tool (faster-coco-eval)", coco_table_markdown(scores)),
        ("Recall at IoU 0.5 by size of the true box", size_table_markdown(scores)),
        ("Empty cases of grounding", empty_cases_markdown(scores)),
    )
    return "\n".join(f"{title}\n\n{text}" for title, text in parts if text)


def coco_table_markdown(scores: Mapping[str, Scores], task: str | None = None) -> str:
    """AP and AR as COCO's tool computes them, one table a task; empty if it was not asked.

    Args:
        scores: name to show -> scores.
        task: one task; None takes all.
    """
    header = ["model", "AP@0.5 [worst, best ranking]", "AP@0.5:0.95", "AR"]
    header += [f"{name} {size}" for name in ("AP@0.5", "AR") for size in SIZES] + ["films", "true boxes"]
    blocks = []
    for name in _tasks([item.coco for item in scores.values()], task):
        lines = []
        for model, item in scores.items():
            if table := item.coco.get(name):
                written, worst, best = (table[ranking] for ranking in ("as_written", "worst", "best"))
                cells = [f"{_number(written['map50'])} [{_number(worst['map50'])}, {_number(best['map50'])}]"]
                cells += [_number(written["map"]), _number(written["average_recall"])]
                cells += [_number(written[f"map50_{size}"]) for size in SIZES]
                cells += [_number(written[f"average_recall_{size}"]) for size in SIZES]
                lines.append([model, *cells, str(table["n"]), str(table["boxes"])])
        blocks.append(_table(name, header, lines))
    return "\n".join(blocks) + (f"\n{COCO_NOTE}\n" if blocks else "")


def size_table_markdown(scores: Mapping[str, Scores], task: str | None = None) -> str:
    """Recall of true boxes of each size with intervals; n is the examples with such a box."""
    blocks = []
    for name in _tasks([item.sizes for item in scores.values()], task):
        there = {model: item.sizes[name] for model, item in scores.items() if name in item.sizes}
        lines = []
        for model, sizes in there.items():
            found = {size: sizes[size]["recall50"] for size in SIZES}
            lines.append([model, *(f"{interval_text('recall50', i, i.n)} (n = {i.n})" for i in found.values())])
        blocks.append(_table(name, ["model", *SIZES], lines))
    note = f"Small: below {SMALL_BELOW:.0%} of the film's area; large: from {LARGE_FROM:.0%}.\n"
    return "\n".join(blocks) + (f"\n{note}" if blocks else "")


def empty_cases_markdown(scores: Mapping[str, Scores], task: str | None = None) -> str:
    """How often nothing was to find or nothing was written, of each model."""
    boxes = [
        {name: cases for name, cases in item.counts.items() if "nothing_to_find" in cases} for item in scores.values()
    ]
    blocks = []
    for name in _tasks(boxes, task):
        there = {model: cases[name] for model, cases in zip(scores, boxes, strict=True) if name in cases}
        lines = [
            [model, str(cases["examples"]), *(str(cases[key]) for key, _ in _CASES)] for model, cases in there.items()
        ]
        blocks.append(_table(name, ["model", "n", *(title for _, title in _CASES)], lines))
    return "\n".join(blocks)


def _tasks(tables: Sequence[Mapping[str, object]], wanted: str | None) -> list[str]:
    return [name for name in dict.fromkeys(name for table in tables for name in table) if wanted in (None, name)]


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _table(task: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [list(header), ["---", *["---:"] * (len(header) - 1)], *lines]
    text = "\n".join("| " + " | ".join(escaped(cell) for cell in row) + " |" for row in rows)
    return f"**{task.replace('_', ' ')}**\n\n{text}\n"
