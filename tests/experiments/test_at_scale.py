"""Arms at the paper's size: each a valid configuration of the profile, one for one, and a command that sets it."""

from __future__ import annotations

import dataclasses
import shlex
from importlib import resources

import pytest

from radvlm_course.cli import _overrides, build_parser
from radvlm_course.experiments.arms import Arm
from radvlm_course.experiments.at_scale import EARLY, STARTING_COMMANDS, arms_at_scale, at_scale, scale_table
from radvlm_course.experiments.catalogue import EXPERIMENTS
from radvlm_course.profiles import load_profile
from radvlm_course.readiness import check_profile

EVERY = [(name, arm, found) for name, arms in arms_at_scale().items() for arm, found in arms.items()]
IDS = [f"{name}: {arm}" for name, arm, _ in EVERY]


def arm_of(name: str, arm: str) -> Arm:
    return next(each for each in EXPERIMENTS[name].arms if each.name == arm)


@pytest.fixture
def shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As launched: 32 processes that share the weights out by FSDP (the header of the profile)."""
    monkeypatch.setenv("WORLD_SIZE", "32")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")


@pytest.mark.parametrize(("name", "arm", "found"), EVERY, ids=IDS)
def test_an_arm_is_a_valid_stage_of_the_papers_profile(name, arm, found, shared_out) -> None:
    profile = load_profile("paper", found.overrides)
    settings, laptop = getattr(profile, found.stage), arm_of(name, arm)
    check_profile(profile)
    assert settings.thinking == laptop.thinking
    own = {"grpo_grounding": "abnormality_grounding", "grpo_reports": "report_generation"}[found.stage]
    assert tuple(settings.tasks or [own]) == laptop.tasks
    if laptop.thinking:
        lengths = settings.trainer["max_completion_length"], settings.trainer["vllm_max_model_length"]
        assert lengths == (4096, 8192)


@pytest.mark.parametrize("found", [found for _, _, found in EVERY], ids=IDS)
def test_the_command_sets_what_the_configuration_says(found) -> None:
    program, *arguments = shlex.split(found.command().removeprefix("python -m "))
    options = build_parser().parse_args(arguments)
    assert (program, options.command, options.profile, options.run) == (
        "radvlm_course",
        found.stage,
        "paper",
        found.run,
    )
    assert _overrides(options) == found.overrides


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_arms_of_an_experiment_have_different_runs_and_equal_trainings_the_same(name: str) -> None:
    found = arms_at_scale()[name]
    assert len({each.run for each in found.values()}) == len({each.command() for each in found.values()}) == len(found)


def test_one_run_is_one_command_in_all_experiments() -> None:
    assert len({found.run for _, _, found in EVERY}) == len({found.command() for _, _, found in EVERY})


def test_the_commands_that_leave_the_starts_are_valid_and_leave_what_the_arms_start_from(shared_out) -> None:
    left = {folder for leaves in STARTING_COMMANDS for folder in leaves.split(" and ")}
    folders = {found.overrides[f"{found.stage}.start"] for _, _, found in EVERY}
    assert {start for start in folders if start.startswith(("runs/", "models/"))} == left
    trained, converted = (build_parser().parse_args(shlex.split(command)[3:]) for command in STARTING_COMMANDS.values())
    assert (trained.command, trained.profile, trained.run) == ("cold_start", "paper", "paper")
    profile = load_profile("paper", _overrides(trained))
    assert profile.cold_start is not None
    check_profile(profile)
    assert (converted.command, converted.output) == ("convert-checkpoint", EARLY)
    assert converted.like == profile.model.name_or_path
    step = int(converted.folder.removeprefix("runs/paper/sft/checkpoint-"))
    assert step % profile.sft.trainer["save_steps"] == 0
    pairs, batch = 1_115_021, 512
    assert step / (profile.sft.trainer["num_train_epochs"] * pairs / batch) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("variant", sorted({found.variant for _, _, found in EVERY} - {""}))
def test_every_variant_is_a_configuration_for_verl(variant: str) -> None:
    assert (resources.files("radvlm_course") / "configs" / "verl" / f"{variant}.yaml").is_file()


def test_the_papers_variants_stand_where_the_laptop_has_their_counterpart() -> None:
    scale = arms_at_scale()
    rewards = {arm: found.variant for arm, found in scale["reward_choice"].items()}
    assert rewards == {
        "reward gleu": "radvlm_instruct_google_bleu",
        "reward rouge_l": "radvlm_instruct_bertscore",
        "reward fact_f1": "radvlm_instruct_radcliq",
        "reward fact_precision": "radvlm_instruct_radgraph",
    }
    matched = scale["matched_rl"]
    assert matched["reports, thinking, the general base"].variant == "qwen3vl_thinking_radcliq"
    assert matched["reports, direct, the general base"].variant == "qwen3vl_instruct_radcliq"
    assert matched["reports, thinking"].variant == "radvlm_thinking_radcliq"
    assert matched["grounding, direct"].variant == "grounding_radvlm_instruct"
    assert scale["cross_task"]["on both"].variant == ""


def test_no_arm_is_left_without_a_counterpart_unsaid() -> None:
    arm = EXPERIMENTS["cross_task"].arms[0]
    with pytest.raises(ValueError, match="starts from a stage or the general base, found 'grpo_reports'"):
        at_scale("cross_task", dataclasses.replace(arm, start="grpo_reports"))
    with pytest.raises(ValueError, match="expected a reward of gleu, soft_f1, found chexbert"):
        at_scale("cross_task", dataclasses.replace(arm, reward="chexbert"))


def test_the_table_names_every_arm_and_gives_each_command_once() -> None:
    table = scale_table()
    assert all(f"| `{name}` | {arm} | `{found.run}` |" in table for name, arm, found in EVERY)
    commands = [line for line in table.splitlines() if line.startswith("python -m")]
    assert len(commands) == len(set(commands)) == len({found.run for _, _, found in EVERY}) + len(STARTING_COMMANDS)
