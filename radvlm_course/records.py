"""The two records that flow through the course, and their files.

A :class:`Study` is one radiograph and all that a dataset says of it; a reader makes it.
An :class:`Example` is one instruction pair; the instruction builder makes it, and training,
rewards, metrics and pictures read it. Both are frozen dataclasses of plain values, written
as JSON Lines (one object a line, readable with any tool) or as Parquet (for large mixtures).
No torch here: curating a million pairs needs none.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from radvlm_course.boxes import Box, BoxError

__all__ = [
    "BOX_TASKS",
    "TASKS",
    "Example",
    "RecordError",
    "Study",
    "json_line",
    "jsonl_to_parquet",
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

# The tasks whose answers are judged by their boxes.
BOX_TASKS = ("anatomical_grounding", "abnormality_grounding", "abnormality_detection", "phrase_grounding")

PRESENT, ABSENT, UNCERTAIN = 1, 0, -1
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


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
        if len(self.image_size) != 2 or min(self.image_size) <= 0:
            found = f"{self.image_size} ({self.study_id})"
            raise RecordError(f"image_size: expected (width, height) in pixels, found {found}")


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
        follow_up: of a conversation the rounds after the first, each (question, answer); else empty, and then
            left out of the JSON.
        thought: what an answer with reasoning says before the answer, without tags; the question is then asked in the
            thinking mode. Empty for a direct answer, and then left out of the JSON.
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
    follow_up: tuple[tuple[str, str], ...] = ()
    thought: str = ""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise RecordError(f"task: expected one of {', '.join(TASKS)}; found {self.task!r} ({self.id})")
        if any(tag in self.thought for tag in ("<think>", "</think>")):
            raise RecordError(f"thought: expected text without tags, found {self.thought!r:.80} ({self.id})")
        for turns in self.follow_up:
            if len(turns) != 2 or not all(isinstance(text, str) for text in turns):
                raise RecordError(f"follow_up: expected pairs of question and answer, found {turns!r:.80} ({self.id})")


Record = TypeVar("Record", Study, Example)
_BOX_MAPS = ("structures", "abnormalities", "phrases")
_OPTIONAL = ("follow_up", "thought")  # fields that are written where they hold something
_JSON_COLUMNS = ("findings", "boxes", "follow_up", *_BOX_MAPS)  # of a Parquet file


def to_dict(record: Study | Example) -> dict[str, Any]:
    """A record as JSON-ready values; boxes become lists of four floats."""
    values = dict(vars(record))  # in the order of the fields
    if isinstance(record, Example):
        values["boxes"] = [box.to_list() for box in record.boxes]
        values["labels"] = list(record.labels)
        values["follow_up"] = [list(turns) for turns in record.follow_up]
        for name in _OPTIONAL:
            if not values[name]:
                del values[name]
        return values
    for name in _BOX_MAPS:
        values[name] = {key: [box.to_list() for box in boxes] for key, boxes in values[name].items()}
    values["image_size"] = list(record.image_size)
    return values


def from_dict(values: dict[str, Any], kind: type[Record]) -> Record:
    """The inverse of :func:`to_dict`.

    Raises:
        RecordError: a key is unknown or missing, or a value breaks the record's contract.
    """
    if not isinstance(values, dict):
        raise RecordError(f"expected an object with the fields of {kind.__name__}, found {values!r:.80}")
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := sorted(set(values) - known):
        raise RecordError(f"unknown field {', '.join(unknown)}; {kind.__name__} has {', '.join(sorted(known))}")
    required = {
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(values)):
        raise RecordError(f"missing field {', '.join(missing)} of {kind.__name__}")
    _check_containers(values, kind)
    converted = dict(values)
    try:
        for name in _BOX_MAPS:
            if name in converted:
                converted[name] = {k: tuple(Box(*b) for b in boxes) for k, boxes in converted[name].items()}
        if "boxes" in converted:
            converted["boxes"] = tuple(Box(*box) for box in converted["boxes"])
        for name in ("image_size", "labels"):
            if name in converted:
                converted[name] = tuple(converted[name])
        if "follow_up" in converted:
            converted["follow_up"] = tuple(tuple(turns) for turns in converted["follow_up"])
        return kind(**converted)
    except (BoxError, TypeError) as error:
        raise RecordError(f"not a valid {kind.__name__}: {error}") from error


def _check_containers(values: dict[str, Any], kind: type[Record]) -> None:
    for f in dataclasses.fields(kind):
        outer = str(f.type).partition("[")[0]
        expected, name = {"str": (str, "text"), "dict": (dict, "an object")}.get(outer, ((list, tuple), "a list"))
        if f.name in values and not isinstance(values[f.name], expected):
            raise RecordError(f"{f.name}: expected {name}, found {values[f.name]!r:.80}")


def write_jsonl(records: Iterable[Study | Example], path: str | os.PathLike[str]) -> int:
    """Write one record a line; the file appears whole or not at all. Returns the count.

    Raises:
        RecordError: a record holds a value that JSON or UTF-8 cannot; names the record.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    count = 0
    try:
        with partial.open("wb") as file:
            for record in records:
                file.write(json_line(record))
                count += 1
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return count


