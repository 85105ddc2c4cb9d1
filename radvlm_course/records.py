"""The two records that flow through the course, and their files.

A :class:`Study` is one radiograph and all that a dataset says of it; a reader makes it.
An :class:`Example` is one instruction pair; the instruction builder makes it, and training,
rewards, metrics and pictures read it. Both are frozen dataclasses of plain values, written
as JSON Lines (one object a line, readable with any tool) or as Parquet (for large mixtures).
No torch here: curating a million pairs needs none.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from radvlm_course.boxes import Box, BoxError

__all__ = [
    "TASKS",
    "Example",
    "RecordError",
    "Study",
    "read_jsonl",
    "read_parquet",
    "write_jsonl",
    "write_parquet",
]

TASKS = (
    "report_generation",
    "abnormality_classification",
    "anatomical_grounding",
    "abnormality_grounding",
    "abnormality_detection",
    "phrase_grounding",
    "conversation",
    "grounded_conversation",
)

PRESENT, ABSENT, UNCERTAIN = 1, 0, -1


class RecordError(ValueError):
    """A record that breaks the contract, naming the field and, in a file, the line."""


Boxes = tuple[Box, ...]


@dataclass(frozen=True)
class Study:
    """One radiograph and all that a dataset says of it.

    Attributes:
        image_path: path of the image file, below the root given to the reader.
        image_size: (width, height) in pixels of the original image.
        patient_id, study_id: as the dataset names them; splits are made by patient.
        source: the dataset's name, equal to its reader's module name.
        split: ``train``, ``validation`` or ``test``.
        view: ``PA``, ``AP``, ``lateral`` or empty if unknown.
        report: the report text, empty if the dataset has none.
        findings: label -> 1 present, 0 absent, -1 uncertain; a label that is missing was not mentioned.
        structures, abnormalities, phrases: name -> its boxes, unit coordinates.
    """

    image_path: str
    image_size: tuple[int, int]
    patient_id: str
    study_id: str
    source: str
    split: str
    view: str = ""
    report: str = ""
    findings: dict[str, int] = field(default_factory=dict)
    structures: dict[str, Boxes] = field(default_factory=dict)
    abnormalities: dict[str, Boxes] = field(default_factory=dict)
    phrases: dict[str, Boxes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.split not in ("train", "validation", "test"):
            raise RecordError(f"split: expected train, validation or test, found {self.split!r} ({self.study_id})")
        wrong = {name: value for name, value in self.findings.items() if value not in (PRESENT, ABSENT, UNCERTAIN)}
        if wrong:
            raise RecordError(f"findings: expected 1, 0 or -1, found {wrong} ({self.study_id})")


@dataclass(frozen=True)
class Example:
    """One instruction pair: what the model is asked about one image, and the answer.

    Attributes:
        id: unique within a mixture and stable across builds.
        task: one of :data:`TASKS`.
        question, answer: plain text; the answer writes boxes as ``boxes.format_boxes`` does.
        boxes: the ground-truth boxes of the answer, unit coordinates, unrounded.
        labels: the findings or the structure that the answer is about.
        source, patient_id, study_id, split: as in :class:`Study`.
    """

    id: str
    task: str
    image_path: str
    question: str
    answer: str
    boxes: Boxes = ()
    labels: tuple[str, ...] = ()
    source: str = ""
    patient_id: str = ""
    study_id: str = ""
    split: str = "train"

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise RecordError(f"task: expected one of {', '.join(TASKS)}; found {self.task!r} ({self.id})")


Record = TypeVar("Record", Study, Example)
_BOX_MAPS = ("structures", "abnormalities", "phrases")


def to_dict(record: Study | Example) -> dict[str, Any]:
    """A record as JSON-ready values; boxes become lists of four floats."""
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    for name in _BOX_MAPS:
        if name in values:
            values[name] = {key: [box.to_list() for box in boxes] for key, boxes in values[name].items()}
    if "boxes" in values:
        values["boxes"] = [box.to_list() for box in values["boxes"]]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def from_dict(values: dict[str, Any], kind: type[Record]) -> Record:
    """The inverse of :func:`to_dict`.

    Raises:
        RecordError: a key is unknown or missing, or a value breaks the record's contract.
    """
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := sorted(set(values) - known):
        raise RecordError(f"unknown field {', '.join(unknown)}; a {kind.__name__} has {', '.join(sorted(known))}")
    required = {
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(values)):
        raise RecordError(f"missing field {', '.join(missing)} of a {kind.__name__}")
    converted = dict(values)
    try:
        for name in _BOX_MAPS:
            if converted.get(name):
                converted[name] = {k: tuple(Box(*b) for b in boxes) for k, boxes in converted[name].items()}
        if "boxes" in converted:
            converted["boxes"] = tuple(Box(*box) for box in converted["boxes"])
        for name in ("image_size", "labels"):
            if name in converted:
                converted[name] = tuple(converted[name])
        return kind(**converted)
    except (BoxError, TypeError) as error:
        raise RecordError(f"not a {kind.__name__}: {error}") from error


def write_jsonl(records: Iterable[Study | Example], path: str | os.PathLike[str]) -> int:
    """Write one record a line; the file appears whole or not at all. Returns the count."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    count = 0
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(to_dict(record), ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    partial.replace(target)
    return count


def read_jsonl(path: str | os.PathLike[str], kind: type[Record]) -> Iterator[Record]:
    """Read records back, one at a time.

    Raises:
        RecordError: a line is not JSON or not a ``kind``; names the file and the line.
    """
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield from_dict(json.loads(line), kind)
            except (json.JSONDecodeError, RecordError) as error:
                raise RecordError(f"{path}, line {number}: {error}") from error


def write_parquet(records: Iterable[Study | Example], path: str | os.PathLike[str], rows_per_group: int = 10_000) -> int:
    """Write records as Parquet, streaming in row groups. Returns the count.

    Nested maps of boxes are stored as JSON strings, so that the columns are the same for every dataset.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    writer: pq.ParquetWriter | None = None
    count = 0
    try:
        for group in _grouped(records, rows_per_group):
            table = pa.Table.from_pylist([_flat(record) for record in group])
            if writer is None:
                writer = pq.ParquetWriter(partial, table.schema)
            writer.write_table(table.cast(writer.schema))
            count += len(group)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise RecordError(f"nothing to write to {path}: no record was given")
    partial.replace(target)
    return count


def read_parquet(path: str | os.PathLike[str], kind: type[Record]) -> Iterator[Record]:
    """Read records back from :func:`write_parquet`, one row group in memory at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                for name in ("findings", "boxes", *_BOX_MAPS):
                    if name in row:
                        row[name] = json.loads(row[name])
                yield from_dict(row, kind)


def _flat(record: Study | Example) -> dict[str, Any]:
    values = to_dict(record)
    for name in ("findings", "boxes", *_BOX_MAPS):
        if name in values:
            values[name] = json.dumps(values[name], ensure_ascii=False, allow_nan=False)
    if "labels" in values:
        values["labels"] = [str(label) for label in values["labels"]]
    return values


def _grouped(records: Iterable[Study | Example], size: int) -> Iterator[list[Study | Example]]:
    group: list[Study | Example] = []
    for record in records:
        group.append(record)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
