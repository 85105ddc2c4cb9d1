import sys

import pytest

from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.base import RewardError
from radvlm_course.training.groups import make_group, quietly

GROUNDING = Example(
    "e1", "abnormality_grounding", "", "Where?", "[0.38, 0.47, 0.76, 0.62]", (Box(0.38, 0.47, 0.76, 0.62),)
)


def test_a_group_carries_rewards_and_advantages_in_order():
    group = make_group(GROUNDING, ["[0.35, 0.51, 0.75, 0.64]", "nothing"], "soft_f1", step=7)
    assert [rollout.completion for rollout in group] == ["[0.35, 0.51, 0.75, 0.64]", "nothing"]
    assert [rollout.reward for rollout in group] == pytest.approx([0.596, 0.0], abs=5e-4)
    assert group[0].rewards == {"soft_f1": group[0].reward}
    # Two rollouts: half the difference over difference / sqrt(2).
    assert [rollout.advantage for rollout in group] == pytest.approx([0.7071, -0.7071], abs=5e-4)
    assert {(rollout.step, rollout.example_id) for rollout in group} == {(7, "e1")}


def test_equal_rewards_give_zero_advantages():
    group = make_group(GROUNDING, ["[0.4, 0.4, 0.6, 0.6]"] * 4, get_reward("soft_f1"))
    assert [rollout.advantage for rollout in group] == pytest.approx([0] * 4, abs=1e-9)


def test_one_completion_is_no_group():
    with pytest.raises(ValueError, match="at least 2"):
        make_group(GROUNDING, ["[0.4, 0.4, 0.6, 0.6]"], "soft_f1")


def test_a_reward_of_another_task_is_refused():
    with pytest.raises(RewardError, match="e1"):
        make_group(GROUNDING, ["a", "b"], "gleu")


def test_quietly_swallows_output_and_lets_errors_through(capsys):
    with pytest.raises(RuntimeError, match="loud"), quietly():
        print("a log")
        print("a warning", file=sys.stderr)
        raise RuntimeError("loud")
    print("after")
    assert capsys.readouterr() == ("after\n", "")