def json_line(record: Study | Example) -> bytes:
    """A record as one line of JSON in UTF-8, with its line break.

    Raises:
        RecordError: the record holds a value that JSON or UTF-8 cannot; names it.
    """
    try:
        return (_ENCODE(to_dict(record)) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise RecordError(f"{getattr(record, 'id', record.study_id)}: cannot be written as JSON: {error}") from error


def read_jsonl(path: str | os.PathLike[str], kind: type[Record]) -> Iterator[Record]:
    """Read records back, one at a time.

    Raises:
        RecordError: a line is not JSON or not a ``kind``; names the file and the line.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = from_dict(json.loads(line.decode("utf-8-sig")), kind)
            except (ValueError, RecursionError) as error:  # broken JSON, broken UTF-8, broken record
                raise RecordError(f"{path}, line {number}: {error}") from error
            yield record


def write_parquet(
    records: Iterable[Study | Example],
    path: str | os.PathLike[str],
    rows_per_group: int = 10_000,
    conversations: bool = False,
    thoughts: bool = False,
) -> int:
    """Write records as Parquet, streaming in row groups. Returns the count.

    Nested maps of boxes are stored as JSON strings, so that the columns are the same for every dataset.

    Args:
        conversations: write the column ``follow_up``, which only conversations need.
        thoughts: write the column ``thought``, which only answers with reasoning need.

    Raises:
        RecordError: there is no record to write, Study and Example are mixed in one file, or a record has
            follow-up rounds or a thought and there is no column for them.
    """
    remaining = iter(records)
    first = next(remaining, None)
    kind = Example if first is None else type(first)

    def rows() -> Iterator[dict[str, Any]]:
        for record in itertools.chain([] if first is None else [first], remaining):
            if type(record) is not kind:
                raise RecordError(f"{path}: expected {kind.__name__} records only, found {type(record).__name__}")
            yield to_dict(record)

    return _write_rows(rows(), Path(path), _schema(kind, conversations, thoughts), rows_per_group)


def jsonl_to_parquet(
    source: str | os.PathLike[str], target: str | os.PathLike[str], kind: type[Record], conversations: bool = False
) -> int:
    """What :func:`write_parquet` writes, from a JSONL file of our own, whose records are not checked again."""
    with open(source, encoding="utf-8", newline="\n") as file:
        return _write_rows(map(json.loads, file), Path(target), _schema(kind, conversations), 10_000)


def _write_rows(rows: Iterable[dict[str, Any]], target: Path, schema: Any, rows_per_group: int) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    count = 0
    try:
        with pq.ParquetWriter(partial, schema) as writer:
            cells = (_flat(row, schema.names) for row in rows)
            while group := list(itertools.islice(cells, rows_per_group)):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                count += len(group)
        if not count:
            raise RecordError(f"nothing to write to {target}: no record was given")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _schema(kind: type[Study | Example], conversations: bool, thoughts: bool = False) -> Any:
    import pyarrow as pa

    lists = {"image_size": pa.list_(pa.int64()), "labels": pa.list_(pa.string())}
    wanted = {"follow_up": conversations, "thought": thoughts}
    names = [f.name for f in dataclasses.fields(kind) if wanted.get(f.name, True)]
    return pa.schema([(name, lists.get(name, pa.string())) for name in names])


def read_parquet(path: str | os.PathLike[str], kind: type[Record]) -> Iterator[Record]:
    """Read records back from :func:`write_parquet`, one row group in memory at a time.

    Raises:
        RecordError: a row is not a ``kind``; names the file and the row, counted from 1.
    """
    import pyarrow.parquet as pq

    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                try:
                    nested = {name: json.loads(row[name]) for name in _JSON_COLUMNS if name in row}
                    record = from_dict(row | nested, kind)
                except (ValueError, TypeError, RecursionError) as error:
                    raise RecordError(f"{path}, row {number}: {error}") from error
                yield record


def _flat(values: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A record's values as cells of a Parquet row; ``values`` is changed."""
    if "follow_up" in columns:
        values.setdefault("follow_up", [])
    elif "follow_up" in values:
        raise RecordError(f"{values['id']}: a conversation with follow-up rounds: write with conversations=True")
    if "thought" in columns:
        values.setdefault("thought", "")
    elif "thought" in values:
        raise RecordError(f"{values['id']}: an answer with a thought: write with thoughts=True")
    for name in _JSON_COLUMNS:
        if name in values:
            values[name] = "[]" if values[name] == [] else _ENCODE(values[name])
    if "labels" in values:
        values["labels"] = [str(label) for label in values["labels"]]
    return values
