import math

import pytest

from radvlm_course.training.toy_policy import train_toy_policy

REWARDS = [0.60, 0.81, 0.08, 0.0]


def test_small_steps_find_the_best_answer_with_every_seed():
    for seed in range(10):
        end = train_toy_policy(REWARDS, seed=seed).probabilities[-1]
        assert end[1] > 0.9


def test_probabilities_begin_as_given_and_always_sum_to_one():
    run = train_toy_policy(REWARDS, steps=5, start=[4, 2, 1, 1])
    assert run.probabilities[0] == pytest.approx((0.5, 0.25, 0.125, 0.125))
    assert len(run.probabilities) == 6 and len(run.rewards) == 5
    for row in run.probabilities:
        assert sum(row) == pytest.approx(1)


def test_a_heavier_leash_keeps_the_policy_nearer_to_its_start():
    ends = [train_toy_policy(REWARDS, kl_weight=weight).probabilities[-1][1] for weight in (0.01, 0.5, 2.0)]
    assert ends[0] > ends[1] > ends[2] > 0.25


def test_equal_rewards_teach_nothing():
    run = train_toy_policy([0.5, 0.5, 0.5], steps=10)
    assert run.groups_without_spread == 10
    assert run.probabilities[-1] == pytest.approx(run.probabilities[0], abs=1e-9)


def test_leaps_can_lock_the_policy_in_where_small_steps_do_not():
    common = {"group_size": 4, "start": [0.4, 0.15, 0.25, 0.2]}
    small = [train_toy_policy(REWARDS, seed=seed, **common).probabilities[-1][1] > 0.5 for seed in range(20)]
    leaps = [train_toy_policy(REWARDS, learning_rate=10, seed=seed, **common) for seed in range(20)]
    assert all(small)
    assert 0 < sum(run.probabilities[-1][1] > 0.5 for run in leaps) < 20


def test_one_step_is_the_gradient_of_the_loss_by_hand():
    # Two answers, both sampled equally likely; a group with one success: the step is lr * mean(A * (1[a] - p)).
    options = {"steps": 1, "group_size": 2, "learning_rate": 1.0, "kl_weight": 0.0}
    runs = (train_toy_policy([1.0, 0.0], seed=seed, **options) for seed in range(20))
    run = next(run for run in runs if not run.groups_without_spread)  # both answers were drawn
    advantage = 0.5 / (0.5**0.5 + 1e-4)
    shift = advantage * 0.5  # logit 0 goes up and logit 1 down by half of it each: (A*0.5 + A*0.5) / 2 tokens
    assert run.probabilities[1][0] == pytest.approx(1 / (1 + math.exp(-2 * shift)), abs=1e-6)


def test_the_same_seed_gives_the_same_run():
    assert train_toy_policy(REWARDS, seed=3) == train_toy_policy(REWARDS, seed=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rewards": [1.0]}, "at least 2 answers"),
        ({"rewards": REWARDS, "start": [1, 1]}, "4 probabilities above 0"),
        ({"rewards": REWARDS, "start": [1, 1, 1, 0]}, "above 0"),
    ],
)
def test_what_cannot_be_trained_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        train_toy_policy(**options)
