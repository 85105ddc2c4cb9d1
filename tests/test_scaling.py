"""The tiers beside each other: each stage once, prices in proportion, token rates by hand."""

from __future__ import annotations

import pytest

from radvlm_course.models.compute import known_cards
from radvlm_course.models.memory import stage_memory
from radvlm_course.profiles import available_profiles, load_profile
from radvlm_course.scaling import (
    TIER_CARDS,
    batch_table,
    beside,
    cost_table,
    tier_costs,
    token_budgets,
    with_token_rate,
)


def test_every_tier_with_a_gpu_has_a_card_of_its_size() -> None:
    on_gpus = {name: load_profile(name).requires for name in available_profiles()}
    on_gpus = {name: requires for name, requires in on_gpus.items() if requires.gpus}
    assert set(TIER_CARDS) == set(on_gpus)
    for tier, card in TIER_CARDS.items():
        assert known_cards()[card].memory_gb >= on_gpus[tier].gpu_memory_gb


def test_every_stage_of_every_tier_is_there_once_and_fits_its_card() -> None:
    costs = tier_costs(10_000)
    assert len({(cost.tier, cost.stage) for cost in costs}) == len(costs) == 3 * len(TIER_CARDS)
    for cost in costs:
        assert cost.memory.peak < known_cards()[cost.card].memory_gb * 2**30


def test_the_price_is_gpu_hours_times_what_one_costs() -> None:
    costs = tier_costs(1_115_021, tiers=["gpu-24gb"])
    columns, rows = cost_table(costs, 10.0)
    row = dict(zip(columns, rows[0], strict=True))
    assert row["tier"] == "`gpu-24gb`" and row["GPUs"] == "1 x RTX 4090" and row["stage"] == "sft"
    assert row["updates"] == f"{round(1_115_021 / 64):,}"
    assert row["price"] == f"{costs[0].time.gpu_hours * 10:,.0f}"
    free = cost_table(costs, 0)[1][0]
    assert free[-1] == "0" and free[:-1] == rows[0][:-1]
    with pytest.raises(ValueError, match="at least 0"):
        cost_table(costs, -1)


def test_another_card_is_chosen_by_name_and_an_unknown_one_refused() -> None:
    slow = tier_costs(100, tiers=["gpu-24gb"], cards={"gpu-24gb": "RTX 3090"})
    assert {cost.card for cost in slow} == {"RTX 3090"}
    assert slow[0].time.seconds > tier_costs(100, tiers=["gpu-24gb"])[0].time.seconds
    with pytest.raises(ValueError, match="no data sheet of RTX 9999; there are RTX 3060"):
        tier_costs(100, tiers=["gpu-24gb"], cards={"gpu-24gb": "RTX 9999"})


def test_tokens_a_second_are_what_was_added_over_the_time_of_the_step() -> None:
    rows = [
        {"step": 1, "num_tokens": 100, "step_time": 2.0},
        {"step": 2, "num_tokens": 400, "step_time": 3.0},
        {"step": 3, "reward": 0.5},
        {"step": 4, "num_tokens": 900, "step_time": 1.0},
        {"step": 5, "num_tokens": 950, "step_time": 0.5},
    ]
    rates = [row.get("tokens_per_second") for row in with_token_rate(rows)]
    assert rates == [None, 100.0, None, None, 100.0]
    assert list(with_token_rate(rows))[2] == rows[2]


def test_the_completions_of_an_update_are_those_of_the_estimate() -> None:
    columns, rows = batch_table("grpo_reports")
    found = {row[0].strip("`"): int(row[columns.index("completions an update")].replace(",", "")) for row in rows}
    assert found == {cost.tier: cost.time.examples for cost in tier_costs(1) if cost.stage == "grpo_reports"}
    assert found["paper"] == 1024


def test_grpo_that_counts_in_epochs_takes_the_prompts_and_not_the_pairs() -> None:
    found = {cost.stage: cost.time.updates for cost in tier_costs(512_000, tiers=["paper"])}
    assert found == {"sft": 2 * 1000, "grpo_grounding": 1200, "grpo_reports": 1200}  # 300 generations of 4 updates


def test_two_tiers_beside_each_other_show_values_and_the_reason() -> None:
    columns, rows = beside("gpu-24gb", "laptop", ["model.quantisation", "curate.mixture"])
    assert columns[:3] == ["setting", "laptop", "gpu-24gb"]
    assert rows[0][:2] == ["model.quantisation", "none"] and rows[0][2].startswith("kind nf4")
    assert rows[1][1:3] == ["laptop", "open_data"] and "open data" in rows[1][3]
    with pytest.raises(KeyError, match="seed"):
        beside("gpu-24gb", "laptop", ["seed"])


def test_a_token_budget_has_the_tokens_of_a_large_film_and_the_memory_of_the_stage() -> None:
    tokens, memory = token_budgets("gpu-24gb", "grpo_reports", {"none": 4096 * 4096, "512": 512 * 512})
    assert tokens == {"none": 7680, "512": 238}
    unchanged = stage_memory(load_profile("gpu-24gb"), "grpo_reports").peak / 2**30  # its limit is 512 x 512
    assert memory["512"] == unchanged < memory["none"]
