import dataclasses
import json
import shutil

import pytest
import torch

from radvlm_course.model_settings import AdapterSettings
from radvlm_course.models.adapters import (
    AdapterError,
    add_adapter,
    attach_adapter,
    base_of,
    freeze_vision_tower,
    load_adapter_weights,
    qwen,
    save_adapter,
    weights_kept_in_float32,
)
from radvlm_course.models.loading import load_model

LANGUAGE = AdapterSettings(rank=4, alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
VISION = dataclasses.replace(LANGUAGE, target_modules=r".*(q_proj|attn\.qkv|attn\.proj)", vision="lora")


def trained(model):
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def moved(model):
    """The model with every part of its adapter moved, as by training."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in trained(model).values():
            weight.add_(torch.randn_like(weight) * 0.05)
    return model


@pytest.fixture
def base(tiny_folder):
    return load_model(tiny_folder).model


@pytest.fixture
def folder(base, tmp_path):
    save_adapter(moved(add_adapter(base, LANGUAGE, seed=0)), tmp_path / "adapter")
    return tmp_path / "adapter"


def test_a_new_adapter_changes_nothing_and_is_all_that_is_trained(base):
    ids = torch.arange(10)[None]
    before = base(input_ids=ids).logits
    model = add_adapter(base, LANGUAGE, seed=0)
    assert torch.equal(model(input_ids=ids).logits, before)
    assert trained(model) and all(".lora_" in name and "visual" not in name for name in trained(model))
    assert qwen(model) is base and qwen(base) is base


def test_the_same_seed_gives_the_same_adapter(tiny_folder):
    first, second, other = (add_adapter(load_model(tiny_folder).model, LANGUAGE, seed) for seed in (3, 3, 4))
    assert all(torch.equal(weight, trained(second)[name]) for name, weight in trained(first).items())
    assert not all(torch.equal(weight, trained(other)[name]) for name, weight in trained(first).items())


def test_a_saved_adapter_gives_the_same_answers_on_its_model(folder, base, tiny_folder):
    ids = torch.arange(10)[None]
    expected = base(input_ids=ids).logits  # the adapter of the fixture lies on it
    plain = load_model(tiny_folder).model
    assert not torch.allclose(plain(input_ids=ids).logits, expected)
    model = attach_adapter(plain, folder)
    assert torch.equal(model(input_ids=ids).logits, expected)
    assert not trained(model)


def test_the_folder_says_which_model_it_belongs_to_and_how_that_was_held(folder, tiny_folder):
    record = base_of(folder)
    assert record.name_or_path == str(tiny_folder)
    assert len(record.fingerprint) == 32 and record.precision == "float32" and record.quantisation is None
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(tiny_folder)


def test_a_model_and_its_adapter_that_were_moved_together_find_each_other(base, tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "run" / "base")
    model = add_adapter(load_model(tmp_path / "run" / "base").model, LANGUAGE, seed=0)
    save_adapter(model, tmp_path / "run" / "sft" / "model")
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    found = base_of(tmp_path / "elsewhere" / "sft" / "model").found_from(tmp_path / "elsewhere" / "sft" / "model")
    assert found == str(tmp_path / "elsewhere" / "base")


def test_training_goes_on_with_a_saved_adapter(folder, tiny_folder):
    model = attach_adapter(load_model(tiny_folder).model, folder, trainable=True, settings=LANGUAGE)
    assert len(trained(model)) == 2 * 3 * 3  # two matrices, three kinds of modules, three layers


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_named(folder, base, missing):
    (folder / missing).unlink()
    with pytest.raises(AdapterError, match=f"{missing} is not there: run the stage"):
        attach_adapter(base, folder)


def test_an_adapter_of_other_weights_of_the_same_sizes_is_refused(folder, tiny_folder, tmp_path):
    other = load_model(tiny_folder).model
    with torch.no_grad():
        other.model.language_model.layers[0].mlp.down_proj.weight.mul_(1.01)
    other.save_pretrained(tmp_path / "other")
    shutil.copy(tiny_folder / "tokenizer.json", tmp_path / "other")
    model = type(other).from_pretrained(tmp_path / "other")
    with pytest.raises(AdapterError, match=r"with other weights \(fingerprint [0-9a-f]{32}\) than .*other .*--base"):
        attach_adapter(model, folder)


def test_an_adapter_from_elsewhere_is_held_against_the_shapes(folder, tiny64_folder):
    (folder / "base_model.json").unlink()  # only ours have it
    assert base_of(folder).fingerprint == ""
    with pytest.raises(AdapterError, match=r"does not fit .*lora_\w+\.weight is expected as"):
        attach_adapter(load_model(tiny64_folder).model, folder)


@pytest.mark.parametrize("change", [{"rank": 8}, {"alpha": 4}, {"target_modules": ["q_proj"]}])
def test_a_profile_that_asks_for_another_adapter_is_refused(folder, tiny_folder, change):
    settings = dataclasses.replace(LANGUAGE, **change)
    with pytest.raises(AdapterError, match=r"the profile asks for .* merge"):
        attach_adapter(load_model(tiny_folder).model, folder, trainable=True, settings=settings)


def test_modules_that_the_model_does_not_have_are_refused(base):
    with pytest.raises(AdapterError, match="target_modules: no adapter can be put on"):
        add_adapter(base, dataclasses.replace(LANGUAGE, target_modules=["c_attn"]), seed=0)


def test_weights_of_another_rank_are_not_loaded(folder, tiny_folder):
    model = add_adapter(load_model(tiny_folder).model, dataclasses.replace(LANGUAGE, rank=2), seed=0)
    with pytest.raises(AdapterError, match="another rank"):
        load_adapter_weights(model, folder)


def test_a_frozen_tower_keeps_its_adapter_still_and_an_unfrozen_one_trains_only_that(tiny_folder):
    model = add_adapter(load_model(tiny_folder).model, VISION, seed=0)
    freeze_vision_tower(model, False)
    assert {name.rsplit(".", 3)[1] for name in trained(model)} == {"lora_A", "lora_B"}
    assert any("visual" in name for name in trained(model))
    freeze_vision_tower(model, True)
    assert trained(model) and not any("visual" in name for name in trained(model))


def test_the_tower_of_a_whole_model_is_frozen_or_trained(base):
    freeze_vision_tower(base, True)
    assert not any("visual" in name for name in trained(base))
    freeze_vision_tower(base, False)
    assert any("visual" in name for name in trained(base))


def test_weights_that_a_trainer_rounds_get_their_values_back(base):
    model = moved(add_adapter(base, LANGUAGE, seed=0))
    before = {name: weight.detach().clone() for name, weight in trained(model).items()}
    with weights_kept_in_float32(model):
        for weight in trained(model).values():
            weight.data = weight.data.to(torch.bfloat16)
    assert all(torch.equal(weight, before[name]) for name, weight in trained(model).items())
