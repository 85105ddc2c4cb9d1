"""The registry of rewards: names, lazy building, clear errors."""

import subprocess
import sys

import pytest

from radvlm_course import rewards
from radvlm_course.rewards import Reward, get_reward, register_reward, reward_names


def test_every_registered_reward_declares_the_contract(metric_weights) -> None:
    for name in set(reward_names()) - {"remote"}:  # that one is another service's reward under its own name
        reward = get_reward(name)
        low, high = reward.range
        assert reward.name == name
        assert low <= reward.empty_value <= high
        assert reward.tasks
        assert reward.judges in ("response", "completion")


def test_the_rewards_of_the_course_are_registered() -> None:
    assert set(reward_names()) >= {"soft_f1", "gleu", "bleu", "rouge_1", "rouge_2", "rouge_l", "thinking_format"}
    assert set(reward_names()) >= {"fact_precision", "fact_recall", "fact_f1"}
    assert set(reward_names()) >= {"radcliq", "radgraph", "bertscore", "chexbert"}


def test_a_remote_reward_needs_an_address_and_a_name() -> None:
    with pytest.raises(TypeError, match=r"'remote'.*url"):
        get_reward("remote")


def test_options_reach_the_reward() -> None:
    assert get_reward("soft_f1", variant="published").name == "soft_f1_published"


def test_an_unknown_name_lists_the_names_that_exist() -> None:
    with pytest.raises(ValueError, match=r"unknown reward 'blue'.*bleu, chexbert, fact_f1"):
        get_reward("blue")


def test_an_unknown_option_names_the_reward_and_the_option() -> None:
    with pytest.raises(TypeError, match=r"'gleu'.*max_len"):
        get_reward("gleu", max_len=3)


def test_a_reward_can_be_registered_and_its_name_is_then_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "_REGISTRY", dict(rewards._REGISTRY))
    register_reward("mine", "radvlm_course.rewards.soft_f1:SoftF1", variant="published")
    assert isinstance(get_reward("mine"), Reward)
    with pytest.raises(ValueError, match="'mine' is taken"):
        register_reward("mine", "somewhere:Else")
    with pytest.raises(ValueError, match=r"package\.module:attribute"):
        register_reward("other", "somewhere")


def test_listing_names_imports_no_scorer_and_no_torch() -> None:
    code = (
        "import sys; from radvlm_course.rewards import reward_names; reward_names(); "
        "print([m for m in ('torch', 'nltk', 'scipy', 'rouge_score', 'sacrebleu', 'radgraph') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
