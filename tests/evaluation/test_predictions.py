"""The predictions file: round trips, resuming, torn and corrupt lines, doubles, a full disk."""

import errno
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.evaluation.predictions import (
    Prediction,
    PredictionError,
    PredictionWriter,
    completed_ids,
    read_predictions,
)


def prediction(identifier: str, text: str = "No effusion.", model: str = "tiny") -> Prediction:
    return Prediction.from_completion(identifier, text, model, {"temperature": 0.0, "max_new_tokens": 64}, "stop")


def write(path: Path, *identifiers: str) -> None:
    with PredictionWriter(path) as writer:
        for identifier in identifiers:
            writer.write(prediction(identifier))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "predictions.jsonl"


def test_what_is_written_is_read_back_in_order(path: Path) -> None:
    write(path, "a", "b")
    assert list(read_predictions(path)) == [prediction("a"), prediction("b")]
    assert set(json.loads(path.read_text().splitlines()[0])) == {
        *["example_id", "completion", "response", "model", "generation", "finish_reason"]
    }


@given(st.text(st.characters(exclude_categories=[])), st.none() | st.text())
def test_any_text_survives_the_line(completion: str, response: str | None) -> None:
    original = Prediction("a", completion, response, "m")
    line = original.to_line()
    assert line.count(b"\n") == 1
    assert Prediction.from_line(line) == original


def test_the_response_is_what_follows_the_thought() -> None:
    assert prediction("a", "<think>x</think> Normal.").response == "Normal."
    assert Prediction.from_completion("a", "<think>x", "m", thinking=True).response is None


def test_a_missing_file_has_no_completed_examples(path: Path) -> None:
    assert completed_ids(path) == set()


def test_every_line_is_on_disk_before_the_next_is_asked(path: Path) -> None:
    with PredictionWriter(path) as writer:
        for count, identifier in enumerate("abc", start=1):
            writer.write(prediction(identifier))
            assert path.read_bytes().count(b"\n") == count


def test_a_killed_run_resumes_after_the_last_line_without_repetition(path: Path) -> None:
    write(path, "a", "b")
    with PredictionWriter(path) as writer:
        assert writer.completed == {"a", "b"}
        writer.write(prediction("c"))
        assert writer.completed == {"a", "b", "c"}
    assert [item.example_id for item in read_predictions(path)] == ["a", "b", "c"]


@pytest.mark.parametrize("cut", [1, 10, 60, -2])
def test_a_torn_last_line_is_cut_off_with_a_warning_and_asked_again(path: Path, cut: int) -> None:
    write(path, "a", "b")
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    path.write_bytes(whole[: second + cut] if cut > 0 else whole[:cut])
    with pytest.warns(UserWarning, match="line 2 is torn"):
        assert completed_ids(path) == {"a"}
    with pytest.warns(UserWarning, match="torn"), PredictionWriter(path) as writer:
        assert writer.completed == {"a"}
        writer.write(prediction("b"))
    assert path.read_bytes() == whole


def test_a_line_torn_within_a_letter_is_cut_off(path: Path) -> None:
    write(path, "a")
    whole = path.read_bytes()
    path.write_bytes(whole + '{"example_id": "é'.encode()[:-1])
    with pytest.warns(UserWarning, match="torn"):
        PredictionWriter(path).close()
    assert path.read_bytes() == whole


