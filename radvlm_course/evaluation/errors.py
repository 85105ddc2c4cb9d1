"""Single answers with their scores, and what kind of error each is: a mean says how much, an error says what.

Kinds of grounding answers exclude each other; the first that fits counts. Of reports, each finding of the two reports
is matched, on the wrong side, missed or invented.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radvlm_course.boxes import Box, iou_matrix, parse_boxes
from radvlm_course.evaluation.box_matching import true_positives
from radvlm_course.evaluation.predictions import read_predictions
from radvlm_course.evaluation.score import load_scores
from radvlm_course.records import Example

__all__ = ["BOX_ERRORS", "FINDING_ERRORS", "Case", "box_error", "by_gain", "finding_errors", "read_cases"]

BOX_ERRORS = ("right", "partly right", "near miss", "other side", "elsewhere", "nothing written", "nothing to find")
"""``right``: every true box is found at IoU 0.5 and nothing else is written; where there is nothing to find, nothing is
written. ``partly right``: some are found. ``near miss``: a box overlaps a true one with an IoU of 0.1 or more. ``other
side``: it would if the film were mirrored. ``elsewhere``: none of these. ``nothing to find``: a box where there is
none."""
FINDING_ERRORS = ("matched", "wrong side", "missed", "invented")
NEAR = 0.1


@dataclass(frozen=True)
class Case:
    """One answer of a model.

    Attributes:
        response: None for none. row: its line of ``per_example.jsonl``.
        value: its score under the metric that it was read for; higher is better.
    """

    example: Example
    response: str | None
    row: dict[str, Any]
    value: float

    @property
    def boxes(self) -> list[Box]:
        """The boxes that the response writes, unit coordinates."""
        return parse_boxes(self.response or "")


def read_cases(
    folder: str | os.PathLike[str], model: str, examples: Mapping[str, Example], task: str, metric: str
) -> list[Case]:
    """The answers of a model on a task, the worst first, equal ones in the order of their ids.

    Args:
        folder: of the evaluation stage.
        examples: id -> example; those without one are an error.
        metric: a number that each row of the task has, such as ``soft_f1`` or ``gleu``.

    Raises:
        FileNotFoundError: the model was not evaluated there.
        ValueError: no row of the task has the metric, or an example is not given.
    """
    name = _folder_of(Path(folder), model)
    rows = [row for row in load_scores(Path(folder) / "scores" / name).rows if row["task"] == task and metric in row]
    if not rows:
        raise ValueError(f"{model} has no row of {task} with {metric}")
    if missing := [row["example_id"] for row in rows if row["example_id"] not in examples]:
        raise ValueError(f"{len(missing)} examples of the rows are not given, such as {missing[:3]}")
    lines = read_predictions(Path(folder) / "predictions" / f"{name}.jsonl")
    said = {line.example_id: line.response for line in lines}
    cases = [Case(examples[r["example_id"]], said[r["example_id"]], r, float(r[metric])) for r in rows]
    return sorted(cases, key=lambda case: (case.value, case.example.id))


def by_gain(before: Sequence[Case], after: Sequence[Case]) -> list[tuple[Case, Case]]:
    """Answers of two models to the same examples, the one that lost most first, equal ones in the order of their ids.

    Raises:
        ValueError: the two did not answer the same examples.
    """
    first, second = ({case.example.id: case for case in cases} for cases in (before, after))
    if first.keys() != second.keys():
        raise ValueError(f"expected the same examples, found {len(first.keys() ^ second.keys())} that one side lacks")
    order = sorted(first, key=lambda key: (second[key].value - first[key].value, key))
    return [(first[key], second[key]) for key in order]


def _folder_of(folder: Path, model: str) -> str:
    """The name of the model's files: its own, or another one where it cannot name a folder, as with the priors."""
    found = {json.loads(path.read_text(encoding="utf-8"))["model"]: path.parent.name for path in _scores_in(folder)}
    if model not in found:
        there = ", ".join(found) or "no model"
        raise FileNotFoundError(f"{folder / 'scores'}: expected scores of {model!r}, found those of {there}")
    return found[model]


def _scores_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("scores/*/scores.json"))


def box_error(predicted: Sequence[Box], true: Sequence[Box]) -> str:
    """The kind of a grounding answer, one of :data:`BOX_ERRORS`.

    >>> box_error([Box(0.1, 0.1, 0.3, 0.3)], [Box(0.7, 0.1, 0.9, 0.3)])
    'other side'
    """
    if not true:
        return "nothing to find" if predicted else "right"
    if not predicted:
        return "nothing written"
    ious = iou_matrix(predicted, true)
    if hits := true_positives(ious):
        return "right" if hits == len(true) == len(predicted) else "partly right"
    if ious.max() >= NEAR:
        return "near miss"
    mirrored = [Box(1 - box.x2, box.y1, 1 - box.x1, box.y2) for box in predicted]
    return "other side" if iou_matrix(mirrored, true).max() >= NEAR else "elsewhere"


def finding_errors(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Finding -> kind of :data:`FINDING_ERRORS` -> in how many reports.

    A finding on several sides is matched in a report only if its sides are the same in both.

    Args:
        rows: of reports, with ``findings_predicted`` and ``findings_true``.
    """
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        found, true = (_sides_of(row[f"findings_{side}"]) for side in ("predicted", "true"))
        for finding in found.keys() | true.keys():
            if finding not in found:
                kind = "missed"
            elif finding not in true:
                kind = "invented"
            else:
                kind = "matched" if found[finding] == true[finding] else "wrong side"
            counts.setdefault(finding, dict.fromkeys(FINDING_ERRORS, 0))[kind] += 1
    return dict(sorted(counts.items()))


def _sides_of(pairs: Sequence[Sequence[str]]) -> dict[str, set[str]]:
    sides: dict[str, set[str]] = {}
    for finding, side in pairs:
        sides.setdefault(finding, set()).add(side)
    return sides
