import pytest
import torch

from radvlm_course.models.loading import load_model


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
