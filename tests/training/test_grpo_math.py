"""GRPO by hand: values computed on paper, then equality with the real TRL trainer on the same numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from radvlm_course.training.grpo_math import (
    aggregate,
    clipped_objective,
    group_advantages,
    grpo_loss,
    k3_kl,
    token_entropies,
    token_log_probs,
)

# --- by hand: four rollouts of one prompt ----------------------------------------------------------

REWARDS = torch.tensor([1.0, 0.0, 0.5, 0.5])  # mean 0.5; variance (0.25 + 0.25) / 3 = 1/6; deviation 0.408248


def test_advantages_are_distances_from_the_mean_in_standard_deviations() -> None:
    one = 0.5 / (math.sqrt(1 / 6) + 1e-4)  # 1.224445
    torch.testing.assert_close(group_advantages(REWARDS, 4), torch.tensor([one, -one, 0.0, 0.0]))
    torch.testing.assert_close(group_advantages(REWARDS, 4, scale="none"), torch.tensor([0.5, -0.5, 0.0, 0.0]))


def test_each_group_has_its_own_mean_and_a_group_of_equals_teaches_nothing() -> None:
    rewards = torch.tensor([0.1, 0.3, 0.7, 0.7])  # groups of two: deviation 0.141421, then 0
    half = 0.1 / (math.sqrt(0.02) + 1e-6)
    expected = torch.tensor([-half, half, 0.0, 0.0])
    torch.testing.assert_close(group_advantages(rewards, 2, epsilon=1e-6), expected)


def test_batch_scale_divides_by_the_deviation_of_all_rewards() -> None:
    rewards = torch.tensor([0.0, 1.0, 2.0, 3.0])  # deviation sqrt(5/3)
    half = 0.5 / (math.sqrt(5 / 3) + 1e-4)
    torch.testing.assert_close(group_advantages(rewards, 2, scale="batch"), torch.tensor([-half, half, -half, half]))


@pytest.mark.parametrize(
    ("rewards", "group_size"),
    [(torch.rand(6), 4), (torch.rand(4), 1), (torch.rand(2, 2), 2), (torch.tensor([]), 2), (torch.rand(4), 0)],
)
def test_rewards_that_do_not_fill_groups_are_refused(rewards: Tensor, group_size: int) -> None:
    with pytest.raises(ValueError, match="expected rewards of shape"):
        group_advantages(rewards, group_size)


def test_a_broken_reward_is_named_and_never_becomes_an_advantage() -> None:
    with pytest.raises(ValueError, match=r"completions \[1, 3\]"):
        group_advantages(torch.tensor([0.1, math.nan, 0.2, math.inf]), 4)
    with pytest.raises(ValueError, match="scale"):
        group_advantages(REWARDS, 4, scale="mean")  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4), st.floats(-2, 2), st.floats(0.5, 2))
def test_advantages_ignore_a_shift_or_a_factor_on_all_rewards_and_sum_to_zero(
    values: list[float], shift: float, factor: float
) -> None:
    rewards = torch.tensor(values, dtype=torch.float64)
    assert group_advantages(rewards, 4).sum().abs() < 1e-9
    advantages = group_advantages(rewards, 4, epsilon=1e-9)
    if rewards.std() > 1e-3:
        moved = group_advantages(rewards * factor + shift, 4, epsilon=1e-9)
        torch.testing.assert_close(moved, advantages, rtol=1e-5, atol=1e-5)


def test_log_probabilities_belong_to_the_token_that_follows() -> None:
    # vocabulary of two, logits (0, log 3): probabilities 1/4 and 3/4 at every position
    logits = torch.tensor([0.0, math.log(3)]).expand(1, 3, 2)
    ids = torch.tensor([[0, 1, 0]])
    torch.testing.assert_close(token_log_probs(logits, ids), torch.tensor([[math.log(0.75), math.log(0.25)]]))
    # temperature 1/2 doubles the logits: (0, log 9), probabilities 1/10 and 9/10
    torch.testing.assert_close(token_log_probs(logits, ids, 0.5), torch.tensor([[math.log(0.9), math.log(0.1)]]))
    with pytest.raises(ValueError, match="temperature above 0"):
        token_log_probs(logits, ids, 0)


def test_half_precision_logits_are_summed_in_single_precision() -> None:
    logits = torch.randn(1, 4, 1000, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    ids = torch.tensor([[1, 2, 3, 4]])
    torch.testing.assert_close(token_log_probs(logits, ids), token_log_probs(logits.float(), ids))


def test_entropy_is_zero_when_certain_and_the_logarithm_of_the_vocabulary_when_clueless() -> None:
    torch.testing.assert_close(token_entropies(torch.zeros(1, 3, 8)), torch.full((1, 2), math.log(8)))
    certain = torch.tensor([200.0, 0.0]).expand(1, 3, 2)
    torch.testing.assert_close(token_entropies(certain), torch.zeros(1, 2))


def test_k3_by_hand_and_never_negative() -> None:
    policy = torch.tensor([[math.log(0.5), math.log(0.5), math.log(0.2)]])
    reference = torch.tensor([[math.log(0.5), math.log(0.25), math.log(0.4)]])
    # ratios 1, 1/2, 2: exp(d) - d - 1
    expected = torch.tensor([[0.0, 0.5 + math.log(2) - 1, 2 - math.log(2) - 1]])
    torch.testing.assert_close(k3_kl(policy, reference), expected)


def test_k3_is_unbiased_over_the_policys_own_samples() -> None:
    policy, reference = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    exact = (policy * (policy / reference).log()).sum()
    torch.testing.assert_close((policy * k3_kl(policy.log(), reference.log())).sum(), exact)


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective", "gradient"),
    [
        (1.0, 2.0, 2.0, 2.0),  # first update: the plain policy gradient
        (1.2, 2.0, 2.4, 2.4),  # inside the higher upper clip of 1.28
        (1.5, 2.0, 2.56, 0.0),  # far enough: clipped, no more push
        (0.5, 2.0, 1.0, 1.0),  # a good token that became rarer is still pulled back
        (0.9, -2.0, -1.8, -1.8),
        (0.5, -2.0, -1.6, 0.0),  # a bad token is pushed down to 0.8 and no further
        (5.0, -2.0, -10.0, -10.0),  # a bad token that became likelier: unbounded without delta
    ],
)
def test_the_clipped_objective_of_one_token(ratio: float, advantage: float, objective: float, gradient: float) -> None:
    log_ratio = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    value = clipped_objective(log_ratio, torch.tensor([advantage], dtype=torch.float64))
    value.backward()
    assert log_ratio.grad is not None
    assert (value.item(), log_ratio.grad.item()) == pytest.approx((objective, gradient))


def test_delta_is_a_ceiling_for_bad_tokens_only() -> None:
    log_ratio = torch.tensor([[math.log(5.0)], [math.log(5.0)]])
    value = clipped_objective(log_ratio, torch.tensor([-2.0, 2.0]), delta=3.0)
    torch.testing.assert_close(value, torch.tensor([[-6.0], [2.56]]))
    with pytest.raises(ValueError, match="delta above"):
        clipped_objective(log_ratio, torch.tensor([-2.0, 2.0]), delta=1.1)


LOSSES = torch.tensor([[1.0, 3.0, math.nan], [6.0, math.inf, 9.0]])  # padding may hold anything
MASK = torch.tensor([[1, 1, 0], [1, 0, 0]])


def test_the_three_aggregations_of_one_ragged_batch() -> None:
    assert aggregate(LOSSES, MASK).item() == pytest.approx((1 + 3 + 6) / 3)
    assert aggregate(LOSSES, MASK, total_tokens=12).item() == pytest.approx(10 / 12)
    assert aggregate(LOSSES, MASK, "sequence_mean").item() == pytest.approx((4 / 2 + 6) / 2)
    assert aggregate(LOSSES, MASK, "fixed_length", max_length=10).item() == pytest.approx(10 / (2 * 10))


def test_a_batch_without_tokens_gives_zero_and_unknown_choices_an_error() -> None:
    for how in ("token_mean", "sequence_mean"):
        assert aggregate(LOSSES, torch.zeros_like(MASK), how).item() == 0  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_length"):
        aggregate(LOSSES, MASK, "fixed_length")
    with pytest.raises(ValueError, match="token_mean"):
        aggregate(LOSSES, MASK, "median")  # type: ignore[arg-type]


def test_the_whole_loss_of_four_rollouts_by_hand() -> None:
    # one token each, rewards as above without scaling; sampled with probability 0.2, now 0.2, 0.1, 0.3, 0.2
    old = torch.full((4, 1), math.log(0.2))
    policy = torch.tensor([[0.2], [0.1], [0.3], [0.2]]).log().requires_grad_()
    reference = torch.full((4, 1), math.log(0.1))
    advantages = group_advantages(REWARDS, 4, scale="none")  # 0.5, -0.5, 0, 0
    loss, seen = grpo_loss(policy, old, reference, advantages, torch.ones(4, 1), kl_weight=0.01)
    # objective: 1 * 0.5; ratio 0.5 clipped to 0.8 * -0.5; 0; 0
    # k3 with reference/policy of 0.5, 1, 1/3, 0.5
    k3 = [0.5 + math.log(2) - 1, 0.0, 1 / 3 + math.log(3) - 1, 0.5 + math.log(2) - 1]
    assert loss.item() == pytest.approx((-0.5 + 0.4) / 4 + 0.01 * sum(k3) / 4, abs=1e-7)
    assert seen == pytest.approx(
        {"clip_fraction": 0.25, "clip_low": 0.25, "clip_high": 0, "ratio": (1 + 0.5 + 1.5 + 1) / 4, "kl": sum(k3) / 4}
    )
    loss.backward()
    assert policy.grad is not None
    # d(-r A)/d log p = -r A; d k3 / d log p = 1 - reference/policy; a quarter of each token
    kl_gradient = [0.5, 0.0, 2 / 3, 0.5]
    expected = [(-0.5 + 0.01 * kl_gradient[0]) / 4, 0.0, 0.01 * kl_gradient[2] / 4, 0.01 * kl_gradient[3] / 4]
    assert policy.grad.flatten().tolist() == pytest.approx(expected, abs=1e-7)


def test_padding_changes_neither_loss_nor_gradient_whatever_it_holds() -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    results = []
    for filler in (0.0, 1e4, -1e4):
        logps = [-torch.rand(2, 3, generator=generator.manual_seed(seed)) for seed in range(3)]
        policy, old, reference = (
            values.masked_fill(mask == 0, filler * sign) for values, sign in zip(logps, (1, -1, 1), strict=True)
        )
        policy.requires_grad_()
        loss, _ = grpo_loss(policy, old, reference, torch.tensor([1.0, -1.0]), mask)
        results.append((loss.item(), torch.autograd.grad(loss, policy)[0]))
    for loss, gradient in results[1:]:
        assert loss == results[0][0]
        torch.testing.assert_close(gradient, results[0][1], rtol=0, atol=0)


def test_a_kl_weight_without_a_reference_is_an_error() -> None:
    ones = torch.ones(2, 1)
    with pytest.raises(ValueError, match="reference_logps"):
        grpo_loss(ones, ones, None, torch.ones(2), ones)
    assert grpo_loss(ones, ones, None, torch.ones(2), ones, kl_weight=0.0)[0].item() == -1


# --- the same numbers in TRL -----------------------------------------------------------------------

WORDS = ["<pad>", "<eos>", "<unk>", "heart", "lungs", "clear", "wide", "small", "left", "right", "no", "nodule"]
MAX_LENGTH = 6
HOW = {"bnpo": "token_mean", "dapo": "token_mean", "grpo": "sequence_mean", "dr_grpo": "fixed_length"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3 with random weights, saved, as TRL loads the reference from disk."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    path = tmp_path_factory.mktemp("tiny_qwen3")
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=words, padding_side="left", **special).save_pretrained(path)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        initializer_range=0.3,
    )
    Qwen3ForCausalLM(config).save_pretrained(path)
    return path


def known_reward(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
    """Anything that differs between completions: its value is recomputed by the test."""
    return [len(text) / 10 + text.count("lungs") - 0.3 * text.count("left") for text in completions]


def make_trainer(
    folder: Path, output: Path, trainer_class: Any = None, reward: Any = known_reward, **options: Any
) -> Any:
    from datasets import Dataset
    from transformers import AutoTokenizer, Qwen3ForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    settings_ = {
        "per_device_train_batch_size": 8,
        "num_generations": 4,
        "max_completion_length": MAX_LENGTH,
        "epsilon": 0.20,
        "epsilon_high": 0.28,
        "beta": 0.01,
        "use_bias_correction_kl": False,
        "loss_type": "bnpo",
    } | options
    args = GRPOConfig(
        output_dir=str(output),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        logging_steps=1,
        **settings_,
    )
    trainer = (trainer_class or GRPOTrainer)(
        model=Qwen3ForCausalLM.from_pretrained(folder),
        reward_funcs=[reward],
        args=args,
        train_dataset=Dataset.from_list([{"prompt": "heart wide"}, {"prompt": "no nodule left"}] * 8),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    trainer.current_gradient_accumulation_steps = args.gradient_accumulation_steps  # set by train()
    trainer.model.train()
    return trainer


def test_trls_defaults_are_those_that_the_documentation_sets_beside_the_papers(tmp_path: Path) -> None:
    from trl import GRPOConfig

    config = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False)
    documented = {
        "num_generations": 8,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "scale_rewards": "group",
        "epsilon": 0.2,
        "epsilon_high": None,
        "delta": None,
        "beta": 0.0,
        "use_bias_correction_kl": True,
        "loss_type": "dapo",
        "num_iterations": 1,
        "steps_per_generation": 1,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "linear",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "entropy_coef": 0.0,
    }
    assert {name: getattr(config, name) for name in documented} == documented


def test_weighing_the_kl_by_the_ratio_changes_the_gradient_even_on_the_first_update() -> None:
    old = torch.tensor([[-1.0, -2.0]])
    reference = torch.tensor([[-1.5, -1.0]])
    results = []
    for weighed in (False, True):
        policy = old.clone().requires_grad_()
        loss, _ = grpo_loss(policy, old, reference, torch.zeros(1), torch.ones(1, 2), weigh_kl_by_ratio=weighed)
        results.append((loss.item(), torch.autograd.grad(loss, policy)[0]))
    (plain, plain_gradient), (weighed_loss, weighed_gradient) = results
    assert plain == weighed_loss
    # plain: (1 - reference/policy) of each token; weighed: log policy - log reference; 0.01 and a mean over two tokens
    torch.testing.assert_close(plain_gradient, 0.005 * (1 - (reference - old).exp()))
    torch.testing.assert_close(weighed_gradient, 0.005 * (old - reference))


def completion_logps(model: Any, inputs: dict[str, Any], temperature: float = 1.0) -> Tensor:
    """What the reader of the notebook would write: one forward, then :func:`token_log_probs`."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
    logits = model(input_ids=ids, attention_mask=mask).logits
    return token_log_probs(logits, ids, temperature)[:, -inputs["completion_ids"].size(1) :]


