import pytest

from radvlm_course.exercises import ExerciseError, check
from radvlm_course.exercises.nb_04 import CHECKS, RANKED_REFERENCE, RANKED_REPORTS
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward


def asked(report):
    return Example("toy", "report_generation", "", "Write a report.", report)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("04.1", 0.4),
        ("04.1", "0.40"),
        ("04.2", "BCAD"),
        ("04.2", ["B", "C", "A", "D"]),
        ("04.2", "b, c, a, d"),
        ("04.3", 0.193),
        ("04.3", 0.19),
    ],
)
def test_right_answers_pass(exercise, answer, capsys):
    check(exercise, answer, strict=True)
    assert capsys.readouterr().out == f"exercise {exercise}: right\n"


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("04.1", 0.667, "larger total"),
        ("04.1", 0.75, "single words only"),
        ("04.1", 0.3, "run of two"),
        ("04.1", 0.5, "word in between"),
        ("04.1", 0.25, "sum"),
        ("04.1", 0.9, "in the response"),
        ("04.1", "a lot", "one number"),
        ("04.2", "ABCD", "other words"),
        ("04.2", "CBAD", "one word"),
        ("04.2", "BCDA", "full stop"),
        ("04.2", "DBCA", "full stop"),
        ("04.2", "BCA", "each of the letters"),
        ("04.2", 3, "each of the letters"),
        ("04.3", 0.693, "plain log-ratio"),
        ("04.3", -0.693, "exp"),
        ("04.3", 0.307, "other way round"),
        ("04.3", 0.00193, "weight 0.01"),
        ("04.3", -0.807, "sign"),
        ("04.3", 5, "natural logarithm"),
        ("04.3", [], "one number"),
    ],
)
def test_typical_wrong_answers_get_their_hint(exercise, answer, hint):
    with pytest.raises(ExerciseError, match=hint):
        check(exercise, answer, strict=True)


def test_the_answer_by_hand_is_the_rewards():
    value = get_reward("gleu")(["No effusion."], [asked("No pleural effusion.")])[0]
    assert CHECKS["04.1"](value) is None


def test_the_ranking_is_the_rewards():
    values = get_reward("gleu")(list(RANKED_REPORTS.values()), [asked(RANKED_REFERENCE)] * 4)
    ranked = sorted(RANKED_REPORTS, key=dict(zip(RANKED_REPORTS, values, strict=True)).get, reverse=True)
    assert CHECKS["04.2"](ranked) is None


def test_the_k3_is_the_trainers():
    import torch

    from radvlm_course.training.grpo_math import k3_kl

    assert CHECKS["04.3"](k3_kl(torch.tensor([0.5]).log(), torch.tensor([0.25]).log()).item()) is None
