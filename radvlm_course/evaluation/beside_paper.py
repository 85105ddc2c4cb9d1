"""Our scores beside a table of the paper: the same columns, in the paper's units, with what the paper lacks.

The paper's numbers stand as printed, the best of each column bold as there. Ours carry their interval, the examples
behind them, and a place among ours where the intervals allow one (:mod:`radvlm_course.evaluation.ranks`). The paper's
rows have no interval, so nobody is ranked against them; and numbers on other films are not comparable at all, which is
why every row of ours says which dataset it is from.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radvlm_course.evaluation.provenance import ABOUT_FILE
from radvlm_course.evaluation.published import PublishedColumn, PublishedTable
from radvlm_course.evaluation.ranks import RankRange, rank_ranges
from radvlm_course.evaluation.score import Scores
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.records import Example

__all__ = ["OurScores", "SideBySide", "beside_paper", "our_scores", "read_our_scores"]


@dataclass(frozen=True)
class OurScores:
    """One of our models, as ``evaluate score`` left it.

    Attributes:
        tasks: task -> metric -> interval.
        sources: task -> the datasets of its examples; empty if the scores do not say.
        example_ids: task -> its examples; empty if the rows are not there.
    """

    model: str
    tasks: dict[str, dict[str, Interval]]
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    example_ids: dict[str, frozenset[str]] = field(default_factory=dict)


def read_our_scores(path: str | os.PathLike[str]) -> OurScores:
    """Read a ``scores.json`` (or the folder that holds it), with ``about.json`` and ``per_example.jsonl`` beside it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not what ``evaluate score`` writes; names the file.
    """
    file = Path(path)
    file = file / "scores.json" if file.is_dir() else file
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        tasks = {
            task: {metric: Interval.from_dict(interval) for metric, interval in metrics.items()}
            for task, metrics in values["tasks"].items()
        }
        return OurScores(str(values["model"]), tasks, _sources(file.parent), _example_ids(file.parent))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: expected the scores that evaluate score writes: {error!r}") from error


def our_scores(scores: Scores, examples: Iterable[Example], name: str = "") -> OurScores:
    """Scores in memory, with the datasets of the examples that they are about.

    Args:
        examples: at least those that were scored. name: to show; by default the model's.

    Raises:
        KeyError: a scored example is not given.
    """
    source_of = {example.id: example.source for example in examples}
    found: dict[str, set[str]] = {task: set() for task in scores.tasks}
    for row in scores.rows:
        found[row["task"]].add(row["example_id"])
    sources = {task: tuple(sorted({source_of[one] for one in ids} - {""})) for task, ids in found.items()}
    ids = {task: frozenset(some) for task, some in found.items()}
    return OurScores(name or scores.model, scores.tasks, sources, ids)


def _sources(folder: Path) -> dict[str, tuple[str, ...]]:
    path = folder / ABOUT_FILE
    if not path.exists():
        return {}
    about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {task: tuple(sorted(sources)) for task, sources in about["sources"].items()}


def _example_ids(folder: Path) -> dict[str, frozenset[str]]:
    path = folder / "per_example.jsonl"
    found: dict[str, set[str]] = {}
    if path.exists():
        with path.open(encoding="utf-8", newline="\n") as file:
            for row in map(json.loads, file):
                found.setdefault(row["task"], set()).add(row["example_id"])
    return {task: frozenset(identifiers) for task, identifiers in found.items()}


@dataclass(frozen=True)
class SideBySide:
    """A table of the paper with our rows.

    Attributes:
        ours: name -> column -> interval in the column's unit.
        places: column -> name -> place among ours; a column that gives nobody a place is missing.
        data: name -> the datasets that its numbers are from, as text.
        notes: what a reader must know of our rows.
    """

    table: PublishedTable
    ours: dict[str, dict[str, Interval]]
    places: dict[str, dict[str, RankRange]]
    data: dict[str, str]
    notes: tuple[str, ...]

    @property
    def level(self) -> float:
        """Coverage of our intervals; 0.95 without any."""
        return next((interval.level for row in self.ours.values() for interval in row.values()), 0.95)


def beside_paper(table: PublishedTable, scores: Sequence[OurScores]) -> SideBySide:
    """Put our scores into the columns of a table of the paper.

    Raises:
        ValueError: two of ours have one name, or one has no number for any column.
    """
    names = [item.model for item in scores]
    if len(set(names)) < len(names):
        raise ValueError(
            f"expected scores of different models, found {', '.join(names)}: score one under another --name"
        )
    ours: dict[str, dict[str, Interval]] = {}
    notes: list[str] = []
    for item in scores:
        ours[item.model] = _row(table, item, notes)
        if not ours[item.model]:
            wanted = sorted({f"{column.task}/{column.metric}" for column in table.columns.values() if column.metric})
            raise ValueError(
                f"{item.model} has none of the numbers of table {table.number}: expected {', '.join(wanted)}"
            )
    places = {}
    for key, column in table.columns.items():
        if found := _places(key, column, ours, scores, notes):
            places[key] = found
    data = {item.model: _data(table, item) for item in scores}
    return SideBySide(table, ours, places, data, tuple(dict.fromkeys(notes)))


def _row(table: PublishedTable, scores: OurScores, notes: list[str]) -> dict[str, Interval]:
    row = {}
    for key, column in table.columns.items():
        interval = scores.tasks.get(column.task, {}).get(column.metric)
        if interval is None or math.isnan(interval.value):
            continue
        if column.source and scores.sources.get(column.task) != (column.source,):
            found = ", ".join(scores.sources.get(column.task, ())) or "datasets that its scores do not name"
            notes.append(
                f"{scores.model} is not in column {column.title}: its {column.task.replace('_', ' ')} is on {found}, "
                f"expected {column.source} alone (evaluate score --sources {column.source})."
            )
            continue
        row[key] = _scaled(interval, column.scale)
    return row


def _scaled(interval: Interval, scale: float) -> Interval:
    low, value, high = (scale * number for number in (interval.low, interval.value, interval.high))
    return Interval(value, low, high, interval.n, interval.patients, interval.level)


def _places(
    key: str,
    column: PublishedColumn,
    ours: Mapping[str, Mapping[str, Interval]],
    scores: Sequence[OurScores],
    notes: list[str],
) -> dict[str, RankRange]:
    there = {name: row[key] for name, row in ours.items() if key in row}
    examples = {
        item.example_ids.get(column.task, frozenset({f"{there[item.model].n} of {there[item.model].patients}"}))
        for item in scores
        if item.model in there
    }
    if len(examples) > 1:
        notes.append(f"No places in column {column.title}: our rows were not scored on the same examples.")
        return {}
    return rank_ranges(there, column.better)


def _data(table: PublishedTable, scores: OurScores) -> str:
    tasks = dict.fromkeys(column.task for column in table.columns.values() if column.task in scores.tasks)
    found = dict.fromkeys(source for task in tasks for source in scores.sources.get(task, ()))
    return ", ".join(found) or "not said"
