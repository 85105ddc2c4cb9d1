"""Published figures with their source, and honest words about what this machine can score."""

import pytest

from radvlm_course.rewards import get_reward, weights
from radvlm_course.rewards.lab import published
from radvlm_course.rewards.lab.published import MODEL_REWARDS, PublishedRewards, PublishedTraining, ready_rewards


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """A machine without any weights."""
    from huggingface_hub import constants

    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_the_figures_name_their_source_and_machine():
    rewards, training = PublishedRewards.load(), PublishedTraining.load()
    assert "RadEval" in rewards.citation and "A100" in rewards.machine
    assert "2512.10691" in training.citation
    assert all(set(pair) == {"kind", "reference", "response", "scores"} for pair in rewards.pairs)
    assert len({frozenset(pair["scores"]) for pair in rewards.pairs}) == 1
    assert len({frozenset(run) for run in training.runs}) == 1


def test_the_figures_are_those_that_the_lab_talks_about():
    scores = PublishedRewards.load().scores()
    assert scores["flipped negation"]["BERTScore"] == 0.893
    assert scores["paraphrase"]["RadGraph"] == 0
    lengths = {run["reward"]: run["characters"] for run in PublishedTraining.load().runs}
    assert lengths["RadGraph complete"] == min(lengths.values()) == 93


def test_without_weights_the_command_sizes_and_licences_are_named(nothing):
    found = ready_rewards()
    assert found.ready == () and list(found.lacking) == list(MODEL_REWARDS)
    text = found.to_markdown()
    assert "python -m radvlm_course.rewards.weights radcliq radgraph bertscore chexbert" in text
    assert "| radgraph-xl | 416 | MIT | radgraph, radcliq |" in text
    assert "2326 MB" in text  # 416 + 1310 + 1 + 331 + 268


def test_random_weights_are_never_ready(metric_weights):
    found = ready_rewards()
    assert found.random and found.ready == ()
    assert "random" in found.to_markdown()


def test_with_weights_the_rewards_are_ready_and_can_be_built(metric_weights, monkeypatch):
    monkeypatch.setattr(published, "are_random", lambda: False)
    found = ready_rewards(["radgraph"])
    assert found.ready == ("radgraph",) and not found.lacking
    assert "Ready on this machine: radgraph" in found.to_markdown()
    get_reward("radgraph")


def test_a_missing_package_is_said(nothing, monkeypatch):
    monkeypatch.setattr(published.importlib.util, "find_spec", lambda name: None)
    found = ready_rewards(["bertscore"])
    assert found.without_packages == ("bertscore",)
    assert "extra `metrics`" in found.to_markdown()


def test_a_reward_without_weights_is_no_question():
    with pytest.raises(ValueError, match="gleu has no weights"):
        ready_rewards(["gleu"])
