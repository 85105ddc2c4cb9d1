"""Judgements on disk: written whole, read back, refused with their line."""

from pathlib import Path

import pytest

from radvlm_course.evaluation.judgements import JudgementError, read_judgements, write_judgements


def test_written_and_read_back(tmp_path: Path) -> None:
    lines = [{"example_id": "é", "value": 0.5, "more": [1]}, {"example_id": "b", "value": None}]
    write_judgements(lines, tmp_path / "j.jsonl")
    assert read_judgements(tmp_path / "j.jsonl") == {"é": 0.5, "b": None}
    assert [path.name for path in tmp_path.iterdir()] == ["j.jsonl"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: expected an object"),
        ("[]", "line 2: expected an object"),
        ('{"example_id": "b"}', "line 2: expected an object"),
        ('{"example_id": "b", "value": "high"}', "line 2: expected a text and a number or null"),
        ('{"example_id": "b", "value": true}', "line 2: expected a text and a number or null"),
        ('{"example_id": 3, "value": 1}', "line 2: expected a text"),
        ('{"example_id": "b", "value": NaN}', "line 2: expected a finite number"),
        ('{"example_id": "a", "value": 1}', "line 2: example 'a' was judged before"),
    ],
    ids=range(8),
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text('{"example_id": "a", "value": 1}\n' + line + "\n")
    with pytest.raises(JudgementError, match=message):
        read_judgements(path)
