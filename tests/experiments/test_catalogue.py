"""The experiments are whole: every question compares things that the experiment has."""

from __future__ import annotations

import dataclasses

import pytest

from radvlm_course.experiments.arms import GENERAL_BASE
from radvlm_course.experiments.catalogue import EXPERIMENTS
from radvlm_course.experiments.running import start_names
from radvlm_course.rewards import reward_names
from radvlm_course.rewards.choices import read_choices
from radvlm_course.stages import STAGE_ORDER


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_every_question_is_about_an_arm_or_a_start_of_the_experiment(name: str) -> None:
    experiment = EXPERIMENTS[name]
    arms = {arm.name for arm in experiment.arms}
    starts = {arm.start for arm in experiment.arms}
    assert len(arms) == len(experiment.arms)
    assert len({arm.folder_name(0, 1) for arm in experiment.arms}) == len(arms)
    for question in experiment.questions:
        for side in (question.before, question.after):
            assert side in arms or side.removeprefix("start: ").removesuffix(", thinking") in starts
    assert {start for start, _ in start_names(experiment)} <= starts


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_rewards_and_starts_exist(name: str) -> None:
    for arm in EXPERIMENTS[name].arms:
        assert arm.start in (*STAGE_ORDER, "sft_early", GENERAL_BASE)
        assert {choice.name for choice in read_choices(arm.reward)} <= set(reward_names())


def test_the_domain_models_arms_of_matched_rl_are_those_of_thinking() -> None:
    matched = {arm.folder_name(0, 25): arm for arm in EXPERIMENTS["matched_rl"].arms}
    thinking = {arm.folder_name(0, 25): arm for arm in EXPERIMENTS["thinking"].arms}
    assert matched.items() >= thinking.items()
    rest = [arm for name, arm in matched.items() if name not in thinking]
    assert {arm.start for arm in rest} == {GENERAL_BASE}
    as_domain = [dataclasses.replace(arm, start="cold_start", name="") for arm in rest]
    assert as_domain == [dataclasses.replace(arm, name="") for arm in thinking.values()]


def test_arms_with_and_without_thoughts_differ_in_nothing_that_earns() -> None:
    arms = {arm.name: arm for arm in EXPERIMENTS["thinking"].arms}
    for task in ("grounding", "reports"):
        direct, thinking = arms[f"{task}, direct"], arms[f"{task}, thinking"]
        assert (direct.start, direct.tasks) == (thinking.start, thinking.tasks)
        assert set(thinking.trainer) == {"max_completion_length"} and not direct.trainer
        earning = {choice.name: choice.weight for choice in read_choices(thinking.reward) if choice.weight}
        assert earning == {choice.name: choice.weight for choice in read_choices(direct.reward)}
