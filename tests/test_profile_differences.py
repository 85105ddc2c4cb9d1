"""What the profiles change of the paper, and that each change has its reason."""

import dataclasses

import pytest

from radvlm_course.profile_differences import (
    Difference,
    difference_table,
    differences,
    profile_table,
    stale_reasons,
)
from radvlm_course.profiles import available_profiles, load_profile


@pytest.mark.parametrize("name", available_profiles())
def test_every_difference_from_the_paper_has_a_reason_and_no_reason_is_stale(name):
    profile = load_profile(name)
    assert [each.key for each in differences(profile) if not each.reason] == []
    assert stale_reasons(profile) == []


def test_the_paper_differs_in_nothing_from_itself():
    paper = load_profile("paper")
    assert differences(paper) == []
    assert "the paper's" in difference_table(paper)


def test_a_changed_value_shows_up_without_a_reason():
    (found,) = differences(load_profile("paper", {"grpo_reports.trainer.beta": 0.02}))
    assert found == Difference("grpo_reports.trainer.beta", 0.02, 0.01, "")


def test_a_reason_for_what_is_equal_is_stale_and_a_section_is_no_key():
    paper = load_profile("paper")
    reasons = {"grpo_*.trainer.beta": "x", "sft": "y", "sft.trainer": "z", "sft.trainer.nothing": "n"}
    changed = dataclasses.replace(load_profile("paper", {"sft.trainer.num_train_epochs": 3}), differs=reasons)
    assert stale_reasons(changed, paper) == list(reasons)
    assert [each.reason for each in differences(changed, paper)] == [""]


def test_a_section_that_one_has_and_the_other_has_not_is_one_difference():
    found = {each.key: each for each in differences(load_profile("gpu-24gb"))}
    assert found["model.adapter"].paper is None
    assert found["model.adapter"].here["rank"] == 16
    assert not [key for key in found if key.startswith("model.adapter.")]
    assert found["grpo_reports.trainer.vllm_mode"].here == "-"


def test_a_wildcard_stands_for_the_two_grpo_stages_alone():
    base = load_profile("paper", {"sft.trainer.learning_rate": 1.0, "grpo_reports.trainer.learning_rate": 2.0})
    changed = dataclasses.replace(base, differs={"grpo_*.trainer.learning_rate": "why", "*.learning_rate": "no"})
    reasons = {each.key: each.reason for each in differences(changed)}
    assert reasons == {"sft.trainer.learning_rate": "", "grpo_reports.trainer.learning_rate": "why"}
    assert stale_reasons(changed) == ["*.learning_rate"]


def test_reasons_are_not_settings_and_do_not_make_another_run():
    profile = load_profile("gpu-24gb")
    without = dataclasses.replace(profile, differs={})
    assert without == profile
    assert "differs" not in profile.to_dict()


def test_the_table_shows_what_both_grpo_stages_share_once():
    table = difference_table(load_profile("gpu-24gb"))
    assert table.count("lr_scheduler_type") == 0
    assert table.count("| grpo_*.trainer.learning_rate | 1e-05 | 1e-06 |") == 1
    assert "grpo_reports.trainer.learning_rate" not in table
    assert "| grpo_reports.trainer.max_completion_length | 256 | 1024 |" in table


def test_the_overview_has_a_row_for_each_profile():
    table = profile_table({name: load_profile(name) for name in available_profiles()})
    rows = {line.split("|")[1].strip(" `"): line for line in table.splitlines()[2:]}
    assert set(rows) == set(available_profiles())
    assert "| Qwen3-VL-8B-Instruct | nf4 | LoRA, rank 16 | bfloat16, frozen |" in rows["gpu-24gb"]
    assert "| 512 pairs, lr 1e-05, 2 epochs |" in rows["paper"]
    assert "vLLM, colocate" in rows["paper"]
    assert "451,584, SFT 262,144" in rows["paper"]


def test_the_table_in_the_docs_is_what_the_command_prints():
    from pathlib import Path

    from radvlm_course.doctor import load_tiers

    table = profile_table({tier.name: load_profile(tier.name) for tier in load_tiers()})
    assert table in (Path(__file__).parents[1] / "docs" / "tiers.md").read_text(encoding="utf-8")