def prepared_inputs(model: Any) -> dict[str, Any]:
    """Eight ragged completions with old and reference log-probabilities far enough off to clip."""
    generator = torch.Generator().manual_seed(1)
    prompt_mask = (torch.arange(4) >= torch.tensor([0, 1, 2, 3, 0, 1, 2, 3]).unsqueeze(1)).long()
    lengths = torch.tensor([6, 1, 3, 5, 2, 6, 4, 1])
    completion_mask = (torch.arange(MAX_LENGTH) < lengths.unsqueeze(1)).long()
    inputs = {
        "prompt_ids": torch.randint(3, 12, (8, 4), generator=generator) * prompt_mask,
        "prompt_mask": prompt_mask,
        "completion_ids": torch.randint(3, 12, (8, MAX_LENGTH), generator=generator) * completion_mask,
        "completion_mask": completion_mask,
        "advantages": group_advantages(torch.tensor([0.9, 0.1, 0.4, 0.4, 0.0, 1.0, 0.2, 0.7]), 4),
        "num_items_in_batch": completion_mask.sum(),
    }
    with torch.no_grad():
        now = completion_logps(model, inputs)
    inputs["old_per_token_logps"] = (now + 0.5 * torch.randn(now.shape, generator=generator)) * completion_mask
    inputs["ref_per_token_logps"] = (now + 0.5 * torch.randn(now.shape, generator=generator)) * completion_mask
    return inputs


