"""Shards that verl's own checkpoint manager writes: our conversion gives what verl's own merger gives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SAVE = """
import os, sys
import torch, torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import Qwen3VLForConditionalGeneration
from omegaconf import OmegaConf
from verl.utils.checkpoint.fsdp_checkpoint_manager import FSDPCheckpointManager
from radvlm_course.models.loading import load_processor

start, output, store = sys.argv[1:]
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
model = Qwen3VLForConditionalGeneration.from_pretrained(start, dtype=torch.float32)
mesh = init_device_mesh("cpu", (world,), mesh_dim_names=("fsdp",))
for block in [*model.model.language_model.layers, *model.model.visual.blocks]:
    fully_shard(block, mesh=mesh)
fully_shard(model, mesh=mesh)
contents = OmegaConf.create({"save_contents": ["model"], "load_contents": ["model"]})
manager = FSDPCheckpointManager(model, processing_class=load_processor(start), checkpoint_config=contents)
manager.save_checkpoint(output, global_step=300)
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def actor(tiny_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verl")
    output = folder / "global_step_300" / "actor"
    script = folder / "save.py"
    script.write_text(SAVE)
    command = [sys.executable, str(script), str(tiny_folder), str(output), str(folder / "store")]
    here = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    running = [subprocess.Popen(command, env={**here, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in (0, 1)]
    assert [process.wait(300) for process in running] == [0, 0]
    return output


def test_the_same_weights_as_verls_merger(actor, tmp_path):
    from verl.model_merger.base_model_merger import ModelMergerConfig
    from verl.model_merger.fsdp_model_merger import FSDPModelMerger

    from radvlm_course.models.checkpoint_conversion import convert_checkpoint

    merger = FSDPModelMerger(
        ModelMergerConfig(
            operation="merge", backend="fsdp", local_dir=str(actor), target_dir=str(tmp_path / "theirs"),
            hf_model_config_path=str(actor / "huggingface"), hf_upload_path=None,
        )
    )  # fmt: skip
    size = merger._get_world_size()
    mesh, names = merger._extract_device_mesh_info(merger._load_rank_zero_state_dict(size), size)
    shards, shape = merger._calculate_shard_configuration(mesh, names)
    theirs = merger._load_and_merge_state_dicts(size, shards, shape, names)
    ours = convert_checkpoint(actor.parent, tmp_path / "ours")
    weights = load_file(ours / "model.safetensors")
    assert all(torch.equal(theirs[name], tensor) for name, tensor in weights.items())
    assert set(theirs) - set(weights) <= {"lm_head.weight"}  # tied to the embeddings
    assert {path.name for path in Path(ours).iterdir()} >= {"config.json", "tokenizer.json", "processor_config.json"}
