"""Study and Example on disk: nothing changes on the way, nothing broken passes, nothing is half written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radvlm_course.boxes import Box
from radvlm_course.records import (
    TASKS,
    Example,
    RecordError,
    Study,
    from_dict,
    jsonl_to_parquet,
    read_jsonl,
    read_parquet,
    to_dict,
    write_jsonl,
    write_parquet,
)

BOX = Box(0.123456789, 0.2, 1 / 3, 0.9)
STUDY = Study(
    image_path="images/s1.png",
    image_size=(2500, 2048),
    patient_id="00042",
    study_id="s1",
    source="phantom",
    split="train",
    view="PA",
    report='Cardiomégalie.\nNo "pneumothorax" 心脏\u2028扩大 \x85 \\ \t end',
    findings={"cardiomegaly": 1, "nodule": 0, "edema": -1},
    structures={"heart": (BOX,), "left lung": ()},
    abnormalities={"cardiomegaly": (BOX, Box(0, 0, 1, 1))},
    phrases={"Größe: 2 cm": (BOX,)},
)
BARE_STUDY = Study("a.png", (1, 1), "p", "s2", "phantom", "test")
EXAMPLE = Example(
    id="s1-grounding-0",
    task="abnormality_grounding",
    image_path="images/s1.png",
    question="Où est le cœur?",
    answer="At [0.12, 0.20, 0.33, 0.90].",
    boxes=(BOX,),
    labels=("cardiomegaly", "größer"),
    source="phantom",
    patient_id="00042",
    study_id="s1",
    split="validation",
)
BARE_EXAMPLE = Example("s2-report", "report_generation", "a.png", "", "")

Write = Callable[..., int]
Read = Callable[..., Iterator[Any]]
FORMATS = pytest.mark.parametrize(("write", "read"), [(write_jsonl, read_jsonl), (write_parquet, read_parquet)])


# --- round trips ---------------------------------------------------------------------------------


@FORMATS
@pytest.mark.parametrize("records", [[STUDY, BARE_STUDY], [BARE_STUDY, STUDY], [EXAMPLE, BARE_EXAMPLE]])
def test_records_come_back_equal(write: Write, read: Read, records: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "records"
    assert write(iter(records), path) == 2
    assert list(read(path, type(records[0]))) == records


@FORMATS
def test_containers_come_back_as_the_declared_types(write: Write, read: Read, tmp_path: Path) -> None:
    write([STUDY], tmp_path / "studies")
    (study,) = read(tmp_path / "studies", Study)
    assert type(study.image_size) is tuple
    assert type(study.structures["heart"]) is tuple and type(study.structures["heart"][0]) is Box
    write([EXAMPLE], tmp_path / "examples")
    (example,) = read(tmp_path / "examples", Example)
    assert type(example.boxes) is tuple and type(example.labels) is tuple


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
box = st.builds(
    lambda x, y, w, h: Box(x * 0.5, y * 0.5, x * 0.5 + w, y * 0.5 + h),
    *[st.floats(0, 1)] * 2,
    *[st.floats(1e-6, 0.5)] * 2,
)
box_maps = st.dictionaries(text, st.lists(box, max_size=2).map(tuple), max_size=2)
study = st.builds(
    Study,
    image_path=text,
    image_size=st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    patient_id=text,
    study_id=text,
    source=text,
    split=st.sampled_from(["train", "validation", "test"]),
    view=text,
    report=text,
    findings=st.dictionaries(text, st.sampled_from([1, 0, -1]), max_size=3),
    structures=box_maps,
    abnormalities=box_maps,
    phrases=box_maps,
)
example = st.builds(
    Example,
    id=text,
    task=st.sampled_from(TASKS),
    image_path=text,
    question=text,
    answer=text,
    boxes=st.lists(box, max_size=3).map(tuple),
    labels=st.lists(text, max_size=3).map(tuple),
)


@FORMATS
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(records=st.lists(study, min_size=1, max_size=4) | st.lists(example, min_size=1, max_size=4))
def test_any_records_come_back_equal(write: Write, read: Read, records: list[Any], tmp_path: Path) -> None:
    assert write(records, tmp_path / "any") == len(records)
    assert list(read(tmp_path / "any", type(records[0]))) == records


TALK = Example("t", "conversation", "a.png", "Large?", "No.", follow_up=(("Lungs?", "Clear."), ("Sure?", "Größe 心")))


def test_follow_up_rounds_come_back_and_examples_without_any_are_written_as_before(tmp_path: Path) -> None:
    write_jsonl([TALK, EXAMPLE], tmp_path / "talks.jsonl")
    assert list(read_jsonl(tmp_path / "talks.jsonl", Example)) == [TALK, EXAMPLE]
    first, second = (json.loads(line) for line in (tmp_path / "talks.jsonl").read_text(encoding="utf-8").splitlines())
    assert first["follow_up"] == [["Lungs?", "Clear."], ["Sure?", "Größe 心"]] and "follow_up" not in second
    write_parquet([EXAMPLE, TALK], tmp_path / "talks.parquet", rows_per_group=1, conversations=True)
    assert list(read_parquet(tmp_path / "talks.parquet", Example)) == [EXAMPLE, TALK]


def test_follow_up_rounds_without_a_column_for_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="t: a conversation with follow-up rounds: write with conversations=True"):
        write_parquet([EXAMPLE, TALK], tmp_path / "talks.parquet")
    assert list(tmp_path.iterdir()) == []


THOUGHTFUL = Example("h", "report_generation", "a.png", "Report?", "Clear.", thought="Both lungs are dark. 心")


def test_a_thought_comes_back_and_examples_without_one_are_written_as_before(tmp_path: Path) -> None:
    write_jsonl([THOUGHTFUL, EXAMPLE], tmp_path / "thoughts.jsonl")
    assert list(read_jsonl(tmp_path / "thoughts.jsonl", Example)) == [THOUGHTFUL, EXAMPLE]
    assert "thought" in to_dict(THOUGHTFUL) and "thought" not in to_dict(EXAMPLE)
    write_parquet([EXAMPLE, THOUGHTFUL], tmp_path / "thoughts.parquet", thoughts=True)
    assert list(read_parquet(tmp_path / "thoughts.parquet", Example)) == [EXAMPLE, THOUGHTFUL]


def test_a_thought_without_a_column_for_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="h: an answer with a thought: write with thoughts=True"):
        write_parquet([THOUGHTFUL], tmp_path / "thoughts.parquet")


def test_a_thought_with_tags_in_it_is_refused() -> None:
    with pytest.raises(RecordError, match=r"thought: expected text without tags, found '<think>Clear' \(h\)"):
        from_dict(to_dict(THOUGHTFUL) | {"thought": "<think>Clear"}, Example)


@pytest.mark.parametrize("rounds", [["Lungs?"], [["Lungs?"]], [["a", "b", "c"]], [["a", 3]], "ab", [None]])
def test_follow_up_that_is_not_pairs_of_text_is_refused(rounds: Any) -> None:
    with pytest.raises(RecordError):
        from_dict(to_dict(EXAMPLE) | {"follow_up": rounds}, Example)


def test_a_jsonl_file_becomes_the_parquet_file_of_its_records(tmp_path: Path) -> None:
    write_jsonl([EXAMPLE, BARE_EXAMPLE], tmp_path / "e.jsonl")
    assert jsonl_to_parquet(tmp_path / "e.jsonl", tmp_path / "converted.parquet", Example) == 2
    write_parquet([EXAMPLE, BARE_EXAMPLE], tmp_path / "written.parquet")
    assert (tmp_path / "converted.parquet").read_bytes() == (tmp_path / "written.parquet").read_bytes()
    write_jsonl([STUDY, BARE_STUDY], tmp_path / "s.jsonl")
    jsonl_to_parquet(tmp_path / "s.jsonl", tmp_path / "s.parquet", Study)
    assert list(read_parquet(tmp_path / "s.parquet", Study)) == [STUDY, BARE_STUDY]


def test_jsonl_is_one_readable_json_object_a_line(tmp_path: Path) -> None:
    write_jsonl([STUDY, BARE_STUDY], tmp_path / "studies.jsonl")
    lines = (tmp_path / "studies.jsonl").read_bytes().split(b"\n")
    assert len(lines) == 3 and lines[-1] == b""
    assert "Cardiomégalie" in lines[0].decode()
    assert json.loads(lines[0])["abnormalities"]["cardiomegaly"] == [BOX.to_list(), [0, 0, 1, 1]]


def test_blank_lines_and_a_byte_order_mark_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "edited.jsonl"
    write_jsonl([EXAMPLE], path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().rstrip(b"\n") + b"\r\n\n   \n")
    assert list(read_jsonl(path, Example)) == [EXAMPLE]


def test_parquet_keeps_its_columns_over_row_groups_whatever_is_empty_in_the_first(tmp_path: Path) -> None:
    records = [BARE_EXAMPLE, EXAMPLE, BARE_EXAMPLE]
    assert write_parquet(records, tmp_path / "e.parquet", rows_per_group=1) == 3
    assert list(read_parquet(tmp_path / "e.parquet", Example)) == records


def test_no_records_make_an_empty_jsonl_and_no_parquet(tmp_path: Path) -> None:
    assert write_jsonl([], tmp_path / "none.jsonl") == 0
    assert list(read_jsonl(tmp_path / "none.jsonl", Example)) == []
    with pytest.raises(RecordError, match="nothing to write"):
        write_parquet([], tmp_path / "none.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["none.jsonl"]


def test_parquet_refuses_to_mix_studies_and_examples(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="expected Study records only, found Example"):
        write_parquet([STUDY, EXAMPLE], tmp_path / "mixed.parquet")  # type: ignore[list-item]


# --- whole or not at all -------------------------------------------------------------------------


@FORMATS
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_half_way_leaves_the_old_file_and_no_debris(
    write: Write, read: Read, error: type[BaseException], tmp_path: Path
) -> None:
    def broken() -> Iterator[Example]:
        yield BARE_EXAMPLE
        raise error("reader broke")

    path = tmp_path / "examples"
    write([EXAMPLE], path)
    with pytest.raises(error, match="reader broke"):
        write(broken(), path)
    assert list(read(path, Example)) == [EXAMPLE]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "record",
    [
        Study("a.png", (1, 1), "p", "s9", "x", "train", findings={"nodule": np.int64(1)}),  # type: ignore[dict-item]
        Study("a.png", (1, 1), "p", "s9", "x", "train", report="lone surrogate \ud800"),
    ],
)
def test_a_value_that_cannot_be_written_names_the_record(record: Study, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="s9: cannot be written"):
        write_jsonl([record], tmp_path / "x.jsonl")
    assert list(tmp_path.iterdir()) == []


# --- what is broken is refused, with its place ---------------------------------------------------

GOOD = json.dumps(to_dict(EXAMPLE)).encode()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "Expecting"),
        (b"\xff\xfe\x00", "decode"),
        (b"3", "expected an object"),
        (b"null", "expected an object"),
        (b"[1, 2]", "expected an object"),
        (b"[" * 20_000, "recursion"),
        (b'{"id": "a"}', "missing field answer, image_path, question, task"),
        (GOOD[:-1] + b', "colour": 1}', "unknown field colour"),
        (GOOD.replace(b"abnormality_grounding", b"poetry"), "task: expected one of"),
        (GOOD.replace(b'"images/s1.png"', b"null"), "image_path: expected text, found None"),
        (json.dumps(to_dict(EXAMPLE) | {"labels": "nodule"}).encode(), "labels: expected a list"),
        (json.dumps(to_dict(EXAMPLE) | {"boxes": [[0.3, 0.2, 0.1, 0.4]]}).encode(), "x1 < x2"),
        (json.dumps(to_dict(EXAMPLE) | {"boxes": [[0.1, 0.2, 0.3]]}).encode(), "y2"),
        (json.dumps(to_dict(EXAMPLE) | {"boxes": [[0.1, 0.2, 0.3, 0.4, 0.5]]}).encode(), "Box"),
        (json.dumps(to_dict(EXAMPLE) | {"boxes": [0.1]}).encode(), "Box"),
        (json.dumps(to_dict(EXAMPLE) | {"boxes": None}).encode(), "boxes: expected a list"),
        (json.dumps(to_dict(EXAMPLE) | {"boxes": [[float("nan"), 0.2, 0.3, 0.4]]}).encode(), "finite"),
        (json.dumps(to_dict(EXAMPLE) | {"boxes": [[0, 0, 10**400, 1]]}).encode(), "finite"),
    ],
)
def test_a_corrupt_line_names_file_line_and_reason_after_the_good_ones_were_read(
    line: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_bytes(GOOD + b"\n\n" + line + b"\n" + GOOD + b"\n")
    records = read_jsonl(path, Example)
    assert next(records) == EXAMPLE
    with pytest.raises(RecordError, match=reason) as caught:
        next(records)
    assert str(caught.value).startswith(f"{path}, line 3: ")


def test_a_line_cut_off_by_a_kill_is_an_error_not_a_silent_loss(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_bytes(GOOD + b"\n" + GOOD[:40])
    with pytest.raises(RecordError, match="line 2"):
        list(read_jsonl(path, Example))


def test_a_parquet_row_of_another_kind_names_file_and_row(tmp_path: Path) -> None:
    write_parquet([STUDY], tmp_path / "s.parquet")
    with pytest.raises(RecordError, match=r"s\.parquet, row 1: unknown field"):
        list(read_parquet(tmp_path / "s.parquet", Example))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"split": "val"}, "split: expected train, validation or test, found 'val'"),
        ({"findings": {"nodule": 2}}, "findings: expected 1, 0 or -1"),
        ({"findings": [1]}, "findings: expected an object"),
        ({"findings": None}, "findings: expected an object"),
        ({"structures": [1]}, "structures: expected an object"),
        ({"structures": {"heart": BOX.to_list()}}, "not a valid Study"),
        ({"image_size": [100]}, "image_size: expected"),
        ({"image_size": [0, 100]}, "image_size: expected"),
        ({"image_size": ["a", "b"]}, "not a valid Study"),
        ({"image_size": "ab"}, "image_size: expected a list"),
        ({"report": None}, "report: expected text"),
    ],
)
def test_a_study_that_breaks_the_contract_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        from_dict(to_dict(STUDY) | changes, Study)


def test_a_missing_file_is_a_plain_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_jsonl(tmp_path / "nowhere.jsonl", Example))
