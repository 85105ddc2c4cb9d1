"""The judge of conversations: strict scores, second chances, counts, what it is shown."""

from pathlib import Path
from typing import Any

import pytest

from radvlm_course.boxes import Box
from radvlm_course.evaluation.judge import judge_question, main, parse_score
from radvlm_course.evaluation.judgements import read_judgements
from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.records import Example

EXAMPLES = [
    Example(f"study-{i}", "conversation", "a.png", f"What is in study-{i}?", "An effusion.", source="phantom")
    for i in range(4)
]
RESPONSES = ["An effusion.", "A mass.", "Nothing.", ""]


@pytest.mark.parametrize(
    ("text", "score"),
    [("Fine.\nScore: 10/10", 10), ("Score: 0/10", 0), ("<think>3/10</think> Good.\n\n Score: 7/10 \n", 7)],
)
def test_a_score_is_the_last_line(text: str, score: int) -> None:
    assert parse_score(text) == score


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Score: 11/10",
        "Score: 7.5/10",
        "Score: -1/10",
        "Score: 7",
        "7/10",
        "score: 7/10",
        "Score: 7/10.",
        "Score: 7/10\nBut I am not sure.",
        "Score: 7/100",
        "**Score: 7/10**",
        "<think>Score: 7/10",
    ],
)
def test_anything_else_is_no_score(text: str) -> None:
    with pytest.raises(AnswerRejected, match="Score: N/10"):
        parse_score(text)


def test_the_judge_sees_the_facts_the_question_and_both_answers() -> None:
    example = Example(
        *("e", "grounded_conversation", "a.png", "Where?", "At the base."),
        boxes=(Box(0.1, 0.2, 0.3, 0.4),),
        labels=("Pleural Effusion",),
    )
    system, user = judge_question(example, "At the apex.")
    assert (system["role"], user["role"]) == ("system", "user")
    for part in ("Pleural Effusion", "[0.10, 0.20, 0.30, 0.40]", "Where?", "At the base.", "At the apex."):
        assert part in user["content"]
    assert "Score: N/10" in system["content"]
    assert "None beside the expected answer" in judge_question(EXAMPLES[0], "x")[1]["content"]


def arguments(paths: tuple[Path, Path], output: Path, url: str) -> list[str]:
    files = ["--examples", str(paths[0]), "--predictions", str(paths[1]), "--output", str(output)]
    return [*files, "--url", url, "--model", "judge", "--quiet"]


def test_unreadable_judgements_get_two_more_chances_and_are_then_counted(
    endpoint: Any, written: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def behave(study: str, number: int) -> str:
        if study == "study-1":
            return "Bad.\nScore: 2/10" if number == 2 else "I think 2 of 10."
        return "Right.\nScore: 9/10" if study == "study-0" else "Hard to say."

    server, paths, output = endpoint(behave), written(EXAMPLES, RESPONSES), tmp_path / "judged"
    assert main(arguments(paths, output, server.url)) == 0
    assert read_judgements(output / "judge.jsonl") == {
        "study-0": 9,
        "study-1": 2,
        "study-2": None,
        "study-3": 0,  # no answer, not sent
    }
    assert dict(server.calls) == {"study-0": 1, "study-1": 2, "study-2": 3}
    assert "last line must be" in str(server.requests[-1]["messages"])
    assert "mean score 3.67 of 10 (n 3); 1 judgements could not be read" in capsys.readouterr().out
    assert main(arguments(paths, output, server.url)) == 0
    assert sum(server.calls.values()) == 6


def test_an_endpoint_that_is_down_leaves_nothing_half_done(
    endpoint: Any, written: Any, tmp_path: Path, language: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server = endpoint(lambda study, number: language.Reply(status=404, body=b"{}"))
    assert main(arguments(written(EXAMPLES, RESPONSES), tmp_path / "judged", server.url)) == 1
    assert "answered 404" in capsys.readouterr().err
    assert not (tmp_path / "judged" / "judge.jsonl").exists()


def test_an_address_is_needed(written: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--examples", "a", "--predictions", "b", "--output", "c", "--model", "m"])
