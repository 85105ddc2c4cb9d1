"""The exercises of notebook 00: right answers pass, typical wrong ones get the hint that helps."""

import pytest

from radvlm_course.exercises import ExerciseError, check
from radvlm_course.exercises.nb_00 import largest_tier, missing_box, more_likely


def test_the_tier_is_limited_by_what_the_machine_has_least_of():
    assert largest_tier("gpu-16gb") is None
    assert "free disk" in largest_tier("gpu-24gb")
    assert "GPU" in largest_tier("multi-gpu")
    assert "larg" in largest_tier("laptop")


@pytest.mark.parametrize("answer", ["gpu", 3, None])
def test_an_unknown_tier_is_answered_with_the_names(answer):
    assert "laptop" in largest_tier(answer)


def test_a_missing_box_halves_no_more_than_it_should():
    assert missing_box(0.4) is None
    assert missing_box(2 * 0.6 / 3) is None
    assert "not found" in missing_box(0.6)
    assert "divides" in missing_box(0.3)
    assert "numerator" in missing_box(0.2)
    assert "put in" in missing_box(0.9)


@pytest.mark.parametrize("answer", ["0.4", float("nan"), True, [0.4]])
def test_what_is_no_number_is_no_score(answer):
    assert "number" in missing_box(answer)


def test_only_what_beats_its_own_group_becomes_more_likely():
    assert more_likely([0]) is None
    assert more_likely((0,)) is None
    assert "own mean" in more_likely([0, 1, 2, 3])
    assert "exactly the mean" in more_likely([0, 2, 3])
    assert "less than the mean" in more_likely([0, 1])
    assert "missing" in more_likely([])
    assert "positions" in more_likely([0, 9])
    assert "list" in more_likely("0")


def test_the_notebook_can_check_them_by_name(capsys):
    check("00.2", 0.4, strict=True)
    check("00.1", ...)
    assert capsys.readouterr().out.splitlines() == ["exercise 00.2: right", "exercise 00.1: no answer yet"]
    with pytest.raises(ExerciseError, match="not found"):
        check("00.2", 0.6, strict=True)
