"""Are the weights here? Folders, the hub's cache, and nothing downloaded unasked."""

import json

import pytest

from radvlm_course.models.availability import missing_weights

NAME = "Qwen/Qwen3-VL-8B-Instruct"
SHARDS = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}


def fill(folder, *left_out):
    """A model in two files, empty ones."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": SHARDS}))
    for name in SHARDS.values():
        if name not in left_out:
            (folder / name).touch()
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache in an empty folder; returns where the model's files belong."""
    monkeypatch.delenv("RADVLM_COURSE_DOWNLOAD", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--Qwen--Qwen3-VL-8B-Instruct"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("c0ffee")
    return repository / "snapshots" / "c0ffee"


def test_a_folder_with_all_files_is_enough(tmp_path):
    assert missing_weights(str(fill(tmp_path / "model"))) == ""
    single = tmp_path / "single"
    single.mkdir()
    (single / "config.json").write_text("{}")
    (single / "model.safetensors").touch()
    assert missing_weights(str(single)) == ""


def test_what_a_folder_lacks_is_named(tmp_path):
    assert "expected a folder with a config.json" in missing_weights(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert "model.safetensors" in missing_weights(str(tmp_path))
    assert SHARDS["b"] in missing_weights(str(fill(tmp_path / "model", SHARDS["b"])))


@pytest.mark.parametrize("name", ["/no/such/folder", "./runs/x/model", "a/b/c", "gpt"])
def test_what_is_neither_a_folder_nor_a_hub_name_is_refused(name):
    assert "expected a folder with a model or a name on the hub" in missing_weights(name, download_allowed=True)


def test_a_cached_model_is_enough_and_a_half_cached_one_is_not(cache):
    assert "are not on this machine" in missing_weights(NAME)
    fill(cache, SHARDS["b"])
    assert "are not on this machine" in missing_weights(NAME)
    (cache / SHARDS["b"]).touch()
    assert missing_weights(NAME) == ""


def test_a_download_is_asked_for_and_its_size_is_said(cache, monkeypatch):
    message = missing_weights(NAME)
    assert "(17.5 GB)" in message  # 8,767,123,696 weights of two bytes
    assert "RADVLM_COURSE_DOWNLOAD=1" in message
    assert "--start-from FOLDER" in message
    monkeypatch.setenv("RADVLM_COURSE_DOWNLOAD", "1")
    assert missing_weights(NAME) == ""
    assert missing_weights(NAME, download_allowed=False) == message
