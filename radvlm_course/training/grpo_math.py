"""GRPO from scratch: rewards -> advantages -> clipped objective -> loss, to be read in one sitting.

Nothing here trains a model; TRL's ``GRPOTrainer`` does that (``radvlm_course.training.grpo``). These
functions are the same arithmetic without the machinery (generation, devices, gradient accumulation),
and a test proves loss, gradient and advantages equal to TRL's to 1e-5 on the same numbers.

The recipe for one step:

1. Sample a group of completions for each prompt (paper: 8, temperature 1) and score each.
2. :func:`group_advantages`: how much better than its own group is each completion? No value network:
   the group's mean is the baseline.
3. :func:`token_log_probs`: what did the policy give each written token, now and when it was sampled?
4. :func:`clipped_objective`: push tokens of good completions up and of bad ones down, until the
   probability has moved by the clip range; then stop pushing.
5. :func:`k3_kl`: a pull back towards the reference, the checkpoint that RL started from.
6. :func:`aggregate`: one number from a ragged batch. The choice decides how much a long answer counts.

The paper's settings are the defaults: KL weight 0.01 with the k3 estimator in the loss (not in the
reward), clip 0.20 / 0.28, token-mean loss, advantages divided by the group's standard deviation.
``docs/grpo_math.md`` sets them beside verl's and TRL's.

Shapes: B = prompts * group size completions, T = tokens of the longest completion, V = vocabulary.
A completion mask is 1 on written tokens (end-of-sequence included) and 0 on padding.

Sources: GRPO: Shao et al. 2024, DeepSeekMath (arXiv 2402.03300). Higher upper clip and token-mean:
Yu et al. 2025, DAPO (arXiv 2503.14476). No division by the deviation and a fixed length: Liu et al.
2025, Dr. GRPO (arXiv 2503.20783). k3: Schulman 2020, "Approximating KL Divergence". Clipping:
Schulman et al. 2017, PPO (arXiv 1707.06347); its ceiling for bad tokens: Ye et al. 2020 (arXiv 1912.09729).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = [
    "aggregate",
    "clipped_objective",
    "group_advantages",
    "grpo_loss",
    "k3_kl",
    "token_entropies",
    "token_log_probs",
]

Scale = Literal["group", "batch", "none"]
Aggregation = Literal["token_mean", "sequence_mean", "fixed_length"]


def group_advantages(rewards: Tensor, group_size: int, scale: Scale = "group", epsilon: float = 1e-4) -> Tensor:
    """How much better each completion is than the others for the same prompt.

    Args:
        rewards: (prompts * group_size,), the completions of one prompt next to each other; higher is better.
        group_size: completions of each prompt, at least 2 (paper: 8).
        scale: divide by the standard deviation of the ``group`` (paper, DeepSeekMath), of the whole
            ``batch``, or not at all (``none``, Dr. GRPO). The deviation is the unbiased one (n - 1).
        epsilon: added to the deviation (TRL 1e-4, verl 1e-6), so that a group of equal rewards gives 0, not 0/0.

    Returns:
        (prompts * group_size,), mean 0 in each group. A group of equal rewards teaches nothing: all 0, up to rounding.

    Raises:
        ValueError: the rewards do not fill whole groups, or one of them is not finite.
    """
    if group_size < 2 or rewards.dim() != 1 or rewards.numel() == 0 or rewards.numel() % group_size:
        raise ValueError(
            f"expected rewards of shape (prompts * group_size,) with group_size >= 2, found shape "
            f"{tuple(rewards.shape)} and group_size {group_size}"
        )
    if not torch.isfinite(rewards).all():
        bad = (~torch.isfinite(rewards)).nonzero().flatten().tolist()
        raise ValueError(f"expected finite rewards, found nan or inf for completions {bad}: the reward is broken")
    if scale not in ("group", "batch", "none"):
        raise ValueError(f"expected scale 'group', 'batch' or 'none', found {scale!r}")
    groups = rewards.view(-1, group_size)  # (prompts, group_size)
    advantages = groups - groups.mean(dim=1, keepdim=True)
    if scale == "group":
        advantages = advantages / (groups.std(dim=1, keepdim=True) + epsilon)
    elif scale == "batch":
        advantages = advantages / (rewards.std() + epsilon)
    return advantages.flatten()


def token_log_probs(logits: Tensor, input_ids: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability that the model gave each token, seen from the position before it.

    Args:
        logits: (B, L, V) for prompt and completion together; ``logits[:, t]`` predicts token t + 1.
        input_ids: (B, L), the same sequences.
        temperature: the one that the completions were sampled with (paper: 1), so that it is the
            sampled distribution that is improved.

    Returns:
        (B, L - 1), natural logarithms, at most 0; entry t belongs to token t + 1. The last T entries
        are the completion's: ``token_log_probs(...)[:, -T:]``.
    """
    predictions = _log_softmax(logits[:, :-1], temperature)  # (B, L-1, V): nothing predicts after the last token
    return predictions.gather(-1, input_ids[:, 1:].unsqueeze(-1)).squeeze(-1)


