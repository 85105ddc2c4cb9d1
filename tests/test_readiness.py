"""What is known to be wrong before hours are spent, on pretended machines."""

import json

import pytest

from radvlm_course.machine import Gpu, Machine
from radvlm_course.profiles import ProfileError, available_profiles, load_profile
from radvlm_course.readiness import check_profile, check_ready, obstacles
from radvlm_course.runs import RunError

WORKSTATION = Machine(64, 500, (Gpu("A card", 23.6),))
NOTHING = Machine(7.6, 50)


@pytest.fixture
def weights(tmp_path):
    """A folder that looks like a model's."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3_vl"}))
    (folder / "model.safetensors").touch()
    return folder


@pytest.fixture
def data(tmp_path):
    """A folder for each dataset of the open mixture."""
    from radvlm_course.instructions.mixture_settings import load_mixture

    folder = tmp_path / "data"
    for name in load_mixture("open_data").sources():
        (folder / name).mkdir(parents=True)
    return folder


def loaded(name, weights, data, **overrides):
    return load_profile(name, {"model.name_or_path": str(weights), "curate.root": str(data), **overrides})


@pytest.mark.parametrize("name", [name for name in available_profiles() if name not in ("multi-gpu", "paper")])
def test_every_profile_of_one_process_passes_its_check(name):
    check_profile(load_profile(name))


@pytest.mark.parametrize(("name", "processes"), [("multi-gpu", "8"), ("paper", "32")])
def test_a_profile_of_many_processes_passes_with_as_many(name, processes, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", processes)
    check_profile(load_profile(name))
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ProfileError, match=f"profile {name}: grpo_grounding generates"):
        check_profile(load_profile(name))


def test_a_name_that_reaches_no_module_is_found():
    with pytest.raises(ProfileError, match=r"'wq_proj' reaches no module"):
        check_profile(load_profile("gpu-24gb", {"model.adapter.target_modules": ["wq_proj"]}))


def test_nothing_is_lacking_where_all_is_there(weights, data):
    assert obstacles(loaded("gpu-24gb", weights, data), WORKSTATION) == []
    check_ready(loaded("gpu-24gb", weights, data), WORKSTATION)
    assert obstacles(load_profile("laptop"), NOTHING) == []


def test_without_a_gpu_the_profile_is_refused_with_its_name_and_what_to_do(weights, data):
    with pytest.raises(RunError) as caught:
        check_ready(loaded("gpu-24gb", weights, data), NOTHING)
    message = str(caught.value)
    assert "profile 'gpu-24gb' cannot start here" in message
    assert "it needs 1 GPU of 24 GB, and this machine has none" in message
    assert "doctor" in message


def test_a_smaller_card_is_named_and_can_be_allowed(weights, data):
    small = Machine(64, 500, (Gpu("Small", 15.8),))
    (line,) = obstacles(loaded("gpu-24gb", weights, data), small)
    assert "this machine has Small, 16 GB" in line
    assert "--set requires.gpu_memory_gb=N" in line
    assert obstacles(loaded("gpu-24gb", weights, data, **{"requires.gpu_memory_gb": 16}), small) == []


def test_a_gpu_that_torch_cannot_use_is_no_gpu(weights, data):
    (line,) = obstacles(loaded("gpu-24gb", weights, data), Machine(64, 500, (Gpu("A card", 24, usable=False),)))
    assert "A card, 24 GB, which torch cannot use" in line


def test_missing_weights_and_data_are_named_with_the_commands(tmp_path, monkeypatch):
    monkeypatch.delenv("RADVLM_COURSE_DOWNLOAD", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data"
    (root / "open_i").mkdir(parents=True)
    profile = load_profile("gpu-24gb", {"curate.root": str(root)})
    weights, data = obstacles(profile, WORKSTATION)
    assert "Qwen/Qwen3-VL-8B-Instruct (17.5 GB) are not on this machine" in weights
    assert "--start-from FOLDER" in weights
    assert (
        f"the mixture 'open_data' needs a folder with each of its datasets; not there: {root}/nih_chestxray14" in data
    )
    assert "open_i" not in data
    assert "python data_scripts/download.py" in data
    monkeypatch.setenv("RADVLM_COURSE_DOWNLOAD", "1")
    assert obstacles(profile, WORKSTATION) == [data]


def test_the_model_that_a_stage_starts_from_must_be_there(weights, data, tmp_path):
    there = loaded("gpu-24gb", weights, data, **{"grpo_reports.start": str(weights), "grpo_grounding.start": "sft"})
    assert obstacles(there, WORKSTATION) == []
    missing = loaded("gpu-24gb", weights, data, **{"grpo_reports.start": str(tmp_path / "nothing")})
    (line,) = obstacles(missing, WORKSTATION)
    assert line.startswith(f"{tmp_path / 'nothing'}: expected a folder with a model")


def test_datasets_may_lie_elsewhere_or_be_left_out(tmp_path, weights):
    root, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (root / "open_i").mkdir(parents=True)
    elsewhere.mkdir()
    changes = {
        "curate.roots": {"nih_chestxray14": str(elsewhere)},
        "curate.leave_out": ["chestx_det", "rsna_pneumonia", "tbx11k"],
    }
    assert obstacles(loaded("gpu-24gb", weights, root, **changes), WORKSTATION) == []


def test_many_gpus_want_many_processes(weights, data, monkeypatch):
    eight = Machine(2000, 9000, (Gpu("H100", 79.2),) * 8)
    profile = loaded("multi-gpu", weights, data, **{"curate.mixture": "open_data"})
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    (line,) = obstacles(profile, eight)
    assert "sized for 8 processes" in line
    assert "configs/profiles/multi-gpu.yaml" in line
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert obstacles(profile, eight) == []
    (line,) = obstacles(profile, WORKSTATION)
    assert "it needs 8 GPUs of 80 GB" in line


def test_a_dataset_that_is_not_there_is_named(tmp_path):
    profile = load_profile("laptop", {"curate.source": "nih_chestxray14", "curate.root": str(tmp_path / "nih")})
    (line,) = obstacles(profile, NOTHING)
    assert "the dataset 'nih_chestxray14' is not at" in line


def test_weights_in_four_bits_without_bitsandbytes_are_said_before_anything_starts(weights, data, monkeypatch):
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find_spec(name))
    (line,) = obstacles(loaded("gpu-24gb", weights, data), WORKSTATION)
    assert "bitsandbytes, which is not installed: pip install" in line
    assert not obstacles(loaded("gpu-24gb", weights, data, **{"model.quantisation": None}), WORKSTATION)


def test_what_the_launcher_shares_out_is_held_against_the_profile(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    check_profile(load_profile("multi-gpu"))
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "true")
    with pytest.raises(ProfileError, match="fsdp_cpu_ram_efficient_loading"):
        check_profile(load_profile("multi-gpu"))
    with pytest.raises(ProfileError, match="Muon"):
        check_profile(load_profile("laptop"))