def test_a_torn_first_line_leaves_an_empty_file(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"example_id": "a", "comp')
    with pytest.warns(UserWarning, match="torn"), PredictionWriter(path) as writer:
        assert writer.completed == set()
    assert path.read_bytes() == b""


def test_a_long_torn_line_is_found_beyond_one_block(path: Path) -> None:
    write(path, "a")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"completion": "' + b"x" * 200_000)
    with pytest.warns(UserWarning, match="torn"):
        PredictionWriter(path).close()
    assert path.read_bytes() == whole


def test_a_whole_last_line_without_newline_is_kept(path: Path) -> None:
    write(path, "a", "b")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with PredictionWriter(path) as writer:
        assert writer.completed == {"a", "b"}
    assert path.read_bytes() == whole


def test_a_corrupt_middle_line_is_refused_by_number_and_the_file_is_left_alone(path: Path) -> None:
    write(path, "a", "b", "c")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:30] + b"\n" + lines[2])
    before = path.read_bytes()
    for use in (completed_ids, PredictionWriter):
        with pytest.raises(PredictionError, match=r"predictions.jsonl, line 2: not a JSON line"):
            use(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"example_id": "a"}\n', "missing: completion, model, response"),
        (b'{"example_id": "a", "completion": "", "response": "", "model": "m", "score": 1}\n', "unknown: score"),
        (b'{"example_id": 7, "completion": "", "response": "", "model": "m"}\n', "example_id: expected text, found 7"),
        (b'{"example_id": "a", "completion": "", "response": 3, "model": "m"}\n', "response: expected text or null"),
        (b'["a"]\n', "expected a JSON object"),
    ],
)
def test_a_line_of_another_form_says_what_was_expected(path: Path, line: bytes, message: str) -> None:
    path.parent.mkdir()
    path.write_bytes(line)
    with pytest.raises(PredictionError, match=f"line 1: .*{message}"):
        list(read_predictions(path))


def test_an_unknown_finish_reason_is_refused() -> None:
    with pytest.raises(PredictionError, match="expected stop, length or empty, found 'eos'"):
        Prediction("a", "", "", "m", {}, "eos")


def test_doubles_foreign_examples_and_a_second_model_are_refused_by_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(prediction("a").to_line() + prediction("b").to_line() + prediction("a").to_line())
    with pytest.raises(PredictionError, match=r"line 3: example 'a' was already answered in line 1"):
        list(read_predictions(path))
    with pytest.raises(PredictionError, match=r"line 2: example 'b' is not among the 1 examples asked"):
        list(read_predictions(path, ["a"]))
    path.write_bytes(prediction("a").to_line() + prediction("b", model="other").to_line())
    with pytest.raises(PredictionError, match=r"line 2: written by model 'other'"):
        list(read_predictions(path))


def test_the_writer_refuses_doubles_foreign_examples_and_a_second_model(path: Path) -> None:
    with PredictionWriter(path, ["a", "b"]) as writer:
        writer.write(prediction("a"))
        with pytest.raises(PredictionError, match="already answered"):
            writer.write(prediction("a"))
        with pytest.raises(PredictionError, match="'x' is not among the 2 asked"):
            writer.write(prediction("x"))
        with pytest.raises(PredictionError, match="model 'tiny', found 'other'"):
            writer.write(prediction("b", model="other"))
    assert completed_ids(path) == {"a"}


class FillingDisk:
    """A file on a disk that has room for ``room`` more bytes."""

    def __init__(self, file, room: int) -> None:  # type: ignore[no-untyped-def]
        self.file, self.room = file, room

    def write(self, data: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.file.write(data[: self.room])
        self.room -= written
        return int(written)

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 25])
def test_a_full_disk_keeps_everything_before_and_says_how_to_resume(path: Path, room: int) -> None:
    write(path, "a", "b")
    whole = path.read_bytes()
    writer = PredictionWriter(path)
    writer._file = FillingDisk(writer._file, room)  # type: ignore[assignment]
    with pytest.raises(PredictionError, match=r"disk is full.*All 2 predictions before it are kept.*same command"):
        writer.write(prediction("c"))
    assert path.read_bytes() == whole
    write(path, "c")
    assert completed_ids(path) == {"a", "b", "c"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_the_real_full_device_ends_in_the_same_error(path: Path) -> None:
    writer = PredictionWriter(path)
    writer._file.close()
    writer._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(PredictionError, match="disk is full"):
        writer.write(prediction("a"))
