"""The files that other tools read, made from a mixture's JSON lines: Parquet for TRL, LLaVA-style JSON, verl's Parquet.

- ``SPLIT.parquet``: the examples as columns, see :func:`radvlm_course.records.write_parquet`.
- ``SPLIT.llava.json``: one list of objects with ``id``, ``image`` (absolute path), ``conversations`` (turns with
  ``from``: human or gpt, and ``value``; the first begins with ``<image>``), and beside them ``labels`` and the
  ``example_id``. LLaVA and LLaMA-Factory (format ``sharegpt``) read it.
- ``verl/SPLIT.TASK.parquet``, ``verl_thinking/...`` and ``verl_thinking_no_suffix/...``: one file a task that our
  rewards judge, for direct answers, for a model that is asked to think first, and for one that thinks unasked; see
  :mod:`radvlm_course.instructions.verl_rows`. Several can be listed in verl's ``data.train_files``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radvlm_course.boxes import Box
from radvlm_course.instructions.verl_rows import VERL_TASKS, verl_row, verl_schema
from radvlm_course.records import Example, jsonl_to_parquet

__all__ = ["FORMATS", "VERL_FORMATS", "format_files", "write_format"]

VERL_FORMATS = ("verl", "verl_thinking", "verl_thinking_no_suffix")
FORMATS = ("parquet", "llava", *VERL_FORMATS)
_ROWS = 10_000  # held in memory at a time


def format_files(folder: Path, split: str) -> list[Path]:
    """The files of a split that :func:`write_format` may have written into a folder earlier."""
    found = [folder / f"{split}.parquet", folder / f"{split}.llava.json"]
    for name in VERL_FORMATS:
        found += [folder / name / f"{split}.{task}.parquet" for task in VERL_TASKS]
    return [path for path in found if path.is_file()]


def write_format(kind: str, jsonl: Path, conversations: bool = False) -> list[Path]:
    """Write one format of a split beside its JSON lines; each file appears whole or not at all.

    Args:
        kind: one of :data:`FORMATS`.
        jsonl: ``SPLIT.jsonl`` of our own, with at least one example.
        conversations: the examples may have follow-up rounds.

    Returns:
        the files.
    """
    folder, split = jsonl.parent, jsonl.stem
    if kind == "parquet":
        target = folder / f"{split}.parquet"
        jsonl_to_parquet(jsonl, target, Example, conversations)
        return [target]
    if kind == "llava":
        return [_write_llava(jsonl, folder / f"{split}.llava.json")]
    return _write_verl(jsonl, folder / kind, split, thinking=kind != "verl", suffix=kind == "verl_thinking")


def _values(jsonl: Path) -> Iterator[dict[str, Any]]:
    with jsonl.open(encoding="utf-8", newline="\n") as file:
        yield from map(json.loads, file)


def _example(values: dict[str, Any]) -> Example:
    """An example of our own file, without the checks of ``records.from_dict``."""
    boxes = tuple(Box(*box) for box in values["boxes"])
    follow_up = tuple(map(tuple, values.get("follow_up", ())))
    return Example(**values | {"boxes": boxes, "labels": tuple(values["labels"]), "follow_up": follow_up})


def llava_object(values: dict[str, Any], identifier: str) -> dict[str, Any]:
    """One object of a LLaVA-style list.

    Args:
        values: an example as :func:`radvlm_course.records.to_dict` gives it.
        identifier: its ``id`` in the list, by convention a prefix and a running number.
    """
    rounds = [[f"<image>\n{values['question']}", values["answer"]], *values.get("follow_up", [])]
    turns = [
        {"from": speaker, "value": text}
        for turn in rounds
        for speaker, text in zip(("human", "gpt"), turn, strict=True)
    ]
    made = {"id": identifier, "image": os.path.abspath(values["image_path"]), "conversations": turns}
    return made | ({"labels": values["labels"]} if values["labels"] else {}) | {"example_id": values["id"]}


def _write_llava(jsonl: Path, target: Path) -> Path:
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    with _whole(target) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        before, prefix = "[\n", jsonl.stem
        for number, values in enumerate(_values(jsonl)):
            file.write(before + encode(llava_object(values, f"{prefix}_{number}")))
            before = ",\n"
        file.write("\n]\n")
    return target


def _write_verl(jsonl: Path, folder: Path, split: str, thinking: bool, suffix: bool) -> list[Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, counts, writers = verl_schema(), dict.fromkeys(VERL_TASKS, 0), {}
    here = f"{os.getcwd()}{os.sep}"
    with contextlib.ExitStack() as stack:
        examples = (values for values in _values(jsonl) if values["task"] in counts)
        while group := list(itertools.islice(examples, _ROWS)):
            rows: dict[str, list[dict[str, Any]]] = {}
            for values in group:
                task = values["task"]
                root = "" if os.path.isabs(values["image_path"]) else here
                row = verl_row(_example(values), counts[task], thinking, root, suffix)
                rows.setdefault(task, []).append(row)
                counts[task] += 1
            for task, found in rows.items():
                if task not in writers:
                    folder.mkdir(exist_ok=True)
                    partial = stack.enter_context(_whole(folder / f"{split}.{task}.parquet"))
                    writers[task] = stack.enter_context(pq.ParquetWriter(partial, schema))
                writers[task].write_table(pa.Table.from_pylist(found, schema=schema))
    return [folder / f"{split}.{task}.parquet" for task in writers]


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``target`` if nothing fails."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
