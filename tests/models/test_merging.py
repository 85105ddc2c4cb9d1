import pytest
import torch

from radvlm_course.model_settings import QuantisationSettings
from radvlm_course.models.adapters import save_trained
from radvlm_course.models.loading import ModelFilesError, load_for_training, load_model
from radvlm_course.models.merging import merge_adapter


def trained_adapter(base, settings, folder):
    """An adapter far from zero, saved; and what its model answers."""
    loaded = load_for_training(base, settings)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.05)
    save_trained(loaded.model, folder)
    loaded.processor.save_pretrained(folder)
    return answers(loaded.model)


def answers(model):
    model.eval()
    with torch.no_grad():
        return model(input_ids=torch.arange(20)[None]).logits


def test_a_merged_model_is_a_plain_folder_that_answers_as_the_adapter_did(tiny_folder, adapter_settings, tmp_path):
    expected = trained_adapter(tiny_folder, adapter_settings(tiny_folder), tmp_path / "adapter")
    output = merge_adapter(tmp_path / "adapter", tmp_path / "merged", precision="float32")
    assert {"config.json", "model.safetensors", "tokenizer.json", "processor_config.json"} <= {
        path.name for path in output.iterdir()
    }
    assert not list(output.glob("adapter*")) and "quantization_config" not in (output / "config.json").read_text()
    merged = load_model(output).model
    torch.testing.assert_close(answers(merged), expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(answers(load_model(tiny_folder).model), expected, atol=1e-2)


def test_an_adapter_of_four_bits_is_merged_into_the_weights_that_it_was_trained_with(
    tiny64_folder, adapter_settings, tmp_path
):
    pytest.importorskip("bitsandbytes")
    settings = adapter_settings(tiny64_folder, quantisation=QuantisationSettings(compute="float32"))
    expected = trained_adapter(tiny64_folder, settings, tmp_path / "adapter")
    assert torch.equal(answers(load_model(tmp_path / "adapter").model), expected)  # again in four bits
    merged = merge_adapter(tmp_path / "adapter", tmp_path / "merged", precision="float32")
    torch.testing.assert_close(answers(load_model(merged).model), expected, atol=1e-5, rtol=1e-5)
    original = merge_adapter(tmp_path / "adapter", tmp_path / "original", precision="float32", onto="original")
    difference = (answers(load_model(original).model) - expected).abs().max()
    assert 1e-3 < difference < 2  # the rounding to four bits, which this adapter does not know


def test_a_folder_without_an_adapter_is_refused(tiny_folder, tmp_path):
    with pytest.raises(ModelFilesError, match="holds no adapter"):
        merge_adapter(tiny_folder, tmp_path / "merged")


def test_nothing_is_overwritten(tiny_folder, adapter_settings, tmp_path):
    trained_adapter(tiny_folder, adapter_settings(tiny_folder), tmp_path / "adapter")
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "notes.txt").write_text("mine")
    with pytest.raises(ModelFilesError, match="is not empty"):
        merge_adapter(tmp_path / "adapter", tmp_path / "merged")
    assert (tmp_path / "merged" / "notes.txt").read_text() == "mine"
