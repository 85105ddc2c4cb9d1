"""Weights that are shared out among processes: put together to be saved, their gradients summed in 32 bits.

FSDP2 and DeepSpeed's ZeRO-3 leave each process a part of every weight. What a stage saves must be the plain folder that
one process would have written, so that any number of processes, and vLLM and verl, can read it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from accelerate.utils import DistributedType
from transformers import Trainer

__all__ = ["forget_deepspeed", "sum_gradients_in_float32", "whole_weights"]


def whole_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """All weights of a trainer's model, put together; every process must make the call.

    Returns:
        Name -> tensor on the processor, in the main process; in the others what they happen to hold. None if every
        process has all weights anyway, in the model itself. Under DeepSpeed the weights are in bfloat16, as it trains
        them; its 32-bit copies are in the checkpoints only.
    """
    kind = trainer.accelerator.distributed_type
    if kind == DistributedType.FSDP:
        return _each_once(trainer, trainer.accelerator.get_state_dict(trainer.model))
    if kind == DistributedType.DEEPSPEED and _zero_stage(trainer) == 3:
        return _each_once(trainer, trainer.accelerator.get_state_dict(trainer.model_wrapped))
    return None


def sum_gradients_in_float32(trainer: Trainer) -> None:
    """Before training: let FSDP2 sum the processes' gradients in 32 bits, where accelerate would use bfloat16.

    Each process's gradient is in bfloat16 already; the sum over 32 of them need not be rounded at every step as well.
    No setting of accelerate's file says this. Nothing to do for DDP, which keeps gradients in 32 bits, and for
    DeepSpeed, whose files say it.
    """
    plugin: Any = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if plugin is None or plugin.fsdp_version != 2 or plugin.mixed_precision_policy is None:
        return
    plugin.mixed_precision_policy = dataclasses.replace(plugin.mixed_precision_policy, reduce_dtype=torch.float32)


def forget_deepspeed() -> None:
    """Let transformers load models as usual again, and generate in one process alone.

    While it remembers ZeRO-3's settings it shares out every model that anybody loads and waits for the other processes
    at every token: the main process, evaluating alone, would wait for ever. The next trainer sets them again.
    """
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()


def _each_once(trainer: Trainer, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without the second name of a weight that two layers share (embedding and head of the smaller models): put
    together, it is a second tensor, and would be written twice."""
    tied: dict[str, str] = getattr(trainer.model, "all_tied_weights_keys", None) or {}
    return {name: value for name, value in weights.items() if tied.get(name) not in weights}


def _zero_stage(trainer: Trainer) -> int:
    plugin: Any = trainer.accelerator.state.deepspeed_plugin
    return int(plugin.zero_stage)
