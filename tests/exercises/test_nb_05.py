import pytest

from radvlm_course.exercises import ExerciseError, check
from radvlm_course.exercises.nb_05 import CHECKS


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("05.1", [1.16, 0.39, -0.39, -1.16]),
        ("05.1", (1.162, 0.387, -0.387, -1.162)),
        ("05.2", 1 / 3),
        ("05.2", 0.33),
        ("05.3", "B"),
        ("05.3", " b "),
    ],
)
def test_right_answers_pass(exercise, answer, capsys):
    check(exercise, answer, strict=True)
    assert capsys.readouterr().out == f"exercise {exercise}: right\n"


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("05.1", [0.3, 0.1, -0.1, -0.3], "divide by the standard deviation"),
        ("05.1", [1.34, 0.45, -0.45, -1.34], "n - 1 = 3"),
        ("05.1", [6, 2, -2, -6], "square root"),
        ("05.1", [4.5, 1.5, -1.5, -4.5], "square root"),
        ("05.1", [-1.16, -0.39, 0.39, 1.16], "wrong way round"),
        ("05.1", [0.8, 0.6, 0.4, 0.2], "add up to zero"),
        ("05.1", [2, 1, -1, -2], "divide by 3"),
        ("05.1", [1.0], "one for each rollout"),
        ("05.1", 1.16, "four numbers"),
        ("05.2", 0.5, "stray"),
        ("05.2", 0.25, "mean IoU"),
        ("05.2", 0.4, "published"),
        ("05.2", 0.667, "half"),
        ("05.2", 0.167, "Twice"),
        ("05.2", 0.9, "Areas"),
        ("05.2", "B", "one number"),
        ("05.3", "A", "deviation|advantage is 0"),
        ("05.3", "C", "alone"),
        ("05.3", "D", "first place"),
        ("05.3", "E", "one letter"),
    ],
)
def test_typical_wrong_answers_get_their_hint(exercise, answer, hint):
    with pytest.raises(ExerciseError, match=hint):
        check(exercise, answer, strict=True)


def test_the_advantages_are_the_trainers():
    import torch

    from radvlm_course.training.grpo_math import group_advantages

    assert CHECKS["05.1"](group_advantages(torch.tensor([0.8, 0.6, 0.4, 0.2]), 4).tolist()) is None


def test_the_reward_of_two_boxes_is_the_rewards_and_the_published_one_is_recognised():
    from radvlm_course.boxes import Box
    from radvlm_course.rewards.soft_f1 import soft_f1

    written, truth = [Box(0.2, 0.2, 0.6, 0.4), Box(0.7, 0.7, 0.9, 0.9)], [Box(0.2, 0.2, 0.6, 0.6)]
    assert CHECKS["05.2"](soft_f1(written, truth)) is None
    assert "published" in (CHECKS["05.2"](soft_f1(written, truth, "published")) or "")


def test_the_strongest_push_is_the_trainers():
    import torch

    from radvlm_course.training.grpo_math import group_advantages

    groups = {"A": [0.9] * 4, "B": [0.0, 0.0, 0.0, 0.3], "C": [0.2, 0.4, 0.6, 0.8], "D": [0.7, 0.7, 0.8, 0.8]}
    best = max(groups, key=lambda name: group_advantages(torch.tensor(groups[name]), 4).max().item())
    assert CHECKS["05.3"](best) is None
