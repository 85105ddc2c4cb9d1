"""The exercises of notebook 02: right answers pass, typical wrong ones get the hint that helps."""

from radvlm_course.exercises import check
from radvlm_course.exercises.nb_02 import budget, dearest_digit, labels
from radvlm_course.models.token_budget import largest_max_pixels

ANSWER, END = "[0.1, 0.2, 0.3, 0.4]", "<|im_end|>"


def test_a_budget_is_an_area_in_pixels():
    assert budget(1000 * 1024) is None
    assert budget(largest_max_pixels((2544, 3056), 1000)) is None
    assert "too many" in budget(1024 * 1024)
    assert "seen better" in budget(672 * 672)
    assert "number of tokens" in budget(1000)
    assert "Expected a number" in budget("many")
    assert "Expected an area" in budget(-5)


def test_labels_are_the_answer_and_its_end():
    assert labels([-100] * 6 + [ANSWER, END]) is None
    assert "learns to stop" in labels([-100] * 6 + [ANSWER, -100])
    assert "opening marker" in labels([-100] * 5 + ["<|im_start|>assistant", ANSWER, END])
    assert "only read" in labels(["x"] * 5 + [-100, ANSWER, END])
    assert "Nothing would be learnt" in labels([-100] * 7 + [END])
    assert "the token itself" in labels([-100] * 6 + ["box", END])
    assert "8 entries" in labels([-100] * 3)


def test_the_dearest_digit_leaves_a_sliver():
    assert dearest_digit("[0.68, 0.47, 0.76, 0.62]") is None
    assert dearest_digit("[0.38, 0.47, 0.46, 0.62]") is None
    assert "hundredth" in dearest_digit("[0.38, 0.47, 0.76, 0.63]")
    assert "as low as 0.21" in dearest_digit("[0.38, 0.47, 0.76, 0.92]")
    assert "here 2 do" in dearest_digit("[0.68, 0.47, 0.76, 0.92]")
    assert "here 0 do" in dearest_digit("[0.38, 0.47, 0.76, 0.62]")
    assert "not one box" in dearest_digit("[0.98, 0.47, 0.76, 0.62]")
    assert "string" in dearest_digit(3)


def test_an_open_exercise_is_no_error(capsys):
    check("02.1", ...)
    assert "no answer yet" in capsys.readouterr().out
