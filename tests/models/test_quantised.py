import importlib.util

import pytest
import torch

from radvlm_course.model_settings import QuantisationSettings
from radvlm_course.models.loading import load_model
from radvlm_course.models.quantised import (
    QuantisationError,
    bitsandbytes_config,
    is_quantised,
    quantisation_of,
    restored,
)

NF4 = QuantisationSettings(compute="float32")


def test_without_bitsandbytes_the_message_says_what_to_install(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find_spec(name))
    with pytest.raises(QuantisationError, match=r"\.\[gpu\].*model\.quantisation=null"):
        bitsandbytes_config(NF4)


@pytest.fixture
def four_bits(tiny64_folder):
    pytest.importorskip("bitsandbytes")
    return load_model(tiny64_folder, quantisation=NF4).model


def test_the_language_model_is_in_four_bits_and_the_vision_tower_and_the_head_are_not(four_bits):
    from bitsandbytes.nn import Linear4bit

    kinds = {name: type(layer) for name, layer in four_bits.named_modules() if isinstance(layer, torch.nn.Linear)}
    quantised = {name for name, kind in kinds.items() if kind is Linear4bit}
    assert quantised == {name for name in kinds if name.startswith("model.language_model.layers.")}
    assert any(name.startswith("model.visual.") for name in kinds) and "lm_head" in kinds
    assert is_quantised(four_bits)


def test_the_weights_are_not_repacked_outside_of_training(four_bits):
    from bitsandbytes.nn import Linear4bit

    layers = [layer for layer in four_bits.modules() if isinstance(layer, Linear4bit)]
    assert layers and not any(layer.support_avx512bf16_for_cpu for layer in layers)
    assert all(layer.weight.quant_state.nested for layer in layers)  # the scales are quantised as well


def test_how_the_weights_are_held_is_told_in_the_words_of_a_profile(four_bits, tiny64_folder):
    assert quantisation_of(four_bits) == NF4
    assert quantisation_of(load_model(tiny64_folder).model) is None


def test_restored_weights_are_the_rounded_ones_in_ordinary_layers(four_bits, tiny64_folder):
    import bitsandbytes

    name = "model.language_model.layers.0.self_attn.q_proj"
    layer = four_bits.get_submodule(name)
    expected = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    original = load_model(tiny64_folder).model.get_submodule(name).weight
    plain = restored(four_bits, torch.float32)
    assert type(plain.get_submodule(name)) is torch.nn.Linear
    torch.testing.assert_close(plain.get_submodule(name).weight.data, expected.float())
    assert 0 < (plain.get_submodule(name).weight - original).abs().max() < 0.1
    assert not is_quantised(plain)


def test_rows_that_are_not_whole_blocks_are_refused_on_a_processor(tiny_folder):
    pytest.importorskip("bitsandbytes")
    with pytest.raises(QuantisationError, match=r"model\.language_model\.\S+ has 32 inputs: .* multiple of 64"):
        load_model(tiny_folder, quantisation=NF4)


def test_nothing_left_to_quantise_is_refused(tiny64_folder):
    pytest.importorskip("bitsandbytes")
    everything = QuantisationSettings(skip_modules=["model.visual", "model.language_model", "lm_head"])
    with pytest.raises(QuantisationError, match="skip_modules"):
        load_model(tiny64_folder, quantisation=everything)