def ours(model: Any, inputs: dict[str, Any], loss_type: str, **options: Any) -> tuple[Tensor, dict[str, float]]:
    policy = completion_logps(model, inputs, options.pop("temperature", 1.0))
    return grpo_loss(
        policy,
        inputs.get("old_per_token_logps", policy.detach()),
        inputs.get("ref_per_token_logps"),
        inputs["advantages"],
        inputs["completion_mask"],
        how=HOW[loss_type],  # type: ignore[arg-type]
        max_length=MAX_LENGTH,
        **options,
    )


def assert_same(model: Any, first: Tensor, second: Tensor) -> None:
    """Equal loss and equal gradient of every parameter, to 1e-5."""
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)
    parameters = [p for p in model.parameters() if p.requires_grad]
    pair = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in (first, second)]
    assert max(gradient.abs().max().item() for gradient in pair[0]) > 1e-3, "a gradient of 0 would prove nothing"
    for a, b in zip(*pair, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss_type", sorted(HOW))
@pytest.mark.parametrize("beta", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("weighed", [False, True], ids=["kl-plain", "kl-weighed"])
def test_loss_gradient_and_diagnostics_equal_trl(
    folder: Path, tmp_path: Path, loss_type: str, beta: float, weighed: bool
) -> None:
    trainer = make_trainer(folder, tmp_path, loss_type=loss_type, beta=beta, use_bias_correction_kl=weighed)
    inputs = prepared_inputs(trainer.model)
    theirs = trainer._compute_loss(trainer.model, inputs)
    loss, seen = ours(trainer.model, inputs, loss_type, kl_weight=beta, weigh_kl_by_ratio=weighed)
    assert_same(trainer.model, loss, theirs)
    logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    assert 0 < seen["clip_low"] < 1 and 0 < seen["clip_high"] < 1, "the numbers must exercise the clip"
    assert seen["clip_fraction"] == pytest.approx(logged["clip_ratio/region_mean"], abs=1e-6)
    assert seen["clip_low"] == pytest.approx(logged["clip_ratio/low_mean"], abs=1e-6)
    assert seen["clip_high"] == pytest.approx(logged["clip_ratio/high_mean"], abs=1e-6)
    assert seen["kl"] == pytest.approx(logged.get("kl", 0.0), abs=1e-5)
    with torch.no_grad():
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        entropies = token_entropies(trainer.model(input_ids=ids, attention_mask=mask).logits)[:, -MAX_LENGTH:]
    assert aggregate(entropies, inputs["completion_mask"]).item() == pytest.approx(logged["entropy"], abs=1e-5)


@pytest.mark.parametrize("options", [{"temperature": 0.7}, {"delta": 1.5}, {"epsilon": 0.05, "epsilon_high": 0.5}])
def test_temperature_delta_and_clip_bounds_mean_the_same_in_trl(
    folder: Path, tmp_path: Path, options: dict[str, float]
) -> None:
    trainer = make_trainer(folder, tmp_path, **options)
    inputs = prepared_inputs(trainer.model)
    mine = dict(options)
    if "epsilon" in mine:
        mine["epsilon_low"] = mine.pop("epsilon")
    loss, _ = ours(trainer.model, inputs, "bnpo", **mine)
    assert_same(trainer.model, loss, trainer._compute_loss(trainer.model, inputs))


@pytest.mark.parametrize("loss_type", sorted(HOW))
def test_two_accumulated_parts_equal_trl_and_only_dapo_equals_the_joined_batch(
    folder: Path, tmp_path: Path, loss_type: str
) -> None:
    trainer = make_trainer(
        folder, tmp_path, loss_type=loss_type, per_device_train_batch_size=4, gradient_accumulation_steps=2
    )
    inputs = prepared_inputs(trainer.model)
    halves = [
        {name: value[part] if value.dim() else value for name, value in inputs.items()}
        for part in (slice(0, 4), slice(4, 8))
    ]
    theirs = sum(trainer._compute_loss(trainer.model, half) for half in halves)
    if loss_type == "dapo":
        total = inputs["completion_mask"].sum().item()
        parts = [ours(trainer.model, half, loss_type, total_tokens=total)[0] for half in halves]
        joined, _ = ours(trainer.model, inputs, loss_type)
        assert_same(trainer.model, joined, theirs)
    else:
        parts = [ours(trainer.model, half, loss_type)[0] / 2 for half in halves]
    assert_same(trainer.model, sum(parts[1:], parts[0]), theirs)
    if loss_type == "bnpo":  # each part's token mean weighs the same, however few tokens it holds
        assert abs(ours(trainer.model, inputs, loss_type)[0].item() - theirs.item()) > 1e-4


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_advantages_equal_trl_after_real_generation(folder: Path, tmp_path: Path, scale: str) -> None:
    received: list[float] = []
    fixed = [0.9, 0.1, 0.4, 0.4, 0.25, 0.25, 0.25, 0.25]  # the second group is of equals

    def reward(completions: list[str], **_: Any) -> list[float]:
        received.extend(fixed)
        return fixed

    trainer = make_trainer(folder, tmp_path, reward=reward, scale_rewards=scale, temperature=0.7, num_iterations=2)
    inputs = trainer._generate_and_score_completions([{"prompt": "heart wide"}] * 4 + [{"prompt": "no nodule"}] * 4)
    assert received == fixed
    expected = group_advantages(torch.tensor(fixed), 4, scale=scale)  # type: ignore[arg-type]
    torch.testing.assert_close(inputs["advantages"], expected, rtol=1e-5, atol=1e-5)
    # num_iterations > 1 makes TRL keep the log-probabilities of the moment of sampling
    mask = inputs["completion_mask"]
    with torch.no_grad():
        mine = completion_logps(trainer.model, inputs, temperature=0.7) * mask
    torch.testing.assert_close(inputs["old_per_token_logps"] * mask, mine, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(inputs["ref_per_token_logps"] * mask, mine, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"loss_type": "bnpo", "num_iterations": 3},
        {"loss_type": "dapo", "num_iterations": 3, "scale_rewards": "none"},
        {"loss_type": "grpo", "num_iterations": 1, "beta": 0.0, "scale_rewards": "batch"},
        {"loss_type": "dr_grpo", "num_iterations": 1, "steps_per_generation": 4, "per_device_train_batch_size": 4},
    ],
    ids=lambda options: options["loss_type"],
)
def test_every_loss_of_a_real_training_run_equals_ours(folder: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    from trl import GRPOTrainer

    seen: list[dict[str, float]] = []

    class Compared(GRPOTrainer):
        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
            theirs = super()._compute_loss(model, inputs)
            loss, diagnostics = ours(model, inputs, self.loss_type, kl_weight=self.beta)
            assert_same(model, loss, theirs)
            seen.append(diagnostics)
            return theirs

    trainer = make_trainer(folder, tmp_path, Compared, max_steps=6, learning_rate=0.02, seed=1, **options)
    trainer.train()
    assert len(seen) == 6
    off_policy = options["num_iterations"] > 1 or "steps_per_generation" in options
    assert any(step["clip_fraction"] > 0 for step in seen) == off_policy
    if trainer.beta:
        assert seen[-1]["kl"] > 0
