"""The general-domain base that comes with the package, checked before it is used."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

__all__ = ["MADE", "check_made", "digests", "shipped_base", "store"]

MADE = "made.json"
_AGAIN = "python -m radvlm_course general-base --store"


def shipped_base() -> Path:
    """The folder of the shipped model.

    Raises:
        FileNotFoundError: the package has none; says how to make it.
        ValueError: a file is not what was made; names it.
    """
    check_made(_folder())
    return _folder()


def check_made(folder: Path) -> dict[str, Any]:
    """Hold the files of a made model against their record. Returns the record, as ``made.json`` has it.

    Raises:
        FileNotFoundError: there is no record or a file is missing.
        ValueError: a file has another content than when it was made, or was not there.
    """
    record = folder / MADE
    if not record.is_file():
        raise FileNotFoundError(f"expected the general-domain base in {folder}, found no {MADE}: make it with {_AGAIN}")
    made: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    found = digests(folder)
    if missing := sorted(set(made["sha256"]) - set(found)):
        raise FileNotFoundError(f"{folder}: {', '.join(missing)} missing: make the model again with {_AGAIN}")
    if changed := [name for name, digest in found.items() if made["sha256"].get(name) != digest]:
        raise ValueError(
            f"{folder}: {', '.join(changed)} not as recorded in {MADE} (a download that stopped, or another model): "
            f"make it again with {_AGAIN}"
        )
    return made


def digests(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of every file of a model folder but the record."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MADE)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def store(model: Path) -> Path:
    """Put a made model in place of the shipped one. Returns where it lies now."""
    from radvlm_course.whole_files import write_whole

    check_made(model)
    target = _folder()
    target.mkdir(exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    for path in sorted(model.iterdir(), key=lambda path: path.name == MADE):  # the record last
        write_whole(target / path.name, path.read_bytes())
    return target


def _folder() -> Path:
    return Path(str(resources.files("radvlm_course.general_base"))) / "model"
