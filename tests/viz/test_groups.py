import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.viz.groups import by_spread, choose_along_change, draw_changes, draw_group_spread, groups_of


@pytest.fixture
def groups(helpers):
    def one(name, rewards, step=1):
        return helpers.group(["text"] * len(rewards), rewards, [0.0] * len(rewards), step, name)

    return [one("equal", [0.5, 0.5, 0.5]), one("wide", [0.0, 0.5, 1.0]), one("narrow", [0.4, 0.5, 0.6], 2)]


def test_rollouts_fall_into_their_groups(groups):
    mixed = [rollout for rollouts in zip(*groups, strict=True) for rollout in rollouts]
    assert sorted(groups_of(mixed), key=str) == sorted(groups, key=str)
    assert [group[0].example_id for group in groups_of(mixed, step=2)] == ["narrow"]


def test_groups_are_ordered_by_spread(groups):
    assert [group[0].example_id for group in by_spread(groups)] == ["wide", "narrow", "equal"]


def test_the_picture_counts_groups_without_spread(groups, helpers):
    figure = draw_group_spread(groups, "A step")
    texts = helpers.texts(figure)
    assert "3 groups, 1 without spread" in texts
    assert "deviation 0.50" in texts and "deviation 0.10" in texts and "deviation 0.00" in texts
    assert helpers.inside(figure)


def test_no_group_is_no_picture():
    with pytest.raises(ValueError, match="at least one group"):
        draw_group_spread([])


def test_changes_are_counted_and_averaged(helpers):
    figure = draw_changes([0.1, 0.5, 0.3, 0.0], [0.4, 0.4, 0.3, 0.2], "soft-F1", ("SFT", "GRPO"))
    left, right = figure.axes
    assert left.get_title(loc="left") == "2 better, 1 worse, 1 equal"
    assert right.get_title(loc="left") == "mean change +0.100 (dotted)"
    assert [bar.get_height() for bar in right.patches] == pytest.approx([0.3, 0.2, 0.0, -0.1])
    assert left.get_xlabel() == "soft-F1, SFT"
    assert helpers.inside(figure)


def test_no_change_at_all_can_be_drawn(helpers):
    figure = draw_changes([0.2, 0.2], [0.2, 0.2])
    assert figure.axes[0].get_title(loc="left") == "0 better, 0 worse, 2 equal"
    assert helpers.inside(figure)


@pytest.mark.parametrize("scores", [([], []), ([0.1], [0.1, 0.2])])
def test_scores_must_come_in_pairs(scores):
    for function in (draw_changes, choose_along_change):
        with pytest.raises(ValueError, match="same examples"):
            function(*scores)


def test_a_choice_needs_a_count():
    with pytest.raises(ValueError, match="count"):
        choose_along_change([0.1], [0.2], 0)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30),
    st.integers(min_value=1, max_value=6),
)
def test_a_choice_holds_both_ends_without_repeats_from_gain_to_loss(pairs, count):
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    chosen = choose_along_change(before, after, count)
    changes = np.subtract(after, before)
    assert len(chosen) == len(set(chosen)) == min(count, len(pairs))
    assert changes[chosen[0]] == changes.max()
    if len(chosen) > 1:
        assert changes[chosen[-1]] == changes.min()
    assert (np.diff(changes[chosen]) <= 0).all()
