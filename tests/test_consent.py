"""Agreement given in advance, at the keyboard, or by nobody."""

import pytest

from radvlm_course.consent import confirmed


def test_an_answer_in_advance_is_taken() -> None:
    assert confirmed("Spend it?", yes=True)


@pytest.mark.parametrize(("answer", "agrees"), [("y", True), (" YES ", True), ("", False), ("n", False), ("yo", False)])
def test_a_person_is_asked(monkeypatch: pytest.MonkeyPatch, answer: str, agrees: bool) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert confirmed("Spend it?", yes=False) is agrees


def test_where_nobody_can_answer_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(SystemExit, match=r"Spend it\? Nobody can answer here: add --yes"):
        confirmed("Spend it?", yes=False)
