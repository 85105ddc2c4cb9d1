import pytest

from radvlm_course.exercises import ExerciseError, check
from radvlm_course.exercises.nb_07 import CHECKS
from radvlm_course.models.memory import GIB
from radvlm_course.models.token_budget import film_tokens


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [("07.1", 238), ("07.1", "238"), ("07.2", 82.7), ("07.2", 83), ("07.3", "B"), ("07.3", " (b) ")],
)
def test_right_answers_pass(exercise, answer, capsys):
    check(exercise, answer, strict=True)
    assert capsys.readouterr().out == f"exercise {exercise}: right\n"


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("07.1", 256, "keeps its shape"),
        ("07.1", 952, "patches"),
        ("07.1", 5056, "without a limit"),
        ("07.1", 100, "same factor"),
        ("07.1", "x", "whole number"),
        ("07.2", 66.2, "without the reference"),
        ("07.2", 33.1, "two moments"),
        ("07.2", 88.8, "Divide by"),
        ("07.2", 1, "which five"),
        ("07.2", "x", "one number"),
        ("07.3", "A", "say less"),
        ("07.3", "C", "cut off"),
        ("07.3", "D", "shorter leash"),
        ("07.3", "E", "one letter"),
    ],
)
def test_typical_wrong_answers_get_their_hint(exercise, answer, hint):
    with pytest.raises(ExerciseError, match=hint):
        check(exercise, answer, strict=True)


def test_the_answers_are_the_courses_own():
    assert CHECKS["07.1"](film_tokens((2048, 2500), 512 * 512).tokens) is None
    assert CHECKS["07.1"](film_tokens((2048, 2500)).tokens) is not None
    assert CHECKS["07.2"](5 * 4 * 4.44e9 / GIB) is None
