import shutil
import statistics

import pytest
import torch
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

from radvlm_course.boxes import parse_boxes
from radvlm_course.model_settings import QuantisationSettings
from radvlm_course.models.adapters import save_trained
from radvlm_course.models.loading import load_for_training, load_model
from radvlm_course.models.vision_speed import EncodeOnceVisionModel, speed_up_vision
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.base import Reward, RewardError
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


class ShareOfDigits(Reward):
    """A reward that differs from completion to completion, whatever the model has learned."""

    name, tasks, range, empty_value = "digits", ("abnormality_grounding",), (0.0, 1.0), 0.0

    def score(self, response, example):
        return sum(map(str.isdigit, response)) / len(response)


@pytest.fixture
def digits(monkeypatch):
    import radvlm_course.training.grpo as module

    monkeypatch.setattr(module, "build_rewards", lambda choices: [("digits", ShareOfDigits())])
    return ["soft_f1"]


def trained(model):
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad and ".ref." not in name}


SGD = {**OPTIONS, "max_steps": 2, "optim": "sgd", "learning_rate": 0.5, "max_grad_norm": 1e6, "save_strategy": "no"}


@pytest.mark.parametrize(
    ("with_adapter", "freeze_vision", "options"),
    [
        (False, True, {}),
        (False, False, {}),
        (False, False, {"gradient_checkpointing": True}),
        (True, True, {"gradient_checkpointing": True}),
        (False, False, {"num_iterations": 2}),
        (False, False, {"steps_per_generation": 2, "per_device_train_batch_size": 4}),
    ],
)
def test_films_encoded_once_train_to_the_same_weights(
    warm_folder, grounding_examples, adapter_settings, digits, tmp_path, with_adapter, freeze_vision, options
):
    """Plain gradient descent, so that the weights move by the gradients themselves."""
    results = []
    for encode_once in (True, False):
        settings = adapter_settings(warm_folder, **({} if with_adapter else {"adapter": None}))
        loaded = load_for_training(warm_folder, settings, encode_once=encode_once)
        before = {name: weight.detach().clone() for name, weight in trained(loaded.model).items()}
        folder = tmp_path / str(encode_once)
        run_grpo(*loaded, grounding_examples, digits, folder, {**SGD, **options}, 0, freeze_vision=freeze_vision)
        moved = {name: weight.detach() - before[name] for name, weight in trained(loaded.model).items()}
        results.append(
            (
                {name: [row[name] for row in read_metrics(folder) if name in row] for name in ("loss", "kl", "reward")},
                moved,
            )
        )
    (metrics, moved), (plain_metrics, plain_moved) = results
    for name in metrics:
        assert metrics[name] == pytest.approx(plain_metrics[name], abs=1e-5, rel=1e-3)
    assert moved.keys() == plain_moved.keys()
    assert any("visual" in name for name in moved) == (not freeze_vision)
    assert max(change.abs().max() for change in plain_moved.values()) > 1e-4
    for name, change in plain_moved.items():
        torch.testing.assert_close(moved[name], change, atol=2e-5, rtol=1e-2, msg=name)


def test_trl_sends_a_film_with_every_completion_to_generation_reference_and_policy(
    warm_folder, grounding_examples, digits, tmp_path
):
    """What encode_once is for; two prompts with four completions each, one step."""
    loaded = load_model(warm_folder)
    seen = []
    loaded.model.model.visual.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(len(kwargs["grid_thw"])), with_kwargs=True
    )
    options = {**OPTIONS, "max_steps": 1, "beta": 0.0}
    run_grpo(*loaded, grounding_examples, digits, tmp_path, options, seed=0, freeze_vision=False)
    assert seen == [8, 8]  # the reference is a model of its own
    visual = loaded.model.model.visual
    assert (visual.images_seen, visual.images_encoded) == (16, 4)


def test_the_reference_model_encodes_once_too(warm_folder, grounding_examples, digits, tmp_path, monkeypatch):
    import radvlm_course.training.grpo as module

    sped_up = []
    monkeypatch.setattr(module, "speed_up_vision", lambda model: (speed_up_vision(model), sped_up.append(model)))
    run_grpo(*load_model(warm_folder), grounding_examples, digits, tmp_path, {**OPTIONS, "max_steps": 1}, seed=0)
    (reference,) = sped_up
    assert (reference.model.visual.images_seen, reference.model.visual.images_encoded) == (8, 2)


