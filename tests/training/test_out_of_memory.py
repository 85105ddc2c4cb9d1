"""A full GPU ends in advice: which setting to lower, and by how much."""

import dataclasses
import re

import pytest
import torch
from PIL import Image

from radvlm_course.models.memory import GIB, stage_memory
from radvlm_course.profile_checks import STAGES
from radvlm_course.profiles import available_profiles, load_profile
from radvlm_course.training.out_of_memory import OutOfMemory, advice, advise_when_full, largest_film, levers

ON_GPUS = [name for name in available_profiles() if load_profile(name).requires.gpus]


def test_the_error_of_torch_becomes_advice_and_stays_in_the_traceback(grounding_examples):
    with pytest.raises(OutOfMemory) as caught, advise_when_full(load_profile("gpu-24gb"), "sft", grounding_examples):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.16 GiB.\nmore")
    message = str(caught.value)
    assert "out of memory in stage sft of profile 'gpu-24gb'" in message
    assert "torch: CUDA out of memory. Tried to allocate 1.16 GiB.\n" in message
    assert "a film of 64 x 64 pixels is 64 visual tokens under max_pixels 262,144" in message
    assert "--set sft.trainer.per_device_train_batch_size=4" in message
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


def test_other_errors_pass_and_no_error_is_no_advice():
    with pytest.raises(KeyError), advise_when_full(load_profile("gpu-24gb"), "sft"):
        raise KeyError("x")
    with advise_when_full(load_profile("gpu-24gb"), "sft"):
        pass


def test_the_token_budget_of_a_large_film_is_shown_with_and_without_the_limit():
    text = advice(load_profile("gpu-24gb"), "grpo_reports", (2544, 3056))
    assert "a film of 2544 x 3056 pixels is 238 visual tokens under max_pixels 262,144 (7,680 without a limit)" in text


def test_the_limit_of_the_stage_goes_before_the_models():
    assert "under max_pixels 262,144" in advice(load_profile("gpu-80gb"), "sft")
    assert "under max_pixels 451,584" in advice(load_profile("gpu-80gb"), "grpo_reports")


@pytest.mark.parametrize("name", ON_GPUS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_piece_of_advice_is_a_profile_that_loads_and_takes_what_was_said(name, stage):
    found = levers(load_profile(name), stage)
    assert found
    before = stage_memory(load_profile(name), stage).peaks
    for lever in found:
        assert stage_memory(load_profile(name, lever.changes), stage).peaks == lever.peaks
        assert any(lever.peaks[phase] < before[phase] for phase in before)
    assert [max(lever.peaks.values()) for lever in found] == sorted(max(lever.peaks.values()) for lever in found)


def test_the_update_stays_the_same_when_the_micro_batch_is_halved():
    profile = load_profile("gpu-24gb")
    (lever,) = [
        lever
        for lever in levers(profile, "grpo_reports")
        if "grpo_reports.trainer.per_device_train_batch_size" in lever.changes
    ]
    before, after = profile.grpo_reports.trainer, load_profile("gpu-24gb", lever.changes).grpo_reports.trainer
    size = "per_device_train_batch_size"
    assert after[size] * 2 == before[size]
    for key in ("gradient_accumulation_steps", "steps_per_generation"):
        assert after[size] * after[key] == before[size] * before[key]


def test_the_numbers_shown_are_those_computed():
    profile = load_profile("gpu-24gb")
    text = advice(profile, "grpo_reports")
    memory = stage_memory(profile, "grpo_reports")
    assert f"computed: {memory.peak / GIB:.1f} GB of 24 GB while writing" in text
    (line,) = re.findall(r" +([\d.]+) +([\d.]+)  as it is", text)
    assert line == (f"{memory.peaks['training'] / GIB:.1f}", f"{memory.peaks['writing'] / GIB:.1f}")


def test_vllm_and_checkpointing_are_levers_where_they_are_used():
    text = advice(load_profile("paper"), "grpo_reports")
    assert "--set grpo_reports.trainer.vllm_gpu_memory_utilization=0.5" in text
    assert "--set grpo_reports.trainer.vllm_enable_sleep_mode=true" in text
    plain = load_profile("gpu-24gb", {"sft.trainer.gradient_checkpointing": False})
    assert str(levers(plain, "sft")[0]) == "--set sft.trainer.gradient_checkpointing=true"


def test_a_model_of_unknown_sizes_gets_the_rest_of_the_message(tmp_path):
    profile = load_profile("gpu-24gb", {"model.name_or_path": str(tmp_path)})
    text = advice(profile, "sft", (2544, 3056), "CUDA out of memory")
    assert "7,680 without a limit" in text
    assert "what to lower cannot be computed" in text


def test_the_largest_film_that_can_be_read_is_found(tmp_path, grounding_examples):
    large = tmp_path / "large.png"
    Image.new("L", (300, 200)).save(large)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    examples = [dataclasses.replace(grounding_examples[0], image_path=str(path)) for path in (broken, large)]
    assert largest_film([*grounding_examples, *examples]) == (300, 200)
    assert largest_film(examples[:1]) is None
    assert largest_film([]) is None
