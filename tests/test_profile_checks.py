"""Settings that must agree: batches with the processes, stages with the adapter."""

import pytest

from radvlm_course.profile_checks import GRPO_STAGES, check_batches, check_sharing, updates_per_generation
from radvlm_course.profiles import ProfileError, available_profiles, load_profile

PRETRAINED = [name for name in available_profiles() if load_profile(name).model.kind == "pretrained"]


@pytest.mark.parametrize("name", PRETRAINED)
@pytest.mark.parametrize("stage", GRPO_STAGES)
def test_a_generation_is_what_is_trained_on(name, stage):
    profile = load_profile(name)
    settings = getattr(profile, stage)
    trainer = settings.trainer
    completions = settings.prompts_per_step * trainer["num_generations"]
    each_update = (
        trainer["per_device_train_batch_size"] * profile.requires.gpus * trainer["gradient_accumulation_steps"]
    )
    assert each_update * updates_per_generation(trainer) == completions
    assert each_update % trainer["num_generations"] == 0


def test_the_paper_makes_four_updates_of_128_prompts_from_512():
    paper = load_profile("paper")
    for stage in GRPO_STAGES:
        trainer = getattr(paper, stage).trainer
        assert updates_per_generation(trainer) == 4
        completions = trainer["per_device_train_batch_size"] * 32 * trainer["gradient_accumulation_steps"]
        assert completions == 128 * 8
    sft = paper.sft.trainer
    assert sft["per_device_train_batch_size"] * sft["gradient_accumulation_steps"] * 32 == 512


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            {"grpo_reports.prompts_per_step": 6},
            r"gpu-24gb\.yaml.*grpo_reports generates 6 x 8 = 48 completions, and trains on 8 x 1 processes x 8 "
            r"micro-batches = 64.*steps_per_generation that fits: 6\)",
        ),
        ({"grpo_grounding.trainer.per_device_train_batch_size": 24}, "that fits: none; change the batch size"),
        ({"grpo_reports.trainer.gradient_accumulation_steps": 3}, r"\(8\) must be a multiple of .* \(3\)"),
    ],
)
def test_batches_that_do_not_fit_are_refused_with_what_would(override, message):
    with pytest.raises(ProfileError, match=message):
        load_profile("gpu-24gb", override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"grpo_reports.start": "sft_erly"}, r"grpo_reports\.start is 'sft_erly' \(did you mean sft_early"),
        (
            {"grpo_reports.start": "model"},
            r"expected a stage of base, sft, sft_early, cold_start, a folder like \./model",
        ),
        ({"grpo_grounding.tasks": ["reports"]}, r"grpo_grounding\.tasks names 'reports'.*expected some of"),
    ],
)
def test_a_start_or_a_task_that_does_not_exist_is_refused(override, message):
    with pytest.raises(ProfileError, match=message):
        load_profile("laptop", override)


@pytest.mark.parametrize("start", ["base", "sft", "sft_early", "cold_start", "./mine", "Qwen/Qwen3-VL-8B-Thinking"])
def test_a_stage_may_start_from_a_stage_a_folder_or_a_name_on_the_hub(start):
    assert load_profile("laptop", {"grpo_reports.start": start}).grpo_reports.start == start


def test_settings_written_before_a_stage_could_name_its_start_are_still_equal():
    assert {"start", "tasks"}.isdisjoint(load_profile("laptop").to_dict()["grpo_reports"])
    assert load_profile("laptop", {"grpo_reports.start": "sft"}).to_dict()["grpo_reports"]["start"] == "sft"


def test_another_number_of_processes_needs_other_batches():
    profile = load_profile("multi-gpu")
    check_batches(profile, 8, "here")
    with pytest.raises(ProfileError, match=r"here: grpo_grounding generates .* 8 x 4 processes .* that fits: 32\)"):
        check_batches(profile, 4, "here")


def test_a_stage_without_a_batch_size_of_its_own_always_fits():
    seven = load_profile("laptop", {"grpo_reports.prompts_per_step": 7})
    check_batches(seven, 1, "here")
    check_batches(seven, 2, "here")  # 56 completions, 28 in each process
    with pytest.raises(ProfileError, match=r"16 x 8 = 128 completions, which 3 processes cannot share evenly"):
        check_batches(seven, 3, "here")


@pytest.mark.parametrize(
    ("profile", "override"),
    [
        ("gpu-24gb", {"sft.freeze_vision": False}),
        ("gpu-24gb", {"model.adapter.vision": "lora"}),
        ("gpu-80gb", {"grpo_reports.freeze_vision": True}),
    ],
)
def test_the_stages_say_the_same_of_the_vision_tower_as_the_adapter(profile, override):
    with pytest.raises(ProfileError, match=r"freeze_vision is (true|false) and model\.adapter\.vision is"):
        load_profile(profile, override)


@pytest.mark.parametrize("sharing", ["fsdp", "zero2", "zero3"])
def test_muon_is_refused_where_the_optimiser_is_shared_out(sharing):
    laptop = load_profile("laptop")
    with pytest.raises(ProfileError, match=r"sft\.muon_learning_rate is set, and Muon needs whole matrices"):
        check_sharing(laptop, sharing, False, "laptop")
    check_sharing(laptop, "none", False, "laptop")


@pytest.mark.parametrize(("sharing", "refused"), [("fsdp", True), ("zero3", True), ("zero2", False)])
def test_an_early_model_is_refused_where_checkpoints_are_in_parts(sharing, refused):
    changes = {f"{stage}.muon_learning_rate": None for stage in ("sft", "cold_start")}
    laptop = load_profile("laptop", changes)
    if not refused:
        check_sharing(laptop, sharing, False, "laptop")
        return
    with pytest.raises(ProfileError, match=r"sft\.early_step is 500, .* is no model folder"):
        check_sharing(laptop, sharing, False, "laptop")
    check_sharing(load_profile("laptop", {**changes, "sft.early_step": None}), sharing, False, "laptop")


def test_a_reference_is_refused_where_one_process_reads_the_weights():
    whole = load_profile("multi-gpu")
    with pytest.raises(ProfileError, match=r"grpo_grounding has a reference model .* would be zeros"):
        check_sharing(whole, "fsdp", True, "multi-gpu")
    check_sharing(whole, "fsdp", False, "multi-gpu")
    without = {f"{stage}.trainer.beta": 0.0 for stage in ("grpo_grounding", "grpo_reports")}
    check_sharing(load_profile("multi-gpu", without), "fsdp", True, "multi-gpu")
