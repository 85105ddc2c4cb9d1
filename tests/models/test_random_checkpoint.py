"""A model folder of random weights: the layout of a published one, loadable by the ordinary call."""

import json

import pytest
import torch

from radvlm_course.models import random_checkpoint
from radvlm_course.models.architectures import Architecture, TextSizes, VisionSizes, read_architecture
from radvlm_course.models.random_checkpoint import write_random_checkpoint

VISION = VisionSizes(2, 32, 64, 2, 64, [0], num_position_embeddings=64)


@pytest.mark.parametrize("tied", [True, False])
def test_the_folder_loads_without_a_missing_or_unexpected_weight(tied, tmp_path, monkeypatch):
    from transformers import Qwen3VLForConditionalGeneration

    monkeypatch.setattr(random_checkpoint, "FILE_BYTES", 100_000)
    architecture = Architecture(TextSizes(64, 96, 2, 4, 2, 16, 700), VISION, tie_word_embeddings=tied)
    write_random_checkpoint(architecture, tmp_path, ["Where is the nodule?"])
    model, found = Qwen3VLForConditionalGeneration.from_pretrained(
        tmp_path, output_loading_info=True, dtype=torch.bfloat16
    )
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert model.num_parameters() == architecture.parameter_count()
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert read_architecture(tmp_path) == architecture
    assert (model.lm_head.weight is model.model.language_model.embed_tokens.weight) == tied


def test_norms_are_one_biases_zero_and_the_rest_small_noise_of_the_seed(tmp_path):
    from safetensors import safe_open

    architecture = Architecture(TextSizes(64, 96, 1, 4, 2, 16, 700), VISION)
    tensors = []
    for seed in (0, 0, 1):
        folder = write_random_checkpoint(architecture, tmp_path / f"{len(tensors)}", ["a"], seed)
        names = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
        found = {}
        for file in set(names.values()):
            with safe_open(folder / file, "pt") as opened:
                found |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
        tensors.append(found)
    first, same, other = tensors
    assert first["model.language_model.layers.0.input_layernorm.weight"].eq(1).all()
    assert first["model.language_model.layers.0.self_attn.q_norm.weight"].eq(1).all()
    assert first["model.visual.blocks.0.norm1.weight"].eq(1).all()
    assert first["model.visual.blocks.0.attn.qkv.bias"].eq(0).all()
    head = first["lm_head.weight"].float()
    assert float(head.std()) == pytest.approx(0.02, rel=0.05)
    assert all(first[name].equal(same[name]) for name in first)
    assert not first["lm_head.weight"].equal(other["lm_head.weight"])
