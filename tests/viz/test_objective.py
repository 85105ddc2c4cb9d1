import numpy as np
import pytest

from radvlm_course.boxes import Box
from radvlm_course.training.toy_policy import train_toy_policy
from radvlm_course.viz.objective import draw_clipped_objective, draw_kl_leash, draw_toy_runs
from radvlm_course.viz.reward_slope import draw_offset_maps, draw_reward_slope


def line(axes, label):
    found = next(one for one in axes.lines if one.get_label() == label)
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def test_the_clip_is_flat_above_for_good_and_below_for_bad_tokens(helpers):
    figure = draw_clipped_objective(0.20, 0.28)
    ratios, good = line(figure.axes[0], "with clip")
    assert good[ratios > 1.28] == pytest.approx(1.28)
    assert good[ratios < 1.28] == pytest.approx(ratios[ratios < 1.28])
    ratios, bad = line(figure.axes[1], "with clip")
    assert bad[ratios < 0.8] == pytest.approx(-0.8)
    assert bad[ratios > 0.8] == pytest.approx(-ratios[ratios > 0.8])
    assert helpers.inside(figure)


def test_a_ceiling_makes_a_second_flat_part_for_bad_tokens():
    figure = draw_clipped_objective(delta=3.0, highest=4.0)
    ratios, bad = line(figure.axes[1], "with clip")
    assert bad[ratios > 3.01] == pytest.approx(-3.0)
    assert sum(patch.get_label() == "no gradient: far enough" for patch in figure.axes[1].patches) == 1
    assert len(figure.axes[1].patches) == 2


def test_k3_is_zero_at_agreement_and_never_negative(helpers):
    figure = draw_kl_leash()
    ratios, values = line(figure.axes[0], "k3")
    assert values.min() >= 0
    assert values[np.abs(np.log(ratios)).argmin()] == pytest.approx(0, abs=1e-4)
    assert values[0] == pytest.approx(5 - np.log(5) - 1)  # the policy makes it five times less likely
    assert helpers.inside(figure)


def test_the_true_kl_is_written_and_k3_scatters_less():
    figure = draw_kl_leash(probability=0.3)
    expected = 0.3 * np.log(2) + 0.7 * np.log(0.7 / 0.85)
    right = figure.axes[1]
    assert any(f"{expected:.3f}" in text.get_text() for text in right.texts)
    assert line(right, "k3")[0].std() < line(right, "plain log-ratio")[0].std()


@pytest.mark.parametrize("probability", [0.0, 1.0, 1.5])
def test_a_probability_must_be_one(probability):
    with pytest.raises(ValueError, match="within"):
        draw_kl_leash(probability)


def test_toy_runs_get_a_panel_each_and_a_line_an_answer(helpers):
    runs = {"one": train_toy_policy([0.1, 0.9], steps=5), "two": train_toy_policy([0.9, 0.1], steps=5)}
    figure = draw_toy_runs(runs, ["first", "second"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two"]
    assert all(len(axes.lines) == 2 for axes in figure.axes)
    assert {"first", "second"} <= set(helpers.texts(figure))
    assert helpers.inside(figure)


def test_toy_runs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least one run"):
        draw_toy_runs({}, ["a"])
    with pytest.raises(ValueError, match="'one' has 2 answers"):
        draw_toy_runs({"one": train_toy_policy([0.1, 0.9], steps=1)}, ["a"])


def test_the_reward_falls_smoothly_where_hit_or_miss_jumps(helpers):
    figure = draw_reward_slope(Box(0.10, 0.40, 0.50, 0.60))
    shifts, soft = line(figure.axes[0], "soft-F1")
    assert soft == pytest.approx((1 - shifts) / (1 + shifts))
    assert (np.diff(soft) < 0).all()
    hits = line(figure.axes[0], "hit or miss at IoU 0.5")[1]
    assert set(hits) == {0.0, 1.0}
    assert line(figure.axes[0], "soft-F1, published code")[1] == pytest.approx(1 - shifts)
    assert helpers.inside(figure)


def test_a_box_without_room_to_slide_is_refused():
    with pytest.raises(ValueError, match="room"):
        draw_reward_slope(Box(0.4, 0.4, 0.9, 0.6))


def test_the_offset_maps_are_a_hill_under_soft_f1_and_a_plateau_under_map():
    figure = draw_offset_maps(Box(0.4, 0.4, 0.6, 0.6), points=21)
    maps = [axes.images[0].get_array() for axes in figure.axes[:3]]
    for values in maps:
        assert values.shape == (21, 21) and values[10, 10] == 1 and values[0, 0] == 0
    assert maps[0][10, 15] == pytest.approx(1 / 3)  # half a width beside: 0.5 shared of 1.5 covered
    assert maps[1][10, 15] == pytest.approx(1 / 2)  # the published formula: 2 x 1/3 / (1 + 1/3)
    assert len(np.unique(maps[0])) > 20 and set(np.unique(maps[2])) == {0.0, 1.0}
    with pytest.raises(ValueError, match="room for one more box on every side"):
        draw_offset_maps(Box(0.1, 0.4, 0.5, 0.6))
