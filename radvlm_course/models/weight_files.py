"""What a model folder holds, read from its files without loading it: names, shapes, a fingerprint. No torch here.

A ``safetensors`` file begins with a header, JSON with every tensor's name, precision, shape and place
(https://github.com/huggingface/safetensors, format). That is enough to tell models of other sizes apart; a sample of
the bytes behind it tells other weights of the same sizes.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "fingerprint",
    "is_adapter",
    "local_folder",
    "model_type",
    "weight_shapes",
]

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_LARGEST_HEADER = 100_000_000  # bytes, the format's own limit
_SAMPLES, _SAMPLE_BYTES = 16, 4096


def is_adapter(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds an adapter and not a whole model."""
    return (Path(folder) / ADAPTER_CONFIG).is_file() or (Path(folder) / ADAPTER_WEIGHTS).is_file()


def local_folder(name_or_path: str | os.PathLike[str]) -> Path | None:
    """Where a model's files are on this machine: the folder itself, or the hub's cache of a name; None if nowhere."""
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or str(name_or_path).count("/") != 1 or str(name_or_path).startswith("."):
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(str(name_or_path), "config.json")
    return Path(found).parent if isinstance(found, str) else None


def model_type(folder: str | os.PathLike[str]) -> str:
    """``model_type`` of a ``config.json``; empty if it says none.

    Raises:
        FileNotFoundError: there is no ``config.json``.
        ValueError: it is not JSON.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"expected a model folder with a config.json at {folder}, found none")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not JSON ({error}): write the model again, or fetch it again") from error
    return str(values.get("model_type", ""))


def weight_shapes(folder: str | os.PathLike[str], pattern: str = "*.safetensors") -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor in the folder's files; empty if there are none.

    Raises:
        ValueError: a file is not of the format, or cut short.
    """
    return {
        name: tuple(entry["shape"])
        for path in sorted(Path(folder).glob(pattern))
        for name, entry in _header(path)[0].items()
    }


def fingerprint(folder: str | os.PathLike[str]) -> str:
    """32 hexadecimal digits that tell the weights of a folder from any others; "" if there is no ``safetensors`` file.

    Made of all names, precisions and shapes, and of 16 pieces of 4 KB from every file.
    """
    digest = hashlib.blake2b(digest_size=16)
    paths = sorted(Path(folder).glob("*.safetensors"))
    for path in paths:
        header, start = _header(path)
        described = {name: (entry["dtype"], entry["shape"]) for name, entry in sorted(header.items())}
        digest.update(json.dumps(described, sort_keys=True).encode())
        size = path.stat().st_size
        with path.open("rb") as file:
            for piece in range(_SAMPLES):
                file.seek(start + (size - start) * piece // _SAMPLES)
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest() if paths else ""


def _header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """The header without the file's own remarks, and where the bytes begin."""
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else _LARGEST_HEADER + 1
        text = file.read(length) if length <= _LARGEST_HEADER else b""
    try:
        header = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: write it again, or fetch it again") from error
    header.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if path.stat().st_size < 8 + length + end:
        raise ValueError(f"{path} is cut short: expected {8 + length + end} bytes, found {path.stat().st_size}")
    return header, 8 + length
