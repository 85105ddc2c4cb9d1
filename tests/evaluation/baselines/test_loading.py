import json

import pytest
import torch

from radvlm_course.evaluation.baselines import BASELINES, get_baseline
from radvlm_course.evaluation.baselines.base import BaselineError
from radvlm_course.evaluation.baselines.loading import LoadOptions, local_folder, require_model_type, torch_dtype
from radvlm_course.evaluation.baselines.medgemma_4b_pt import CARD

ON_THE_HUB = [name for name in BASELINES if get_baseline(name).card.identifier]


@pytest.mark.parametrize("name", ON_THE_HUB)
@pytest.mark.parametrize("download", [False, True])
def test_weights_that_are_not_here_and_cannot_be_fetched_are_asked_for_with_their_terms(
    name, download, no_hub, monkeypatch, tiny, tmp_path
):
    if name == "llava_rad":  # its package is there, its weights are not
        monkeypatch.syspath_prepend(tiny.llava_rad(tmp_path))
    baseline = get_baseline(name)
    with pytest.raises(BaselineError) as caught:
        baseline.load(download=download, trust_remote_code=True)
    message = str(caught.value)
    assert f"hf download {baseline.card.identifier}" in message
    assert baseline.card.licence in message and baseline.card.access in message
    assert ("could not be downloaded" in message) == download


@pytest.mark.parametrize("name", ["maira_2", "chexagent_2", "llava_rad"])
def test_code_that_comes_with_weights_does_not_run_without_consent(name, tmp_path):
    with pytest.raises(BaselineError, match=r"pass trust_remote_code=True, best with revision=COMMIT"):
        get_baseline(name).load(str(tmp_path))


def test_models_that_were_never_published_want_a_folder():
    with pytest.raises(BaselineError, match=r"RadVLM is on no hub .*: give a folder with its weights"):
        get_baseline("radvlm").load()


@pytest.mark.parametrize("path", ["/no/such/folder", "./gone", "a/b/c", "gone"])
def test_a_path_without_a_folder_is_no_name_of_the_hub(path):
    with pytest.raises(BaselineError, match=r"expected a folder with its weights at .*, found none"):
        local_folder(CARD, path, LoadOptions(download=True))


def test_a_repository_in_the_cache_is_found_without_a_network(no_hub):
    repository = no_hub / "models--google--medgemma-4b-pt"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    assert local_folder(CARD, None, LoadOptions()) == snapshot
    with pytest.raises(BaselineError, match="found neither"):
        local_folder(CARD, None, LoadOptions(revision="b" * 40))


@pytest.mark.parametrize("written", ['{"model_type": "qwen3_vl"}', "[]", "{", None])
def test_weights_of_another_model_are_refused_before_they_are_read(written, tmp_path):
    if written is not None:
        (tmp_path / "config.json").write_text(written)
    with pytest.raises(BaselineError, match=r"MedGemma-4B-pt: expected a model"):
        require_model_type(CARD, tmp_path, "gemma3")


@pytest.mark.parametrize("name", ["qwen3_vl", "radvlm", "deepmedix_r1", "medgemma_27b_it"])
def test_a_folder_of_another_kind_of_model_names_both_kinds(name, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava_onevision"}))
    with pytest.raises(BaselineError, match=r"expected a model of type .*, found 'llava_onevision'"):
        get_baseline(name).load(str(tmp_path))


def test_code_that_fails_says_what_it_was_written_for(tiny, no_hub, tmp_path):
    folder = tiny.chexagent_2(tmp_path)
    (folder / "modeling_chexagent.py").write_text(
        "import transformers\nassert transformers.__version__ == '4.40.0', 'this code wants 4.40.0'\n"
        "class CheXagentForCausalLM: pass\n"
    )
    with pytest.raises(BaselineError, match=r"this code wants 4\.40\.0.*written for transformers 4\.40\.0: see docs/"):
        get_baseline("chexagent_2").load(str(folder), trust_remote_code=True)


def test_weights_that_are_cut_off_name_the_folder(tiny, gemma_folder, tmp_path):
    for file in gemma_folder.iterdir():
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[: len(content) // 2] if file.suffix == ".safetensors" else content)
    with pytest.raises(BaselineError, match=rf"the files in {tmp_path} could not be loaded with transformers"):
        get_baseline("medgemma_4b_pt").load(str(tmp_path))


def test_on_a_cpu_weights_are_loaded_in_single_precision_unless_asked_otherwise():
    assert torch_dtype(LoadOptions(device="cpu"), "bfloat16") == torch.float32
    assert torch_dtype(LoadOptions(device="cuda:0"), "bfloat16") == torch.bfloat16
    assert torch_dtype(LoadOptions(device="cpu", dtype="float16"), "bfloat16") == torch.float16


@pytest.mark.parametrize("dtype", ["int8", "load", "half precision"])
def test_a_type_that_torch_cannot_load_in_is_refused(dtype):
    with pytest.raises(BaselineError, match="expected auto, bfloat16, float16 or float32"):
        torch_dtype(LoadOptions(dtype=dtype), "bfloat16")


def test_an_option_that_does_not_exist_is_an_error():
    with pytest.raises(TypeError, match="devise"):
        get_baseline("medgemma_4b_pt").load("folder", devise="cpu")