def token_entropies(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Entropy in nats of each prediction, 0 (certain) to log V: (B, L, V) -> (B, L - 1), aligned as above.

    Not part of the loss (the paper gives it no weight): a gauge. If it falls to 0, the group's
    completions become equal and there is nothing left to compare.
    """
    predictions = _log_softmax(logits[:, :-1], temperature)
    return -(predictions.exp() * predictions).sum(dim=-1)


def _log_softmax(logits: Tensor, temperature: float) -> Tensor:
    if temperature <= 0:
        raise ValueError(f"expected a temperature above 0, found {temperature}")
    at_least_single = logits.to(torch.promote_types(logits.dtype, torch.float32))  # half precision is too coarse
    return torch.log_softmax(at_least_single / temperature, dim=-1)


def k3_kl(policy_logps: Tensor, reference_logps: Tensor) -> Tensor:
    """Schulman's k3 estimate of KL(policy || reference) from the sampled tokens alone.

    With d = log(reference / policy), k3 = exp(d) - d - 1: never negative, 0 where both agree, unbiased
    under the policy's own samples, and far less noisy than -d. verl calls it ``low_var_kl``.

    Args:
        policy_logps, reference_logps: (B, T).

    Returns:
        (B, T), nats, at least 0.
    """
    difference = reference_logps - policy_logps
    return difference.exp() - difference - 1


def clipped_objective(
    log_ratio: Tensor,
    advantages: Tensor,
    epsilon_low: float = 0.20,
    epsilon_high: float = 0.28,
    delta: float | None = None,
) -> Tensor:
    """PPO's clipped objective of each token, to be **maximised**: min(r A, clip(r, 1 - low, 1 + high) A).

    r is the token's probability now over its probability when sampled. Where the clipped branch is the
    smaller one the gradient is 0: the token has moved far enough. DAPO's higher upper bound lets rare
    tokens of good completions grow further than common ones may shrink.

    Args:
        log_ratio: (B, T), log-probability now minus when sampled; 0 in the first update after sampling.
        advantages: (B,), one for a whole completion, or (B, T).
        delta: ceiling of r for tokens of bad completions, which the clip leaves unbounded; verl sets 3
            ("dual clip"), TRL leaves it out by default. Must exceed 1 + epsilon_high.

    Returns:
        (B, T), no bounds below unless ``delta`` is set.
    """
    if delta is not None and delta <= 1 + epsilon_high:
        raise ValueError(f"expected delta above 1 + epsilon_high = {1 + epsilon_high}, found {delta}")
    if advantages.dim() == 1:
        advantages = advantages.unsqueeze(-1)  # (B, 1): every token of a completion shares its advantage
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - epsilon_low, 1 + epsilon_high)
    if delta is not None:
        ratio = ratio.clamp(max=delta)
    return torch.minimum(ratio * advantages, clipped * advantages)


def aggregate(
    per_token_loss: Tensor,
    completion_mask: Tensor,
    how: Aggregation = "token_mean",
    total_tokens: float | None = None,
    max_length: int | None = None,
) -> Tensor:
    """One number from a ragged batch of token losses.

    Args:
        per_token_loss, completion_mask: (B, T).
        how: ``token_mean``: every token counts the same, so long completions count more (DAPO; verl's
            default ``token-mean``; TRL's ``bnpo``, and ``dapo`` with ``total_tokens``).
            ``sequence_mean``: every completion counts the same, so a token of a long one counts less
            (DeepSeekMath; verl's ``seq-mean-token-mean``; TRL's ``grpo``).
            ``fixed_length``: token sum over B * ``max_length`` (Dr. GRPO; TRL's ``dr_grpo``).
        total_tokens: for ``token_mean``, the tokens of the whole optimiser step if this batch is only a
            part of it and the parts' losses are added up. Default: the tokens of this batch.
        max_length: for ``fixed_length``, the longest completion allowed.

    Returns:
        a scalar. A batch without a single token gives 0.
    """
    mask = completion_mask.bool()
    kept = per_token_loss.masked_fill(~mask, 0.0)  # (B, T); padding cannot leak in, not even as nan
    if how == "token_mean":
        return kept.sum() / max(total_tokens if total_tokens is not None else int(mask.sum()), 1)
    if how == "sequence_mean":
        return (kept.sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()
    if how == "fixed_length":
        if max_length is None or max_length < 1:
            raise ValueError(f"expected max_length, the longest completion allowed, found {max_length}")
        return kept.sum() / (kept.size(0) * max_length)
    raise ValueError(f"expected how 'token_mean', 'sequence_mean' or 'fixed_length', found {how!r}")


def grpo_loss(
    policy_logps: Tensor,
    old_logps: Tensor,
    reference_logps: Tensor | None,
    advantages: Tensor,
    completion_mask: Tensor,
    *,
    kl_weight: float = 0.01,
    epsilon_low: float = 0.20,
    epsilon_high: float = 0.28,
    delta: float | None = None,
    weigh_kl_by_ratio: bool = False,
    how: Aggregation = "token_mean",
    total_tokens: float | None = None,
    max_length: int | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The loss of one batch, to be minimised, and what to watch while it falls.

    Args:
        policy_logps: (B, T), with gradient. old_logps: (B, T), when sampled. reference_logps: (B, T), or
            None if ``kl_weight`` is 0. All of them from :func:`token_log_probs`, completion part.
        advantages: (B,) from :func:`group_advantages`.
        completion_mask: (B, T).
        weigh_kl_by_ratio: multiply the KL by the probability ratio. TRL does by default
            (``use_bias_correction_kl``); the paper's verl does not.
        Others: see :func:`clipped_objective` and :func:`aggregate`.

    Returns:
        (scalar loss, diagnostics). Diagnostics are means over written tokens: ``clip_fraction`` and its
        parts ``clip_low`` (bad tokens already pushed down far enough) and ``clip_high`` (good ones
        pushed up), 0 to 1; ``ratio``, near 1 while the policy is near its samples; ``kl``, the k3
        estimate in nats as it enters the loss (0 without reference).
    """
    if kl_weight and reference_logps is None:
        raise ValueError(f"expected reference_logps, as kl_weight is {kl_weight}; found None")
    padding = ~completion_mask.bool()
    log_ratio = (policy_logps - old_logps.detach()).masked_fill(padding, 0.0)  # (B, T)
    loss = -clipped_objective(log_ratio, advantages, epsilon_low, epsilon_high, delta)
    kl = torch.zeros_like(loss)
    if kl_weight and reference_logps is not None:
        kl = k3_kl(policy_logps.masked_fill(padding, 0.0), reference_logps.detach().masked_fill(padding, 0.0))
        kl = kl * log_ratio.exp() if weigh_kl_by_ratio else kl
        loss = loss + kl_weight * kl

    with torch.no_grad():
        ratio, side = log_ratio.exp(), advantages.unsqueeze(-1) if advantages.dim() == 1 else advantages
        low, high = (ratio < 1 - epsilon_low) & (side < 0), (ratio > 1 + epsilon_high) & (side > 0)
        watched = {"clip_fraction": low | high, "clip_low": low, "clip_high": high, "ratio": ratio, "kl": kl}
        diagnostics = {name: aggregate(value.float(), completion_mask).item() for name, value in watched.items()}
    return aggregate(loss, completion_mask, how, total_tokens, max_length), diagnostics
