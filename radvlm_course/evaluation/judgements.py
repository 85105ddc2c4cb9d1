"""Judgements of a language model on disk: one JSON line an example, read by ``score`` as one more metric.

::

    {"example_id": "e1", "value": 0.5, ...}     value null: the judge's answer could not be read

Further fields are kept by whoever wrote them and ignored here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from radvlm_course.whole_files import write_whole

__all__ = ["JudgementError", "read_judgements", "write_judgements"]


class JudgementError(ValueError):
    """A file of judgements that cannot be used; names the file and the line."""


def write_judgements(lines: Iterable[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Write judgements, whole or not at all; each needs ``example_id`` and ``value``."""
    text = "".join(json.dumps(dict(line), ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    write_whole(Path(path), text.encode("utf-8", "backslashreplace"))


def read_judgements(path: str | os.PathLike[str]) -> dict[str, float | None]:
    """Example id -> value, None where the judge's answer could not be read.

    Raises:
        JudgementError: a line is not JSON, lacks a field, has a value that is no number, or repeats an example.
    """
    found: dict[str, float | None] = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            try:
                values = json.loads(line)
                identifier, value = values["example_id"], values["value"]
            except (ValueError, KeyError, TypeError) as error:
                raise JudgementError(f"{where}: expected an object with example_id and value ({error!r})") from error
            if not isinstance(identifier, str) or isinstance(value, bool) or not isinstance(value, float | int | None):
                raise JudgementError(f"{where}: expected a text and a number or null, found {identifier!r}, {value!r}")
            if value is not None and value - value != 0:
                raise JudgementError(f"{where}: expected a finite number or null, found {value!r}")
            if identifier in found:
                raise JudgementError(f"{where}: example {identifier!r} was judged before: remove one of the two lines")
            found[identifier] = value
    return found
