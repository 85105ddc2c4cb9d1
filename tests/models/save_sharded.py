"""One of several processes that shard a model and save it: run by the tests, a process for each rank.

    RANK=0 WORLD_SIZE=2 python save_sharded.py KIND MODEL OUTPUT STORE

KIND: ``verl``, ``verl_replicated`` (a mesh of 2 x 1: the first axis replicates), or ``fsdp`` (accelerate's function).
The weights are changed first, by the same random numbers in every process, and the whole model is saved as
OUTPUT/expected, so that nothing can be right by having been read from MODEL.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
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
    for block in [*model.model.language_model.layers, *model.model.visual.blocks]:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    if kind == "fsdp":
        save_as_accelerate_does(model, output)
    else:
        save_as_verl_does(model, output, rank, world)
    dist.barrier()
    dist.destroy_process_group()


def save_as_verl_does(model: torch.nn.Module, output: Path, rank: int, world: int) -> None:
    """verl/utils/checkpoint/fsdp_checkpoint_manager.py of verl 0.9.1: the same files with the same calls."""
    actor = output / "actor"
    actor.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), actor / f"model_world_size_{world}_rank_{rank}.pt")
    if rank == 0:
        model.config.save_pretrained(actor / "huggingface")
        (actor / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": world}))


def save_as_accelerate_does(model: torch.nn.Module, output: Path) -> None:
    from accelerate import PartialState
    from accelerate.utils import save_fsdp_model
    from torch.distributed.fsdp import StateDictType

    save_fsdp_model(Plugin(StateDictType.SHARDED_STATE_DICT), PartialState(cpu=True), model, str(output))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
