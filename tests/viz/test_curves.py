import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.viz.curves import CurveError, compare_runs, grpo_curves, read_series, running_mean, sft_curves

ROWS = [
    {
        "step": step,
        "reward": step / 10,
        "reward_std": 0.2,
        "frac_reward_zero_std": 0.0,
        "kl": 0.01 * step,
        "completions/mean_length": 27.0,
        "entropy": 0.4,
        "loss": 0.001,
        "note": "text",
    }
    for step in range(1, 21)
]


def titles(figure):
    return [axes.get_title(loc="left").strip() for axes in figure.axes]


def test_a_full_log_gives_six_panels(helpers):
    figure = grpo_curves(ROWS, "A run")
    assert titles(figure) == [
        "Reward (higher is better)",
        "Spread within groups",
        "KL from the starting model",
        "Length of completions (tokens)",
        "Entropy of the policy (nats a token)",
        "Loss",
    ]
    raw, smooth = figure.axes[0].lines
    assert raw.get_ydata().tolist() == [step / 10 for step in range(1, 21)]
    assert smooth.get_linewidth() > raw.get_linewidth()
    assert helpers.inside(figure)


def test_what_was_not_logged_is_left_out():
    assert titles(grpo_curves([{"step": 1, "kl": 0.1}])) == ["KL from the starting model"]


def test_every_subset_of_keys_can_be_drawn():
    keys = [key for key in ROWS[0] if key != "step"]
    for left_out in keys:
        rows = [{key: value for key, value in row.items() if key != left_out} for row in ROWS[:4]]
        assert len(grpo_curves(rows).axes) in (5, 6)


def test_nothing_to_draw_is_an_error_that_says_what_was_logged():
    with pytest.raises(CurveError, match=r"found grad_norm"):
        grpo_curves([{"step": 1, "grad_norm": 0.3}])
    with pytest.raises(CurveError, match="no logged number at all"):
        sft_curves([])
    with pytest.raises(CurveError, match="expected a step"):
        sft_curves([{"loss": 1.0}])


def test_a_stage_folder_and_its_file_are_read_alike(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    for source in (tmp_path, str(tmp_path), tmp_path / "metrics.jsonl"):
        steps, values = read_series(source)["reward"]
        assert steps.tolist() == list(range(1, 21))
        assert values[-1] == 2.0


def test_values_that_are_no_numbers_leave_gaps():
    rows = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": None, "x": True}]
    assert read_series(rows)["loss"][0].tolist() == [1.0]
    assert "x" not in read_series(rows)


def test_components_are_shown_if_there_are_several():
    rows = [{"step": 1, "reward": 1.0, "rewards/gleu/mean": 0.5, "rewards/format/mean": 0.5}]
    names = [text.get_text() for text in grpo_curves(rows).axes[0].get_legend().get_texts()]
    assert names == ["reward", "format", "gleu"]
    rows = [{"step": 1, "reward": 1.0, "rewards/gleu/mean": 1.0}]
    assert grpo_curves(rows).axes[0].get_legend() is None


def test_sft_shows_training_and_held_out_loss(helpers):
    rows = [{"step": step, "loss": 1 / step, "learning_rate": 1e-6} for step in range(1, 30)]
    figure = sft_curves([*rows, {"step": 30, "eval_loss": 0.5}])
    assert titles(figure) == ["Loss (lower is better)", "Learning rate"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["training", "held-out"]
    rate = figure.axes[1].lines[-1].get_ydata()
    assert np.allclose(rate, 1e-6)
    assert helpers.inside(figure)


def test_runs_are_compared_in_one_panel_a_metric(helpers):
    figure = compare_runs({"first": ROWS, "second": [{"step": 1, "reward": 0.5}, {"step": 2, "reward": 0.6}]})
    assert len(figure.axes) == 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["first", "second"]
    assert helpers.inside(figure)
    with pytest.raises(CurveError, match="at least one run"):
        compare_runs({})
    with pytest.raises(CurveError, match="'a': \\['loss'\\]"):
        compare_runs({"a": [{"step": 1, "loss": 1.0}]})


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.integers(1, 50))
def test_the_running_mean_stays_between_the_extremes(values, window):
    smooth = running_mean(np.array(values), window)
    assert len(smooth) == len(values)
    assert min(values) - 1e-9 <= smooth.min()
    assert smooth.max() <= max(values) + 1e-9


def test_a_window_of_one_changes_nothing():
    assert running_mean(np.array([1.0, 5.0, 2.0]), 1) == pytest.approx([1.0, 5.0, 2.0])
    with pytest.raises(ValueError, match="at least 1"):
        running_mean(np.array([1.0]), 0)
