"""The tiers beside each other: memory, time, cost. The numbers behind notebook 07.

Memory is computed by :mod:`radvlm_course.models.memory`, time estimated by :mod:`radvlm_course.models.compute`; both
say what they leave out. A price is yours to give: what a GPU costs an hour depends on whose it is. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radvlm_course.models.compute import Assumptions, StageTime, known_cards, stage_time
from radvlm_course.models.memory import GIB, LARGE_FILM, StageMemory, film_of, stage_memory
from radvlm_course.profile_differences import differences, shown
from radvlm_course.profiles import load_profile

__all__ = [
    "TIER_CARDS",
    "TierCost",
    "batch_table",
    "beside",
    "cost_table",
    "tier_costs",
    "token_budgets",
    "with_token_rate",
]

# The card that stands for a tier: one of its size that people have.
TIER_CARDS = {
    "gpu-12gb": "RTX 3060",
    "gpu-16gb": "RTX 4080",
    "gpu-24gb": "RTX 4090",
    "gpu-80gb": "H100 80 GB",
    "multi-gpu": "H100 80 GB",
    "paper": "GH200 96 GB",
}
STAGES = ("sft", "grpo_grounding", "grpo_reports")


@dataclass(frozen=True)
class TierCost:
    """One stage of one tier.

    Attributes:
        card: each of its GPUs. memory: peak on each GPU and its parts, in bytes. time: seconds and hours.
    """

    tier: str
    stage: str
    card: str
    memory: StageMemory
    time: StageTime


def tier_costs(
    pairs: int,
    prompts: int = 15_360,
    tiers: Sequence[str] = tuple(TIER_CARDS),
    cards: Mapping[str, str] | None = None,
    assumptions: Assumptions | None = None,
) -> list[TierCost]:
    """Every stage of every tier that has a GPU.

    Args:
        pairs: training pairs that SFT goes through.
        prompts: that GRPO goes through where it counts in epochs. How many the paper's RL on grounding had is not
            known; with the default, its ten passes over them are 300 generations, as in its RL on reports.
        cards: tier -> name in ``configs/cards.yaml``, where it is not :data:`TIER_CARDS`'.

    Raises:
        ValueError: a card that is not known; names those that are.
    """
    chosen = {**TIER_CARDS, **(cards or {})}
    if unknown := sorted({chosen[tier] for tier in tiers} - set(known_cards())):
        raise ValueError(f"no data sheet of {', '.join(unknown)}; there are {', '.join(known_cards())}")
    costs = []
    for tier in tiers:
        profile, card = load_profile(tier), known_cards()[chosen[tier]]
        for stage in STAGES:
            time = stage_time(profile, stage, card, pairs if stage == "sft" else prompts, assumptions)
            costs.append(TierCost(tier, stage, chosen[tier], stage_memory(profile, stage), time))
    return costs


def cost_table(costs: Iterable[TierCost], price_per_gpu_hour: float) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: what each stage of each tier takes.

    Raises:
        ValueError: the price is negative.
    """
    if price_per_gpu_hour < 0:
        raise ValueError(f"expected a price of at least 0, found {price_per_gpu_hour}")
    columns = ["tier", "GPUs", "stage", "GB on each", "s an update", "updates", "hours", "GPU hours", "price"]
    rows = [
        [
            f"`{cost.tier}`",
            f"{cost.time.gpus} x {cost.card}",
            cost.stage,
            f"{cost.memory.peak / GIB:.1f}",
            f"{cost.time.seconds:.3g}",
            f"{cost.time.updates:,}",
            f"{cost.time.hours:.2g}" if cost.time.hours < 10 else f"{cost.time.hours:.0f}",
            f"{cost.time.gpu_hours:.2g}" if cost.time.gpu_hours < 10 else f"{cost.time.gpu_hours:.0f}",
            f"{cost.time.gpu_hours * price_per_gpu_hour:,.0f}",
        ]
        for cost in costs
    ]
    return columns, rows


def beside(tier: str, other: str, keys: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: some settings of two tiers, and why the first is not the paper's.

    Raises:
        KeyError: a setting that the two have alike, or that neither has.
    """
    found = {row.key: row for row in differences(load_profile(tier), load_profile(other))}
    reasons = {row.key: row.reason for row in differences(load_profile(tier))}
    rows = [[key, shown(found[key].paper), shown(found[key].here), reasons.get(key, "")] for key in keys]
    return ["setting", other, tier, "why it is not the paper's"], rows


def token_budgets(tier: str, stage: str, limits: Mapping[str, int]) -> tuple[dict[str, int], dict[str, float]]:
    """What a limit of pixels does: visual tokens of a large film, and GB (2**30 bytes) on each GPU at the peak.

    Args:
        limits: name -> most pixels of a film.
    """
    profiles = {name: load_profile(tier, {"model.max_pixels": limit}) for name, limit in limits.items()}
    tokens = {name: film_of(profile, stage, LARGE_FILM).tokens for name, profile in profiles.items()}
    return tokens, {name: stage_memory(profile, stage).peak / GIB for name, profile in profiles.items()}


def batch_table(stage: str = "grpo_reports") -> tuple[list[str], list[list[str]]]:
    """Columns and rows: how each tier with GPUs cuts the completions of one update to fit its memory."""
    rows = []
    for tier in TIER_CARDS:
        profile = load_profile(tier)
        trainer, gpus = getattr(profile, stage).trainer, profile.requires.gpus
        each, micro_batches = trainer["per_device_train_batch_size"], trainer["gradient_accumulation_steps"]
        rows.append([f"`{tier}`", str(each), str(micro_batches), str(gpus), f"{each * micro_batches * gpus:,}"])
    return ["tier", "completions a micro-batch", "micro-batches", "GPUs", "completions an update"], rows


def with_token_rate(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of ``metrics.jsonl`` with ``tokens_per_second``: what ``num_tokens`` rose by, over ``step_time``.

    The first row, and one after a row without these columns, has none.
    """
    before: float | None = None
    for row in rows:
        total, seconds = row.get("num_tokens"), row.get("step_time")
        rate = {}
        if total is not None and seconds and before is not None and total >= before:
            rate = {"tokens_per_second": (total - before) / seconds}
        before = total
        yield {**row, **rate}
