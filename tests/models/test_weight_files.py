import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from radvlm_course.models.weight_files import fingerprint, is_adapter, local_folder, model_type, weight_shapes


def write(folder, name="model.safetensors", value=1.0, shape=(3, 40_000)):
    folder.mkdir(exist_ok=True)
    save_file(
        {"a.weight": np.full(shape, value, np.float32), "b": np.zeros(2, np.int64)}, folder / name, {"format": "pt"}
    )
    return folder


def test_names_and_shapes_are_read_from_the_headers_of_all_files(tmp_path):
    write(tmp_path, "model-00001-of-00002.safetensors")
    save_file({"c": np.zeros((2, 2), np.float16)}, tmp_path / "model-00002-of-00002.safetensors")
    save_file({"d": np.zeros(1, np.float16)}, tmp_path / "optimiser.safetensors")
    assert weight_shapes(tmp_path, "model*.safetensors") == {"a.weight": (3, 40_000), "b": (2,), "c": (2, 2)}


def test_the_same_weights_have_the_same_fingerprint_wherever_they_lie(tmp_path):
    first, second = write(tmp_path / "first"), write(tmp_path / "second")
    assert fingerprint(first) == fingerprint(second)
    assert len(fingerprint(first)) == 32


@pytest.mark.parametrize("change", [{"value": 1.5}, {"shape": (40_000, 3)}])
def test_other_values_or_shapes_have_another_fingerprint(tmp_path, change):
    assert fingerprint(write(tmp_path / "first")) != fingerprint(write(tmp_path / "second", **change))


def test_a_folder_without_weights_has_no_fingerprint(tmp_path):
    assert fingerprint(tmp_path) == ""


@pytest.mark.parametrize("keep", [4, 40, 1000])
def test_a_file_that_was_cut_short_is_named(tmp_path, keep):
    path = write(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"model.safetensors is (not a whole|cut short)"):
        weight_shapes(tmp_path)


def test_an_adapter_is_told_from_a_model_by_its_files(tmp_path):
    assert not is_adapter(write(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    assert is_adapter(tmp_path)


def test_a_path_is_its_own_folder_and_a_name_without_a_copy_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    assert local_folder(tmp_path) == tmp_path
    assert local_folder(tmp_path / "missing") is None
    assert local_folder("nobody/nothing-of-this-name") is None


def test_the_type_of_a_model_is_read_from_its_config(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"with a config\.json"):
        model_type(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_vl"}))
    assert model_type(tmp_path) == "qwen3_vl"
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        model_type(tmp_path)
