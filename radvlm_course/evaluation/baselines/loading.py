"""Weights from a folder or the hub's cache, with errors that say what to do.

Nothing is downloaded unless asked for (``download=True``), and no code of a repository runs without consent
(``trust_remote_code=True``). Everything is loaded from a folder on this machine in the end, so that what was
consented to is what runs; give a ``revision`` to know which commit that is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from radvlm_course.evaluation.baselines.base import BaselineError, Card, Loaded

__all__ = ["LoadOptions", "load_with_transformers", "loading", "local_folder", "require_consent", "require_model_type"]

T = TypeVar("T")

DOCUMENTATION = "docs/baselines.md"


@dataclass(frozen=True)
class LoadOptions:
    """How a baseline is loaded.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``; ``auto`` takes all GPUs that are there, else the CPU.
        dtype: a floating-point type of torch; ``auto`` takes the one that the baseline is run in on a GPU, and
            float32 on a CPU.
        revision: branch, tag or commit of the hub's repository.
        download: fetch what is not on this machine.
        trust_remote_code: consent to run the code that comes with the weights.
    """

    device: str = "auto"
    dtype: str = "auto"
    revision: str | None = None
    download: bool = False
    trust_remote_code: bool = False


def require_consent(card: Card, options: LoadOptions, reason: str) -> None:
    """Stop unless the user agreed to run code from the repository.

    Args:
        reason: what runs it.

    Raises:
        BaselineError: no consent.
    """
    if not options.trust_remote_code:
        raise BaselineError(
            f"{card.title}: {reason}. Read it at {card.identifier}, and if you agree to run it on this machine, pass "
            "trust_remote_code=True, best with revision=COMMIT so that it cannot change"
        )


def local_folder(card: Card, path_or_identifier: str | os.PathLike[str] | None, options: LoadOptions) -> Path:
    """The folder that holds the weights, on this machine.

    Raises:
        BaselineError: there is no such folder, nothing in the cache, or the download failed.
    """
    name = os.fspath(path_or_identifier or card.identifier)
    if not name:
        raise BaselineError(f"{card.title} is on no hub ({card.access}): give a folder with its weights")
    folder = Path(name)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith(".") or name.count("/") != 1:
        raise BaselineError(f"{card.title}: expected a folder with its weights at {name}, found none")
    return _from_hub(card, name, options)


def _from_hub(card: Card, repository: str, options: LoadOptions) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=options.revision, local_files_only=not options.download))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        state = "it could not be downloaded" if options.download else "found neither"
        raise BaselineError(
            f"{card.title}: expected a folder {repository!r} or that repository in the cache of huggingface_hub; "
            f"{state} ({type(error).__name__}). Fetch it with 'hf download {repository}' where there is a network, or "
            f"pass download=True. Access: {card.access}. Licence: {card.licence}"
        ) from error


def require_model_type(card: Card, folder: Path, expected: str) -> None:
    """Refuse weights of another kind of model, before they are read.

    Args:
        expected: the ``model_type`` of the folder's ``config.json``.

    Raises:
        BaselineError: it is another one, or there is no such file.
    """
    file = folder / "config.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise BaselineError(f"{card.title}: expected a model's config.json in {folder}, found: {error}") from error
    if found != expected:
        raise BaselineError(f"{card.title}: expected a model of type {expected} in {folder}, found {found!r}")


def loading(card: Card, folder: Path, load: Callable[[], T]) -> T:
    """What ``load`` returns; whatever goes wrong in it becomes an error that names the baseline and its needs.

    Raises:
        BaselineError: loading failed.
    """
    try:
        return load()
    except Exception as error:  # code of a repository may raise anything
        needs = f" It was written for {card.environment}: see {DOCUMENTATION}" if card.environment else ""
        raise BaselineError(
            f"{card.title}: the files in {folder} could not be loaded with transformers {_version('transformers')}: "
            f"{error!r:.500}.{needs}"
        ) from error


def load_with_transformers(
    card: Card, folder: Path, options: LoadOptions, own_dtype: str, model_class: str, processor_class: str
) -> Loaded:
    """A model and its processor through classes of transformers.

    Args:
        own_dtype: what the baseline is run in on a GPU.
        model_class, processor_class: names in ``transformers``.

    Raises:
        BaselineError: loading failed.
    """
    import transformers

    arguments = {"trust_remote_code": options.trust_remote_code, "local_files_only": True}

    def load() -> Loaded:
        processor = getattr(transformers, processor_class).from_pretrained(folder, **arguments)
        model = getattr(transformers, model_class).from_pretrained(folder, **arguments, **placement(options, own_dtype))
        return Loaded(model.eval(), processor)

    return loading(card, folder, load)


def torch_dtype(options: LoadOptions, own_dtype: str) -> Any:
    """The floating-point type to load in.

    Raises:
        BaselineError: torch has no such type.
    """
    import torch

    name = options.dtype
    if name == "auto":
        name = own_dtype if on_gpu(options) else "float32"
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise BaselineError(f"dtype: expected auto, bfloat16, float16 or float32, found {options.dtype!r}")
    return dtype


def on_gpu(options: LoadOptions) -> bool:
    """Whether the model goes to a GPU."""
    import torch

    return options.device.startswith("cuda") or (options.device == "auto" and torch.cuda.is_available())


def placement(options: LoadOptions, own_dtype: str) -> dict[str, Any]:
    new = tuple(int(part) for part in _version("transformers").split(".")[:2]) >= (4, 56)
    device = "cpu" if options.device == "auto" and not on_gpu(options) else options.device
    return {"dtype" if new else "torch_dtype": torch_dtype(options, own_dtype), "device_map": device}


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)
