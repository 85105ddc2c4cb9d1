import pytest
import torch

from radvlm_course.chat import split_thought
from radvlm_course.exercises import ExerciseError, check
from radvlm_course.exercises.nb_03 import CHECKS
from radvlm_course.training.grpo_math import group_advantages


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [("03.1", "AD"), ("03.1", ["d", "A"]), ("03.1", "A, D"), ("03.2", 0.69), ("03.2", "0.691"), ("03.3", " c ")],
)
def test_right_answers_pass(exercise, answer, capsys):
    check(exercise, answer, strict=True)
    assert capsys.readouterr().out == f"exercise {exercise}: right\n"


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("03.1", "ABD", "never closes"),
        ("03.1", "ACD", "nothing follows"),
        ("03.1", "A", "last one counts"),
        ("03.1", "D", "goes on"),
        ("03.1", "E", "among A, B, C and D"),
        ("03.1", 1, "Expected letters"),
        ("03.2", 0.7, "distance from the mean"),
        ("03.2", 0.798, "n - 1"),
        ("03.2", 1.0, "cut one is in the group"),
        ("03.2", -0.691, "wrong sign"),
        ("03.2", 5, "Mean of"),
        ("03.2", "x", "one number"),
        ("03.3", "A", "measures"),
        ("03.3", "B", "denies"),
        ("03.3", "D", "doubts"),
        ("03.3", "E", "one letter"),
    ],
)
def test_typical_wrong_answers_get_their_hint(exercise, answer, hint):
    with pytest.raises(ExerciseError, match=hint):
        check(exercise, answer, strict=True)


def test_the_responses_are_those_of_the_course():
    completions = {
        "A": "<think>The right angle is blunted.</think> There is a right pleural effusion.",
        "B": "<think>The right angle is blunted. There is a right pleural effusion.",
        "C": "<think>The right angle is blunted. There is a right pleural effusion.</think>",
        "D": "<think>Clear?</think> No, blunted.</think> There is a right pleural effusion.",
    }
    assert CHECKS["03.1"]([name for name, text in completions.items() if split_thought(text, True).response]) is None


def test_the_advantage_is_the_trainers():
    advantages = group_advantages(torch.tensor([-1.0, -1.2, -0.8, -3.0], dtype=torch.float64), 4)
    assert CHECKS["03.2"](advantages[2].item()) is None
