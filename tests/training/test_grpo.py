import statistics

import pytest
import torch

from radvlm_course.boxes import parse_boxes
from radvlm_course.models.loading import load_model
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.base import RewardError
from radvlm_course.runs import read_metrics, read_rollouts
from radvlm_course.training.grpo import run_grpo
from radvlm_course.training.sft import run_sft

OPTIONS = {
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "max_steps": 4,
    "learning_rate": 1e-4,
    "beta": 0.01,
    "epsilon": 0.2,
    "epsilon_high": 0.28,
    "temperature": 1.0,
    "max_completion_length": 24,
    "logging_steps": 1,
    "save_steps": 2,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
}


@pytest.fixture(scope="module")
def warm_folder(tiny_folder, grounding_examples, tmp_path_factory):
    """A model that has learned to write boxes, so that rewards differ within a group."""
    folder = tmp_path_factory.mktemp("warm")
    loaded = load_model(tiny_folder)
    sft = {"per_device_train_batch_size": 8, "max_steps": 150, "learning_rate": 1e-2, "use_cpu": True, "bf16": False}
    sft |= {"gradient_checkpointing": False, "disable_tqdm": True, "save_strategy": "no"}
    run_sft(*loaded, grounding_examples, folder, sft, seed=0)
    loaded.model.save_pretrained(folder)
    loaded.processor.save_pretrained(folder)
    return folder


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_rollouts_on_disk_carry_their_example_their_reward_and_trls_advantage(
    warm_folder, grounding_examples, tmp_path
):
    run_grpo(*load_model(warm_folder), grounding_examples, ["soft_f1"], tmp_path, OPTIONS, seed=0)
    rollouts = read_rollouts(tmp_path)
    assert len(rollouts) == 4 * 8
    by_id = {example.id: example for example in grounding_examples}
    reward = get_reward("soft_f1")
    groups = {}
    for rollout in rollouts:
        expected = reward([rollout.completion], [by_id[rollout.example_id]])[0]
        assert rollout.reward == pytest.approx(expected, abs=1e-6)
        groups.setdefault((rollout.step, rollout.example_id), []).append(rollout)
    assert any(parse_boxes(rollout.completion) for rollout in rollouts)
    for group in groups.values():
        assert len(group) == 4
        rewards = [rollout.reward for rollout in group]
        spread = statistics.stdev(rewards)
        for rollout in group:
            expected = (rollout.reward - statistics.mean(rewards)) / (spread + 1e-4)
            assert rollout.advantage == pytest.approx(expected, abs=1e-3)


def test_metrics_name_reward_kl_and_the_share_of_groups_without_spread(warm_folder, grounding_examples, tmp_path):
    run_grpo(*load_model(warm_folder), grounding_examples, ["soft_f1"], tmp_path, OPTIONS, seed=0)
    metrics = read_metrics(tmp_path)
    assert [row["step"] for row in metrics] == [1, 2, 3, 4]
    for name in ("reward", "reward_std", "frac_reward_zero_std", "kl", "completions/mean_length", "entropy", "loss"):
        assert all(isinstance(row[name], float) for row in metrics), name


def test_a_killed_run_resumes_to_the_same_weights(warm_folder, grounding_examples, tmp_path):
    first_half = load_model(warm_folder)
    run_grpo(
        *first_half, grounding_examples, ["soft_f1"], tmp_path / "cut", {**OPTIONS, "lr_scheduler_type": "constant"}, 0
    )
    import shutil

    shutil.rmtree(tmp_path / "cut" / "checkpoint-4")
    resumed = load_model(warm_folder)
    run_grpo(
        *resumed, grounding_examples, ["soft_f1"], tmp_path / "cut", {**OPTIONS, "lr_scheduler_type": "constant"}, 0
    )
    torch.testing.assert_close(weights(resumed.model), weights(first_half.model), atol=1e-5, rtol=1e-4)


