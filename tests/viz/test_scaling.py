"""Pictures of memory, time and a running GRPO: bars add up, the card's end is drawn, nothing lies outside."""

from __future__ import annotations

import pytest

from radvlm_course.models.compute import StageTime
from radvlm_course.models.memory import GIB, StageMemory
from radvlm_course.scaling import tier_costs
from radvlm_course.viz.curves import CurveError
from radvlm_course.viz.scaling import draw_memory, draw_phases, draw_token_budget, watch_curves

MEMORY = StageMemory(
    "grpo_reports",
    {"weights": 4 * GIB, "adapter": GIB // 1000},
    {"training": {"logits": 2 * GIB}, "writing": {"cache": 5 * GIB}},
)


def ends(axes, row: int) -> float:
    return max(bar.get_x() + bar.get_width() for bar in axes.patches if round(bar.get_y() + 0.35) == row)


def test_a_bar_ends_at_the_peak_and_the_card_is_marked(helpers) -> None:
    figure = draw_memory({"a stage": MEMORY, "another": MEMORY}, {"a stage": 12, "another": 8}, "memory")
    axes = figure.axes[0]
    assert ends(axes, 0) == pytest.approx(MEMORY.peak / GIB)
    assert [line.get_xdata()[0] for line in axes.lines] == [12, 8]
    texts = helpers.texts(figure)
    assert {"weights", "cache", "assumed: context, allocator", "other", " card: 12 GB"} <= set(texts)
    assert "logits" not in texts  # of the smaller phase
    assert helpers.inside(figure)


def test_no_two_parts_have_the_same_colour() -> None:
    costs = tier_costs(1000)
    names = [f"{cost.tier} {cost.stage}" for cost in costs]
    memories = {name: cost.memory for name, cost in zip(names, costs, strict=True)}
    legend = draw_memory(memories, dict.fromkeys(names, 80)).axes[0].get_legend()
    colours = [handle.get_facecolor() for handle in legend.legend_handles]
    assert len(set(colours)) == len(colours) > 10


def test_phases_are_shares_with_the_seconds_in_the_name(helpers) -> None:
    time = StageTime({"training": 3.0, "writing": 1.0}, 64, 10, 1)
    figure = draw_phases({"reports": time})
    assert "reports (4 s)" in helpers.texts(figure)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.75, 0.25]
    seconds = draw_phases({"reports": time}, shares=False)
    assert ends(seconds.axes[0], 0) == pytest.approx(4.0)
    assert helpers.inside(figure) and helpers.inside(seconds)


def test_a_token_budget_shows_both_numbers(helpers) -> None:
    figure = draw_token_budget({"no limit": 7680, "512 x 512": 238}, {"no limit": 90.0, "512 x 512": 16.7}, "films")
    assert {" 7,680", " 238", " 90.0", " 16.7"} <= set(helpers.texts(figure))
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="same limits"):
        draw_token_budget({"a": 1}, {"b": 1.0})


def test_watching_shows_the_panels_that_were_logged(helpers) -> None:
    rows = [
        {"step": n, "reward": 0.1 * n, "kl": 0.01, "num_tokens": 100 * n, "step_time": 0.5, "clip_ratio/low_mean": 0.0}
        for n in range(1, 9)
    ]
    figure = watch_curves(rows, "a run")
    titles = {axes.get_title(loc="left").strip() for axes in figure.axes}
    assert titles == {
        "Reward (higher is better)",
        "KL from the starting model",
        "Tokens outside the clip (share)",
        "Tokens a second",
    }
    assert helpers.inside(figure)
    with pytest.raises(CurveError):
        watch_curves([{"step": 1, "unknown": 2.0}])


@pytest.mark.parametrize("draw", [lambda: draw_memory({}, {}), lambda: draw_phases({})])
def test_nothing_to_draw_is_an_error(draw) -> None:
    with pytest.raises(ValueError, match="at least one stage"):
        draw()
