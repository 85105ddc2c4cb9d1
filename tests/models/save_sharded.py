"""One of several processes that shard a model and save it: run by the tests, a process for each rank.

    RANK=0 WORLD_SIZE=2 python save_sharded.py KIND MODEL OUTPUT STORE

KIND: ``verl`` (FSDP2), ``verl_fsdp1``, ``verl_replicated`` (FSDP2 on a mesh of 2 x 1, whose first axis replicates), or
``fsdp`` (FSDP2, accelerate's function).
The weights are changed first, by the same random numbers in every process, and the whole model is saved as
OUTPUT/expected, so that nothing can be right by having been read from MODEL.
"""

import functools
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import (
    FullyShardedDataParallel,
    ShardedOptimStateDictConfig,
    ShardedStateDictConfig,
    ShardingStrategy,
    StateDictType,
    fully_shard,
)
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
from transformers import Qwen3VLForConditionalGeneration


@dataclass
class Plugin:
    """What accelerate's save_fsdp_model reads of its plugin."""

    state_dict_type: object
    fsdp_version: int = 2
    state_dict_config: object = None
    optim_state_dict_config: object = None


def main(kind: str, start: str, output: Path, store: str) -> None:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    model = Qwen3VLForConditionalGeneration.from_pretrained(start, dtype=torch.float32)
    torch.manual_seed(7)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    if rank == 0:
        model.save_pretrained(output / "expected")
    if kind == "verl_replicated":
        mesh = init_device_mesh("cpu", (world, 1), mesh_dim_names=("ddp", "fsdp"))
    else:
        mesh = init_device_mesh("cpu", (world,), mesh_dim_names=("fsdp",))
    blocks = [*model.model.language_model.layers, *model.model.visual.blocks]
    if kind == "verl_fsdp1":
        shard = wrapped_by_fsdp1(model, {type(block) for block in blocks}, mesh)
    else:
        for block in blocks:
            fully_shard(block, mesh=mesh)
        shard = fully_shard(model, mesh=mesh)
    if kind == "fsdp":
        save_as_accelerate_does(shard, output)
    else:
        save_as_verl_does(shard, model.config, output, rank, world)
    dist.barrier()
    dist.destroy_process_group()


def wrapped_by_fsdp1(model: torch.nn.Module, blocks: set[type], mesh: DeviceMesh) -> torch.nn.Module:
    """With verl's options (verl/workers/engine/fsdp/transformer_impl.py), on a processor."""
    policy = functools.partial(transformer_auto_wrap_policy, transformer_layer_cls=blocks)
    wrapped = FullyShardedDataParallel(
        model,
        device_mesh=mesh,
        auto_wrap_policy=policy,
        use_orig_params=False,
        sharding_strategy=ShardingStrategy.FULL_SHARD,
        device_id=torch.device("cpu"),
    )
    FullyShardedDataParallel.set_state_dict_type(
        wrapped, StateDictType.SHARDED_STATE_DICT, ShardedStateDictConfig(), ShardedOptimStateDictConfig()
    )
    return wrapped


def save_as_verl_does(model: torch.nn.Module, config: object, output: Path, rank: int, world: int) -> None:
    """verl/utils/checkpoint/fsdp_checkpoint_manager.py of verl 0.9.1: the same files with the same calls."""
    actor = output / "actor"
    actor.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), actor / f"model_world_size_{world}_rank_{rank}.pt")
    if rank == 0:
        config.save_pretrained(actor / "huggingface")
        (actor / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": world}))


def save_as_accelerate_does(model: torch.nn.Module, output: Path) -> None:
    from accelerate import PartialState
    from accelerate.utils import save_fsdp_model

    save_fsdp_model(Plugin(StateDictType.SHARDED_STATE_DICT), PartialState(cpu=True), model, str(output))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
