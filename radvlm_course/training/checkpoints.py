"""Find the checkpoint to resume from, passing over ones that a kill cut short."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path

__all__ = ["last_checkpoint"]


def last_checkpoint(folder: str | os.PathLike[str]) -> str | None:
    """The newest whole ``checkpoint-*`` folder, or None to start afresh.

    A trainer writes ``trainer_state.json`` last. A checkpoint without a readable one was being written
    when the process was killed: it is removed with a warning, and the one before it is used.
    """
    found = [path for path in Path(folder).glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    for path in sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            warnings.warn(
                f"checkpoint {path} is incomplete ({error}): removed, resuming from the one before", stacklevel=2
            )
            shutil.rmtree(path)
            continue
        return str(path)
    return None
