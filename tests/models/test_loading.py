import shutil

import pytest
import torch

from radvlm_course.models.adapters import save_trained
from radvlm_course.models.loading import ModelFilesError, load_for_training, load_model


def test_a_saved_folder_loads_with_equal_weights_and_a_left_padding_tokenizer(model, processor, tmp_path):
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert torch.equal(loaded.model.lm_head.weight, model.lm_head.weight)
    assert loaded.processor.tokenizer.padding_side == "left"


def test_max_pixels_caps_the_visual_tokens_of_a_large_film(model, processor, films, tmp_path):
    model.save_pretrained(tmp_path)
    processor.image_processor.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, max_pixels=32 * 32)
    grid = loaded.processor.image_processor([films[0].resize((500, 500))], return_tensors="pt")["image_grid_thw"]
    assert grid.tolist() == [[1, 4, 4]]


def test_a_folder_that_does_not_exist_says_to_run_the_stage_first(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the stage that makes it first"):
        load_model(tmp_path / "model")


def test_an_adapter_folder_loads_with_the_model_that_it_names(tiny_folder, adapter_settings, tmp_path):
    loaded = load_for_training(tiny_folder, adapter_settings(tiny_folder))
    save_trained(loaded.model, tmp_path)
    loaded.processor.save_pretrained(tmp_path)
    again = load_model(tmp_path, max_pixels=32 * 32)
    assert not any(weight.requires_grad for name, weight in again.model.named_parameters() if "lora" in name)
    assert again.processor.image_processor.size["longest_edge"] == 32 * 32
    further = load_for_training(tmp_path, adapter_settings(tiny_folder))
    assert any(weight.requires_grad for weight in further.model.parameters())


def test_an_adapter_without_a_processor_takes_that_of_its_model(tiny_folder, adapter_settings, tmp_path):
    save_trained(load_for_training(tiny_folder, adapter_settings(tiny_folder)).model, tmp_path)
    assert load_model(tmp_path).processor.tokenizer.padding_side == "left"


def test_an_adapter_whose_model_is_gone_says_where_it_was(tiny_folder, adapter_settings, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "base")
    save_trained(load_for_training(tmp_path / "base", adapter_settings(tmp_path / "base")).model, tmp_path / "adapter")
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match=r"expected a model folder at .*base"):
        load_model(tmp_path / "adapter")
    assert load_model(tmp_path / "adapter", base=str(tmp_path / "moved")).model.peft_config


def test_all_weights_cannot_be_trained_from_an_adapter(tiny_folder, adapter_settings, tmp_path):
    save_trained(load_for_training(tiny_folder, adapter_settings(tiny_folder)).model, tmp_path)
    with pytest.raises(ModelFilesError, match=r"is an adapter, and the profile trains all weights .* merge"):
        load_for_training(tmp_path, adapter_settings(tiny_folder, adapter=None))


def test_a_profile_without_an_adapter_trains_the_whole_model_in_its_precision(tiny_folder, adapter_settings):
    model = load_for_training(tiny_folder, adapter_settings(tiny_folder, adapter=None, precision="bfloat16")).model
    assert all(weight.requires_grad and weight.dtype == torch.bfloat16 for weight in model.parameters())


def test_an_adapter_on_16_bits_is_itself_in_32(tiny_folder, adapter_settings):
    model = load_for_training(tiny_folder, adapter_settings(tiny_folder, precision="bfloat16")).model
    kinds = {weight.requires_grad: weight.dtype for weight in model.parameters()}
    assert kinds == {False: torch.bfloat16, True: torch.float32}


def test_a_model_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(ModelFilesError, match=r"expected a Qwen3-VL in .*, found a model of type 'llava'"):
        load_model(tmp_path)


def test_weights_that_are_missing_or_of_other_sizes_are_not_made_up(model, processor, tmp_path):
    from safetensors.torch import load_file, save_file

    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    name = "model.language_model.layers.0.mlp.down_proj.weight"
    whole = weights.pop(name)
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelFilesError, match=r"1 weights are missing \(\S*layers\.0\.mlp\.down_proj\.weight\)"):
        load_model(tmp_path)
    save_file({**weights, name: whole[:, :8].contiguous()}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelFilesError, match=r"1 weights have other shapes \(\S*layers\.0\.mlp\.down_proj\.weight\)"):
        load_model(tmp_path)
