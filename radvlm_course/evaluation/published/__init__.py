"""Tables 1, 2 and 3 of the paper as data: every number with what it means and where it stands.

The values are in ``table1.csv`` to ``table3.csv``, in the paper's units; ``tables.yaml`` has the citations and, of each
column, the meaning, unit and direction, and the metric of ours that belongs beside it.
"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from radvlm_course.settings import build_settings, limits, parse_yaml

__all__ = ["TABLES", "PublishedColumn", "PublishedRow", "PublishedTable", "load_table"]

TABLES = (1, 2, 3)
UNITS = ("percent", "score", "characters", "billions")
DIRECTIONS = ("higher", "lower", "neither")


@dataclass(frozen=True)
class PublishedColumn:
    """One column of a table.

    Attributes:
        title, meaning: the heading, and what is measured.
        unit: ``percent``, ``score``, ``characters`` or ``billions``.
        better: ``higher``, ``lower`` or ``neither``.
        decimals: as the paper prints it.
        paper_n: examples behind the paper's values; None if not known.
        task, metric: where ours stands in a ``scores.json``; empty if there is none.
        scale: ours times this is in the column's unit.
        source: ours counts only if all of its examples of the task come from this dataset; empty: from any.
    """

    title: str
    meaning: str
    unit: str = field(metadata=limits(choices=UNITS))
    better: str = field(metadata=limits(choices=DIRECTIONS))
    decimals: int = field(metadata=limits(0))
    paper_n: int | None = field(default=None, metadata=limits(1))
    task: str = ""
    metric: str = ""
    scale: float = field(default=1.0, metadata=limits(0))
    source: str = ""

    def text(self, value: float) -> str:
        """A value as the paper prints it."""
        return f"{value:.{self.decimals}f}"


@dataclass(frozen=True)
class PublishedRow:
    """One row: a model (or a reward), its values in the columns' units, and the column it was trained on, if any."""

    name: str
    values: dict[str, float]
    trained_on: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """One table of the paper.

    Attributes:
        first_column: what the rows are, ``model`` or ``reward``.
        citation, note: where it stands, and what to know when reading it.
        columns: key -> column, in the paper's order. rows: in the paper's order.
    """

    number: int
    title: str
    first_column: str
    citation: str
    note: str
    columns: dict[str, PublishedColumn]
    rows: tuple[PublishedRow, ...]

    def best(self, column: str) -> tuple[str, ...]:
        """The rows with the best value of a column, as the paper sets them in bold; none where neither end is better.

        Raises:
            KeyError: the table has no such column.
        """
        better = self.columns[column].better
        if better == "neither":
            return ()
        values = [row.values[column] for row in self.rows]
        best = max(values) if better == "higher" else min(values)
        return tuple(row.name for row in self.rows if row.values[column] == best)


@functools.cache
def load_table(number: int) -> PublishedTable:
    """Table 1 (reports), 2 (grounding) or 3 (choice of the reward).

    Raises:
        ValueError: there is no such table.
    """
    tables = {entry["number"]: entry for entry in _description()["tables"]}
    if number not in tables:
        raise ValueError(f"table: expected one of {', '.join(map(str, tables))}, found {number}")
    entry = tables[number]
    found = _description()["columns"]
    columns = {key: build_settings(PublishedColumn, found[key], "tables.yaml", key) for key in entry["columns"]}
    trained_on = entry.get("trained_on", {})
    rows = tuple(
        _row(values, columns, trained_on) for values in csv.DictReader(io.StringIO(_text(f"table{number}.csv")))
    )
    texts = {name: str(entry[name]) for name in ("title", "first_column", "citation", "note")}
    return PublishedTable(number=number, columns=columns, rows=rows, **texts)


def _row(values: dict[str, str], columns: Mapping[str, PublishedColumn], trained_on: Mapping[str, str]) -> PublishedRow:
    name, *numbers = values.values()
    if tuple(values)[1:] != tuple(columns):
        raise ValueError(
            f"row {name!r}: expected the columns {', '.join(columns)}, found {', '.join(tuple(values)[1:])}"
        )
    return PublishedRow(name, dict(zip(columns, map(float, numbers), strict=True)), trained_on.get(name, ""))


@functools.cache
def _description() -> dict[str, Any]:
    description: dict[str, Any] = parse_yaml(_text("tables.yaml"))
    return description


def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