def test_if_no_film_arrives_twice_training_stops_after_its_first_step(
    warm_folder, grounding_examples, digits, tmp_path
):
    loaded = load_model(warm_folder)
    visual = loaded.model.model.visual

    class NeverShared(EncodeOnceVisionModel):
        def forward(self, hidden_states, grid_thw, **kwargs):
            self.images_seen += len(grid_thw)
            self.images_encoded += len(grid_thw)
            return Qwen3VLVisionModel.forward(self, hidden_states, grid_thw=grid_thw, **kwargs)

    visual.__class__ = NeverShared
    with pytest.raises(RuntimeError, match=r"16 films of the first step were encoded on their own.*TRL has changed"):
        run_grpo(*loaded, grounding_examples, digits, tmp_path, OPTIONS, seed=0)


@pytest.mark.parametrize("bits", [32, 4])
def test_an_adapter_is_trained_saved_resumed_and_loaded(
    tiny64_folder, grounding_examples, adapter_settings, digits, tmp_path, bits
):
    """From an adapter that SFT left, at GRPO's learning rate, with the reference that TRL keeps beside it."""
    from radvlm_course.training.sft import run_sft

    if bits == 4:
        pytest.importorskip("bitsandbytes")
    settings = adapter_settings(
        tiny64_folder, quantisation=QuantisationSettings(compute="float32") if bits == 4 else None
    )
    sft = load_for_training(tiny64_folder, settings)
    few = {"per_device_train_batch_size": 4, "max_steps": 2, "learning_rate": 1e-2, "save_strategy": "no"}
    few |= {"use_cpu": True, "bf16": False, "gradient_checkpointing": False, "disable_tqdm": True}
    run_sft(*sft, grounding_examples, tmp_path / "sft", few, seed=0)
    save_trained(sft.model, tmp_path / "sft" / "model")
    sft.processor.save_pretrained(tmp_path / "sft" / "model")

    options = {**OPTIONS, "learning_rate": 1e-5, "lr_scheduler_type": "constant"}
    start = load_for_training(tmp_path / "sft" / "model", settings)
    before = {name: weight.detach().clone() for name, weight in trained(start.model).items()}
    run_grpo(*start, grounding_examples, digits, tmp_path / "grpo", options, seed=0)
    after = {name: weight.detach().clone() for name, weight in trained(start.model).items()}
    rows = read_metrics(tmp_path / "grpo")
    assert rows[0]["kl"] == pytest.approx(0.0, abs=1e-6)  # the policy begins at its reference
    assert rows[-1]["kl"] != 0.0
    for name, weight in after.items():  # 0.00001 a step: in bfloat16 nothing would move
        assert weight.dtype == torch.float32
        assert (weight != before[name]).float().mean() > 0.9, name

    shutil.rmtree(tmp_path / "grpo" / "checkpoint-4")
    resumed = load_for_training(tmp_path / "sft" / "model", settings)
    run_grpo(*resumed, grounding_examples, digits, tmp_path / "grpo", options, seed=0)
    for name, weight in trained(resumed.model).items():
        torch.testing.assert_close(weight, after[name], atol=1e-7, rtol=1e-4, msg=name)

    save_trained(resumed.model, tmp_path / "grpo" / "model")
    assert not (tmp_path / "grpo" / "model" / "ref").exists()
    loaded = load_model(tmp_path / "grpo" / "model")
    ids = torch.arange(12)[None]
    resumed.model.eval()
    torch.testing.assert_close(loaded.model(input_ids=ids).logits, resumed.model(input_ids=ids).logits)


def test_a_checkpoint_of_another_model_is_refused_before_anything_is_generated(
    warm_folder, tiny64_folder, grounding_examples, digits, tmp_path
):
    run_grpo(*load_model(warm_folder), grounding_examples, digits, tmp_path, {**OPTIONS, "max_steps": 2}, seed=0)
    with pytest.raises(ValueError, match="another model's"):
        run_grpo(*load_model(tiny64_folder), grounding_examples, digits, tmp_path, OPTIONS, seed=0)
    assert len(read_metrics(tmp_path)) == 2
