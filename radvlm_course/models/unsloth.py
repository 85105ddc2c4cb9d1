"""Unsloth's ``FastVisionModel``: less memory and faster steps on one GPU, for the profiles with ``engine: unsloth``.

Unsloth (https://github.com/unslothai/unsloth) rewrites transformers, peft and TRL while it is imported. So it comes
first or not at all: :func:`prepare_engine` is called before anything else of a stage. Where it is absent or unfit, the
same profile goes on with bitsandbytes and peft, and says why. No torch is imported here before it is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from radvlm_course.model_settings import ModelSettings

if TYPE_CHECKING:
    from peft import PeftModel

__all__ = ["UnslothError", "is_in_use", "load_with_unsloth", "prepare_engine", "why_unfit"]

PATCHED = ("trl", "transformers", "peft")
LONGEST = 8192  # tokens of a film, its question and its answer; it sizes tables and cuts nothing

_told: list[str] = []  # the reason is given once


class UnslothError(RuntimeError):
    """The installed Unsloth is not the one that this module was written for; the message says what to do."""


def prepare_engine(settings: ModelSettings) -> None:
    """Import Unsloth, if the profile asks for it and it is fit; warn with the reason if it is not.

    Call it before anything imports transformers.
    """
    if settings.engine != "unsloth" or "unsloth" in sys.modules or _told:
        return
    reason = why_unfit()
    if not reason:
        try:
            importlib.import_module("unsloth")
            return
        except (ImportError, NotImplementedError, RuntimeError, OSError) as error:
            reason = f"it cannot be imported: {error}"
    _told.append(reason)
    warnings.warn(
        f"model.engine is 'unsloth', and {reason}. The same model is trained with bitsandbytes and peft instead: as "
        "exact, slower, with more memory",
        stacklevel=2,
    )


def why_unfit() -> str:
    """Why Unsloth cannot be used in this process, in words; empty if it can be."""
    if importlib.util.find_spec("unsloth") is None:
        return "it is not installed (constraints/gpu.txt)"
    import torch

    if not torch.cuda.is_available():
        return "there is no GPU that torch can use"
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        return "it trains on one GPU, and several processes were started"
    early = [name for name in PATCHED if name in sys.modules]
    if early:
        return f"{', '.join(early)} was imported before it: start a fresh process, or restart the notebook's kernel"
    return ""


def is_in_use(settings: ModelSettings) -> bool:
    """Whether models of these settings are loaded by Unsloth in this process."""
    return settings.engine == "unsloth" and "unsloth" in sys.modules


def load_with_unsloth(path: str, start: str, settings: ModelSettings, seed: int) -> PeftModel:
    """A model with an adapter, to be trained.

    Args:
        path: what to start from, a model or an adapter. start: the model, which is ``path`` or what the adapter is on.
        seed: of a new adapter.

    Raises:
        UnslothError: the installed Unsloth does not take what it is to be given.
        AdapterError: the adapter in ``path`` belongs to another model.
    """
    unsloth: Any = importlib.import_module("unsloth")
    from radvlm_course.models.adapters import attach_adapter

    loading = loading_options(start, settings, seed)
    model, _ = _called(unsloth.FastVisionModel.from_pretrained, loading, unsloth)
    if path != start:
        return attach_adapter(model, path, trainable=True, settings=settings.adapter)
    parts = importlib.import_module("unsloth.models.vision").FastBaseModel  # FastVisionModel hands on to it
    _refuse_unknown(parts.get_peft_model, adapter_options(settings, seed), unsloth)
    adapted: PeftModel = unsloth.FastVisionModel.get_peft_model(model, **adapter_options(settings, seed))
    return adapted


def loading_options(name_or_path: str, settings: ModelSettings, seed: int) -> dict[str, Any]:
    """Arguments of ``FastVisionModel.from_pretrained``."""
    import torch

    return {
        "model_name": name_or_path,
        "max_seq_length": LONGEST,
        "dtype": getattr(torch, settings.precision),
        "load_in_4bit": settings.quantisation is not None,
        "load_in_16bit": settings.quantisation is None,
        "use_gradient_checkpointing": "unsloth",
        "use_exact_model_name": True,  # not another upload of the same model, which would be downloaded
        "fast_inference": False,  # that is vLLM
        "random_state": seed,
    }


def adapter_options(settings: ModelSettings, seed: int) -> dict[str, Any]:
    """Arguments of ``FastVisionModel.get_peft_model``."""
    adapter = settings.adapter
    assert adapter is not None  # of Unsloth (radvlm_course.model_settings)
    named = adapter.target_modules
    return {
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "bias": "none",
        "target_modules": named if isinstance(named, str) else list(named),
        "finetune_vision_layers": adapter.vision == "lora",
        "finetune_language_layers": True,
        "use_gradient_checkpointing": "unsloth",
        "random_state": seed,
    }


def _called(function: Callable[..., Any], arguments: Mapping[str, Any], unsloth: Any) -> Any:
    _refuse_unknown(function, arguments, unsloth)
    return function(**arguments)


def _refuse_unknown(function: Callable[..., Any], arguments: Mapping[str, Any], unsloth: Any) -> None:
    """Unsloth's functions take any keyword and pass over those that they do not know."""
    known = inspect.signature(function).parameters
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise UnslothError(
            f"Unsloth {getattr(unsloth, '__version__', '')} has no {', '.join(unknown)} in {function.__qualname__}: "
            "install the version in constraints/gpu.txt, or set model.engine=transformers"
        )
