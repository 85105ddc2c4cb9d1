"""Weights in four bits with bitsandbytes: what is asked of it, and what it must be told on a processor.

NF4 stores a weight as one of 16 levels, the quantiles of a normal distribution, times a scale that 64 neighbours share
(QLoRA, https://arxiv.org/abs/2305.14314). A layer restores its weights each time it multiplies; they cannot be trained,
so an adapter is. The vision tower and the head stay in 16 bits.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from radvlm_course.model_settings import QuantisationSettings

__all__ = [
    "QuantisationError",
    "bitsandbytes_config",
    "is_quantised",
    "prepare_quantised",
    "quantisation_of",
    "restored",
]

BLOCK = 64  # weights that share a scale


class QuantisationError(ValueError):
    """Four bits are not possible as asked; the message says why and what to do."""


def bitsandbytes_config(settings: QuantisationSettings) -> BitsAndBytesConfig:
    """The settings as transformers reads them.

    Raises:
        QuantisationError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise QuantisationError(
            "model.quantisation needs bitsandbytes, which is not installed: pip install -c constraints/cpu.txt -e "
            "'.[gpu]' (or constraints/gpu.txt beside a CUDA build of torch), or set model.quantisation=null"
        )
    return BitsAndBytesConfig(**settings.options())


def is_quantised(model: nn.Module) -> bool:
    """Whether a model's weights are in four bits (transformers leaves its own mark on those that were restored)."""
    config = getattr(model, "config", None)
    return bool(getattr(model, "is_loaded_in_4bit", False)) and getattr(config, "quantization_config", None) is not None


def prepare_quantised(model: PreTrainedModel) -> None:
    """Make a model that was loaded in four bits fit to be trained where it is.

    On a processor with AVX512-BF16 bitsandbytes repacks the weights at the first forward pass outside of training, and
    an adapter that is trained afterwards hardly learns: switched off.

    Raises:
        QuantisationError: on a processor, a layer whose rows are not whole blocks of 64 weights.
    """
    layers = _four_bit_layers(model)
    if not layers:
        raise QuantisationError("expected layers in four bits, found none: is everything in quantisation.skip_modules?")
    for name, layer in layers.items():
        if layer.weight.device.type == "cpu" and layer.in_features % BLOCK:
            raise QuantisationError(
                f"{name} has {layer.in_features} inputs: on a processor, four bits need a multiple of {BLOCK}. Choose "
                "other sizes of the tiny model, or add the module to model.quantisation.skip_modules"
            )
        layer.support_avx512bf16_for_cpu = False


def quantisation_of(model: PreTrainedModel) -> QuantisationSettings | None:
    """How a loaded model's weights are held, in the words of a profile; None if they are not in four bits."""
    if not is_quantised(model):
        return None
    config: Any = model.config.quantization_config
    return QuantisationSettings(
        kind=config.bnb_4bit_quant_type,
        double=config.bnb_4bit_use_double_quant,
        compute=str(config.bnb_4bit_compute_dtype).removeprefix("torch."),
        skip_modules=list(config.llm_int8_skip_modules or []),
    )


def restored(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """The model with ordinary layers, which hold the very weights that the four bits stood for."""
    plain: PreTrainedModel = model.dequantize(dtype=dtype)
    plain.to(dtype)
    return plain


def _four_bit_layers(model: nn.Module) -> dict[str, Any]:
    import bitsandbytes

    return {name: layer for name, layer in model.named_modules() if isinstance(layer, bitsandbytes.nn.Linear4bit)}