def test_several_rewards_are_weighted_summed_and_logged_each(warm_folder, grounding_examples, tmp_path):
    weights = {"soft_f1": 1.0, "soft_f1_published": 0.25, "thinking_format": 2.0}
    options = {**OPTIONS, "max_steps": 2}
    run_grpo(*load_model(warm_folder), grounding_examples, weights, tmp_path, options, seed=0)
    for row in read_metrics(tmp_path):
        parts = {name: row[f"rewards/{name}/mean"] for name in weights}
        assert row["reward"] == pytest.approx(sum(weights[name] * value for name, value in parts.items()), abs=1e-5)
        assert all(f"rewards/{name}/std" in row for name in weights)
    rollouts = read_rollouts(tmp_path, weights)
    by_id = {example.id: example for example in grounding_examples}
    for rollout in rollouts:
        for name in weights:
            assert rollout.rewards[name] == pytest.approx(
                get_reward(name)([rollout.completion], [by_id[rollout.example_id]])[0], abs=1e-6
            )
    assert any(rollout.rewards["soft_f1"] for rollout in rollouts)
    groups = {}
    for rollout in rollouts:
        groups.setdefault((rollout.step, rollout.example_id), []).append(rollout)
    for group in groups.values():
        rewards = [rollout.reward for rollout in group]
        for rollout in group:
            expected = (rollout.reward - statistics.mean(rewards)) / (statistics.stdev(rewards) + 1e-4)
            assert rollout.advantage == pytest.approx(expected, abs=1e-3)


def test_options_of_a_reward_reach_training_and_its_key_names_it_in_the_logs(warm_folder, grounding_examples, tmp_path):
    rewards = {"boxes": {"name": "soft_f1", "variant": "published", "weight": 0.5}, "soft_f1": 1.0}
    run_grpo(*load_model(warm_folder), grounding_examples, rewards, tmp_path, {**OPTIONS, "max_steps": 1}, seed=0)
    rollouts, published = read_rollouts(tmp_path, {"boxes": 0.5}), get_reward("soft_f1_published")
    by_id = {example.id: example for example in grounding_examples}
    assert any(rollout.rewards["boxes"] > rollout.rewards["soft_f1"] > 0 for rollout in rollouts)
    for rollout in rollouts:
        expected = published([rollout.completion], [by_id[rollout.example_id]])[0]
        assert rollout.rewards["boxes"] == pytest.approx(expected, abs=1e-6)


def test_an_unknown_option_is_refused_before_training(loaded, grounding_examples, tmp_path):
    with pytest.raises(ValueError, match="no option 'varient'"):
        run_grpo(*loaded, grounding_examples, {"soft_f1": {"varient": "paper"}}, tmp_path, OPTIONS, seed=0)
    assert not list(tmp_path.iterdir())


def test_no_reward_is_refused(loaded, grounding_examples, tmp_path):
    with pytest.raises(ValueError, match="at least one reward"):
        run_grpo(*loaded, grounding_examples, {}, tmp_path, OPTIONS, seed=0)


def test_completions_never_hold_an_image_token(warm_folder, grounding_examples, tmp_path):
    hot = {**OPTIONS, "temperature": 5.0, "max_steps": 2}
    run_grpo(*load_model(warm_folder), grounding_examples, ["soft_f1"], tmp_path, hot, seed=0)
    assert len(read_rollouts(tmp_path)) == 16


def test_a_reward_that_judges_none_of_the_tasks_is_refused_before_training(warm_folder, grounding_examples, tmp_path):
    with pytest.raises(RewardError, match="gleu judges report_generation"):
        run_grpo(*load_model(warm_folder), grounding_examples, ["gleu"], tmp_path, OPTIONS, seed=0)


def test_a_misspelt_reward_is_refused_with_the_known_names(warm_folder, grounding_examples, tmp_path):
    with pytest.raises(ValueError, match="soft_f1"):
        run_grpo(*load_model(warm_folder), grounding_examples, ["softf1"], tmp_path, OPTIONS, seed=0)
