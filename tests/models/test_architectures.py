"""Sizes and names of the published models, held against the real classes, peft and bitsandbytes' matching."""

import json

import pytest

from radvlm_course.model_settings import AdapterSettings, ModelSettings, QuantisationSettings
from radvlm_course.models.architectures import (
    Architecture,
    TextSizes,
    VisionSizes,
    check_module_names,
    known_architectures,
    read_architecture,
)
from radvlm_course.profiles import ProfileError, available_profiles, load_profile

NAMES = list(known_architectures())
SMALL = Architecture(
    TextSizes(64, 96, 2, 4, 2, 16, 500), VisionSizes(3, 32, 48, 2, 64, [0, 1], num_position_embeddings=16)
)
TEXT = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def build(architecture):
    """The real model without memory for its weights."""
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    with torch.device("meta"):
        return Qwen3VLForConditionalGeneration(Qwen3VLConfig(**architecture.to_config()))


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_are_those_that_were_published_and_those_of_the_real_classes(name):
    architecture = read_architecture(name)
    assert architecture.parameter_count() == architecture.parameters
    model = build(architecture)
    assert model.num_parameters() == architecture.parameters
    assert sum(p.numel() for p in model.model.visual.parameters()) == architecture.parameter_count("vision")


@pytest.mark.parametrize("architecture", [SMALL, read_architecture(NAMES[0])], ids=["small", "2B"])
def test_names_and_shapes_of_all_matrices_are_those_of_the_real_classes(architecture):
    import torch

    kinds = (torch.nn.Linear, torch.nn.Conv3d)
    found = {
        name: (module.weight[0].numel(), len(module.weight))
        for name, module in build(architecture).named_modules()
        if isinstance(module, kinds)
    }
    assert found == architecture.matrices()


def adapters():
    targets = [TEXT, ["qkv", "down_proj"], ["linear_fc2"], r"model\.visual\.blocks\.\d+\.attn\.(qkv|proj)", ["proj"]]
    return [AdapterSettings(4, 8, target) for target in targets]


@pytest.mark.parametrize("adapter", adapters(), ids=lambda adapter: str(adapter.target_modules)[:20])
def test_an_adapter_reaches_what_peft_puts_it_on(adapter):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(build(SMALL), LoraConfig(**adapter.options()))
    found = {
        name.removeprefix("base_model.model.").removesuffix(".lora_A.default")
        for name, _ in model.named_modules()
        if name.endswith(".lora_A.default")
    }
    assert found == set(SMALL.reached_by(adapter))


@pytest.mark.parametrize(
    "skipped", [["model.visual", "lm_head"], ["visual", "lm_head"], ["lm_head"], ["down_proj"], ["model.visual.merger"]]
)
def test_what_is_quantised_is_what_transformers_would_convert(skipped):
    import torch
    from transformers.quantizers.quantizers_utils import should_convert_module

    linear = [name for name, module in build(SMALL).named_modules() if isinstance(module, torch.nn.Linear)]
    expected = {name for name in linear if should_convert_module(name, skipped)}
    assert set(SMALL.quantised_by(QuantisationSettings(skip_modules=skipped))) == expected


@pytest.mark.parametrize("name", [name for name in available_profiles() if name != "laptop"])
def test_the_profiles_quantise_and_adapt_what_they_say(name):
    model = load_profile(name).model
    architecture = read_architecture(model.name_or_path)
    check_module_names(model, architecture)
    layers = architecture.text_config.num_hidden_layers
    if model.quantisation is not None:
        quantised = architecture.quantised_by(model.quantisation)
        assert len(quantised) == 7 * layers
        assert all(name.startswith("model.language_model.layers.") for name in quantised)
    if model.adapter is not None:
        reached = architecture.reached_by(model.adapter)
        in_text = [name for name in reached if name.startswith("model.language_model.")]
        assert len(in_text) == 7 * layers
        assert (len(reached) > len(in_text)) == (model.adapter.vision == "lora")
        if model.adapter.vision == "lora":  # every matrix of the tower but the patch embedding
            in_tower = [name for name in architecture.matrices() if name.startswith("model.visual.")]
            assert len(reached) - len(in_text) == len(in_tower) - 1


def model_with(**changes):
    return ModelSettings("pretrained", 262144, name_or_path="x", precision="bfloat16", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"quantisation": QuantisationSettings(skip_modules=["visual"])},
            r"skip_modules: 'visual' reaches no module; .*'model\.visual'",
        ),
        ({"adapter": AdapterSettings(4, 8, ["q_proj", "query"])}, r"target_modules: 'query' reaches no module"),
        ({"adapter": AdapterSettings(4, 8, "language_model.*")}, r"'language_model\.\*' reaches no module"),
        ({"adapter": AdapterSettings(4, 8, ["qkv"])}, r"reaches model\.visual\.blocks\.0\.attn\.qkv, and .* 'frozen'"),
        ({"adapter": AdapterSettings(4, 8, TEXT, vision="lora")}, r"reaches nothing in model\.visual"),
        (
            {"adapter": AdapterSettings(4, 8, ["proj"], vision="lora")},
            r"reaches model\.visual\.patch_embed\.proj, where an adapter has no effect",
        ),
    ],
)
def test_a_name_that_reaches_nothing_or_the_wrong_thing_is_refused(changes, message):
    with pytest.raises(ProfileError, match=message):
        check_module_names(model_with(**changes), SMALL)


def test_the_sizes_of_a_folder_are_read_from_its_config(tmp_path):
    from transformers import Qwen3VLConfig

    Qwen3VLConfig(**SMALL.to_config()).save_pretrained(tmp_path)
    assert read_architecture(tmp_path) == SMALL


def test_what_is_no_qwen3_vl_is_refused(tmp_path):
    with pytest.raises(ProfileError, match=r"did you mean Qwen/Qwen3-VL-8B-Instruct"):
        read_architecture("Qwen/Qwen3-VL-8B")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ProfileError, match="expected the model_type 'qwen3_vl', found 'llama'"):
        read_architecture(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ProfileError, match="cannot read"):
        read_architecture(tmp_path)


def test_the_published_rotary_sections_are_made():
    assert SMALL.to_config()["text_config"]["rope_parameters"]["mrope_section"] == [4, 2, 2]
    published = read_architecture(NAMES[2]).to_config()
    assert published["text_config"]["rope_parameters"]["mrope_section"] == [24, 20, 20]


def test_importing_the_module_imports_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, radvlm_course.models.architectures, radvlm_course.models.memory; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
