"""Are a model's weights on this machine? Nothing is downloaded unless it was asked for. No torch here."""

from __future__ import annotations

import json
import os
from pathlib import Path

__all__ = ["DOWNLOAD", "missing_weights"]

DOWNLOAD = "RADVLM_COURSE_DOWNLOAD"
_INDEX, _SINGLE = "model.safetensors.index.json", "model.safetensors"


def missing_weights(name_or_path: str, download_allowed: bool | None = None) -> str:
    """What is missing of a model and what to do about it, in words; empty if it can be loaded.

    Args:
        name_or_path: a folder, or a name on the hub.
        download_allowed: whether a name that is not on this machine may be fetched from the hub while loading; None:
            whether the environment says ``RADVLM_COURSE_DOWNLOAD=1``.
    """
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        lacking = _lacking({path.name for path in folder.iterdir()}, folder)
        return f"{name_or_path}: expected a folder with {lacking}, found none" if lacking else ""
    if folder.is_absolute() or name_or_path.startswith((".", "~")) or name_or_path.count("/") != 1:
        return f"{name_or_path}: expected a folder with a model or a name on the hub like Qwen/Qwen3-VL-8B-Instruct"
    cached = _cached_folder(name_or_path)
    if cached is not None and not _lacking({path.name for path in cached.iterdir()}, cached):
        return ""
    if download_allowed if download_allowed is not None else os.environ.get(DOWNLOAD) == "1":
        return ""
    return (
        f"the weights of {name_or_path}{_size(name_or_path)} are not on this machine. Nothing is downloaded unasked: "
        f"set {DOWNLOAD}=1 to fetch them from the hub, or name a folder that holds them with --start-from FOLDER"
    )


def _lacking(names: set[str], folder: Path) -> str:
    """The first file that loading would miss; empty if all are there. A link that leads nowhere counts as missing."""
    if "config.json" not in names:
        return "a config.json"
    if _INDEX in names:
        files = set(json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        return next((name for name in sorted(files) if not (folder / name).is_file()), "")
    return "" if (folder / _SINGLE).is_file() else _SINGLE


def _cached_folder(name: str) -> Path | None:
    """Where the hub's cache keeps a model, as far as it has it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def _size(name: str) -> str:
    from radvlm_course.models.architectures import known_architectures

    known = known_architectures().get(name)
    return f" ({known.parameter_count() * 2 / 1e9:.1f} GB)" if known else ""
