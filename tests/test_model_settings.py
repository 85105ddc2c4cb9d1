"""The model section: against the installed bitsandbytes and peft configurations, and what it refuses."""

import inspect

import pytest

from radvlm_course.model_settings import AdapterSettings, ModelSettings, QuantisationSettings, check_model_settings
from radvlm_course.profiles import ProfileError, available_profiles, load_profile, parse_override

PRETRAINED = [name for name in available_profiles() if load_profile(name).model.kind == "pretrained"]


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_installed_bitsandbytes_configuration_takes_what_a_profile_says(name):
    import torch
    from transformers import BitsAndBytesConfig

    quantisation = load_profile(name).model.quantisation
    if quantisation is None:
        assert name in ("gpu-80gb", "multi-gpu", "paper")
        return
    options = quantisation.options()
    assert set(options) <= set(inspect.signature(BitsAndBytesConfig).parameters)
    config = BitsAndBytesConfig(**options)
    assert (config.load_in_4bit, config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == (True, "nf4", True)
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert config.llm_int8_skip_modules == ["model.visual", "lm_head"]


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_installed_peft_configuration_takes_what_a_profile_says(name):
    from peft import LoraConfig

    adapter = load_profile(name).model.adapter
    if adapter is None:
        assert name in ("multi-gpu", "paper")
        return
    assert set(adapter.options()) <= set(inspect.signature(LoraConfig).parameters)
    config = LoraConfig(**adapter.options())
    assert (config.r, config.lora_alpha, config.lora_dropout) == (adapter.rank, adapter.alpha, adapter.dropout)
    named = adapter.target_modules
    assert config.target_modules == (named if isinstance(named, str) else set(named))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.quantisation.kind=int3", r"model\.quantisation\.kind must be one of nf4; found 'int3'"),
        (
            "model.quantisation.bits=4",
            r"unknown key model\.quantisation\.bits.*Known keys of model\.quantisation: kind",
        ),
        ("model.adapter.rank=0", r"model\.adapter\.rank must be a number from 1 to 1024, found 0"),
        ("model.adapter.rank=4096", r"model\.adapter\.rank must be a number from 1 to 1024, found 4096"),
        ("model.adapter.dropout=1", r"model\.adapter\.dropout must be a number from 0 to 0\.9, found 1\.0"),
        ("model.adapter.vision=thawed", r"model\.adapter\.vision must be one of frozen, lora; found 'thawed'"),
        ("model.adapter.target_modules=[]", r"target_modules must be a list of names or a regular expression"),
        ("model.adapter.target_modules=all-linear", "would reach the vision tower as well"),
        ("model.precision=int8", r"model\.precision must be one of float32, bfloat16, float16; found 'int8'"),
        ("model.engine=vllm", r"model\.engine must be one of transformers, unsloth; found 'vllm'"),
        ("model.adapter=null", r"four bits cannot be trained themselves; expected an adapter"),
        ("model.kind=huge", r"model\.kind must be one of tiny, pretrained; found 'huge'"),
        ("model.name_or_path=null", r"model\.name_or_path must name a model for model\.kind 'pretrained'"),
    ],
)
def test_a_wrong_key_or_value_of_the_model_is_named(override, message):
    with pytest.raises(ProfileError, match=message):
        load_profile("gpu-24gb", dict([parse_override(override)]))


def test_unsloth_needs_an_adapter():
    model = ModelSettings("pretrained", 262144, name_or_path="x", engine="unsloth")
    with pytest.raises(ProfileError, match=r"file: model\.engine 'unsloth' trains adapters"):
        check_model_settings(model, "file")


def test_a_tiny_model_needs_the_side_of_its_films():
    with pytest.raises(ProfileError, match=r"model\.image_size must be given"):
        check_model_settings(ModelSettings("tiny", 14400), "file")


def test_the_vision_tower_keeps_its_precision_only_under_its_full_name():
    def precision(*skipped):
        return ModelSettings(
            "pretrained",
            262144,
            name_or_path="x",
            precision="bfloat16",
            quantisation=QuantisationSettings(skip_modules=[*skipped]),
        ).vision_precision()

    assert precision("model.visual", "lm_head") == "bfloat16"
    assert precision("visual", "lm_head") == "nf4"
    assert ModelSettings("pretrained", 262144, precision="float32").vision_precision() == "float32"


def test_options_are_copies():
    adapter = AdapterSettings(8, 16, ["q_proj"])
    adapter.options()["target_modules"].append("k_proj")
    assert adapter.target_modules == ["q_proj"]
    quantisation = QuantisationSettings()
    quantisation.options()["llm_int8_skip_modules"].clear()
    assert quantisation.skip_modules == ["model.visual", "lm_head"]
