"""What made a folder of predictions: recognised again, and anything else refused by name."""

import json
import os

import pytest

from radvlm_course.evaluation.predictions import PredictionError
from radvlm_course.evaluation.provenance import (
    bind,
    examples_digest,
    model_identity,
    read_settings,
    versions,
    write_about,
)
from radvlm_course.records import Example

SETTINGS = {"model": {"name": "m"}, "generation": {"dtype": "float32", "versions": {"torch": "2"}}, "shards": 1}


def changed(**generation):
    return {**SETTINGS, "generation": {**SETTINGS["generation"], **generation}}


def test_the_settings_stand_beside_the_predictions_and_the_same_ones_go_on(tmp_path):
    path = bind(tmp_path / "new", SETTINGS, {"batch_size": 4})
    before = path.read_bytes()
    assert json.loads(before) == {**SETTINGS, "changeable": {"batch_size": 4}} == read_settings(tmp_path / "new")
    bind(tmp_path / "new", SETTINGS, {"batch_size": 8})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path / "new") == ["settings.json"]


def test_other_settings_are_refused_with_the_keys_that_differ(tmp_path):
    bind(tmp_path, SETTINGS, {})
    message = r"generation\.dtype: 'float32' there, 'bfloat16' now; generation\.versions\.torch: '2' there, '3' now"
    with pytest.raises(PredictionError, match=message + ".*another --output"):
        bind(tmp_path, changed(dtype="bfloat16", versions={"torch": "3"}), {})
    with pytest.raises(PredictionError, match=r"generation\.thinking: None there, True now"):
        bind(tmp_path, changed(thinking=True), {})


def test_without_links_the_settings_are_written_all_the_same(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    bind(tmp_path, SETTINGS, {})
    with pytest.raises(PredictionError, match=r"generation\.dtype"):
        bind(tmp_path, changed(dtype="float16"), {})
    assert os.listdir(tmp_path) == ["settings.json"]


def test_a_process_that_comes_second_by_a_hair_is_held_against_the_first(tmp_path, monkeypatch):
    link = os.link

    def another_first(source, target):
        target.write_text(json.dumps(SETTINGS))
        link(source, target)

    monkeypatch.setattr(os, "link", another_first)
    with pytest.raises(PredictionError, match=r"generation\.dtype"):
        bind(tmp_path, changed(dtype="float16"), {})


@pytest.mark.parametrize(("content", "message"), [("{", "as JSON"), ("[1]", "expected an object")])
def test_broken_settings_name_their_file(tmp_path, content, message):
    assert read_settings(tmp_path) is None
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(PredictionError, match=rf"settings\.json: .*{message}"):
        read_settings(tmp_path)


def test_a_model_trained_again_in_the_same_folder_is_another_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"\0" * 1000)
    first = model_identity(tmp_path)
    assert first == model_identity(str(tmp_path))
    weights.write_bytes(b"\0" * 999 + b"\1")
    second = model_identity(tmp_path)
    weights.rename(tmp_path / "other.safetensors")
    assert len({first["fingerprint"], second["fingerprint"], model_identity(tmp_path)["fingerprint"]}) == 3


def test_of_large_weights_blocks_all_over_the_file_are_read(tmp_path):
    weights = tmp_path / "model.safetensors"
    size = 80 * 2**20
    with weights.open("wb") as file:
        file.truncate(size)
    before = model_identity(tmp_path)
    with weights.open("rb+") as file:
        for start in range(0, size, size // 100):  # training moves weights everywhere
            file.seek(start)
            file.write(os.urandom(size // 1000))
    assert model_identity(tmp_path) != before


def test_what_is_neither_a_folder_nor_on_the_hub_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="expected a model folder or a model of the hub"):
        model_identity(tmp_path / "gone" / "model")


def test_a_hub_model_is_known_by_its_commit(tmp_path, monkeypatch):
    import huggingface_hub

    snapshot = tmp_path / "snapshots" / "abc123" / "config.json"
    asked = []
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *names, **how: asked.append(how) or str(snapshot))
    assert model_identity("org/model") == {"name_or_path": "org/model", "revision": "abc123"}
    model_identity("org/model", "v1", download=False)
    assert asked == [{"revision": None, "local_files_only": False}, {"revision": "v1", "local_files_only": True}]


def test_examples_are_known_whatever_their_order():
    first, second = (Example(name, "conversation", f"{name}.png", "What?", "That.") for name in "ab")
    assert examples_digest([first, second]) == examples_digest([second, first]) != examples_digest([first])


def test_versions_name_the_packages_asked_and_what_is_missing():
    found = versions(("numpy", "no-such-package"))
    assert set(found) == {"python", "radvlm_course", "numpy", "no-such-package"}
    assert found["no-such-package"] is None and found["numpy"]


def test_what_scores_are_of_stands_apart_from_them(tmp_path):
    examples = [
        Example(name, "conversation", "a.png", "q", "a", source=source) for name, source in (("a", "x"), ("b", ""))
    ]
    bind(tmp_path / "out", SETTINGS, {})
    write_about(tmp_path / "scores", tmp_path / "out", ["test.jsonl"], examples)
    about = json.loads((tmp_path / "scores" / "about.json").read_text())
    assert about["sources"] == {"conversation": {"not said": 1, "x": 1}}
    assert about["settings"]["model"] == {"name": "m"}
    assert about["examples"] == {"files": ["test.jsonl"], "count": 2, "digest": examples_digest(examples)}


def test_a_module_that_another_distribution_brings_has_a_version():
    found = versions(("PIL", "yaml"))
    assert found["PIL"].startswith("pillow ") or found["PIL"].startswith("Pillow ")
    assert found["yaml"].startswith("PyYAML ")
