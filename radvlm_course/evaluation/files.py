"""The examples that a command of evaluation is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from radvlm_course.records import Example, read_jsonl, read_parquet

__all__ = ["read_examples"]


def read_examples(paths: Sequence[Path]) -> list[Example]:
    """The examples of JSONL and Parquet (``.parquet``) files, in order.

    Raises:
        RecordError: a line or row is wrong; names it.
        FileNotFoundError: there is no such file.
    """
    found: list[Example] = []
    for path in paths:
        found += read_parquet(path, Example) if path.suffix == ".parquet" else read_jsonl(path, Example)
    return found
