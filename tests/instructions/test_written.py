"""Written conversations: found where they lie, used as they are, refused with a reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.instructions.written import ConversationError, ConversationFolder, _rounds, image_name
from radvlm_course.records import Study

STUDY = Study("/data/files/p10/ab-cd.jpg", (9, 9), "p", "50414267_ab-cd", "mimic_cxr", "train")
TALK = [
    {"from": "human", "value": "<image>\nIs the heart large?"},
    {"from": "gpt", "value": " No. "},
    {"from": "human", "value": "And the lungs?"},
    {"from": "gpt", "value": "Clear."},
]
ROUNDS = (("Is the heart large?", "No."), ("And the lungs?", "Clear."))


@pytest.mark.parametrize("name", ["ab-cd", "50414267_ab-cd"])
@pytest.mark.parametrize("inner", ["", "train/standard", "conversations/train/standard"])
def test_a_file_is_found_by_image_or_study_in_either_layout(tmp_path: Path, inner: str, name: str) -> None:
    (tmp_path / inner).mkdir(parents=True, exist_ok=True)
    (tmp_path / inner / f"{name}.json").write_text(json.dumps(TALK))
    assert ConversationFolder.find(str(tmp_path), "train", "conversation").rounds(STUDY) == ROUNDS


def test_grounded_conversations_lie_apart(tmp_path: Path) -> None:
    (tmp_path / "test" / "grounding").mkdir(parents=True)
    (tmp_path / "test" / "grounding" / "ab-cd.json").write_text(json.dumps(TALK))
    assert ConversationFolder.find(str(tmp_path), "test", "grounded_conversation").rounds(STUDY) == ROUNDS
    with pytest.raises(ConversationError, match="no written conversation"):
        ConversationFolder.find(str(tmp_path), "test", "conversation").rounds(STUDY)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "even number of turns"),
        (b"[]", "even number of turns"),
        (json.dumps(TALK[:3]).encode(), "even number of turns"),
        (json.dumps(TALK[1:] + TALK[:1]).encode(), "human and gpt in turn"),
        (json.dumps([TALK[0], TALK[0]]).encode(), "human and gpt in turn"),
        (json.dumps([TALK[0], {"from": "gpt"}]).encode(), "human and gpt in turn"),
        (json.dumps([TALK[0], {"from": "gpt", "value": 3}]).encode(), "human and gpt in turn"),
        (json.dumps([TALK[0], "No."]).encode(), "human and gpt in turn"),
        (json.dumps([TALK[0], {"from": "gpt", "value": "  "}]).encode(), "empty turn"),
        (json.dumps([{"from": "human", "value": "<image>\n"}, TALK[1]]).encode(), "empty turn"),
    ],
)
def test_a_file_that_is_no_conversation_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "ab-cd.json").write_bytes(content)
    with pytest.raises(ConversationError, match=reason):
        ConversationFolder(str(tmp_path)).rounds(STUDY)


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.sampled_from(["human", "gpt"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["from", "value", "x"]), inner),
)


@given(values)
def test_any_json_is_rounds_of_text_or_refused(turns: Any) -> None:
    try:
        rounds = _rounds(turns)
    except ConversationError:
        return
    assert rounds and all(len(turn) == 2 and all(turn) for turn in rounds)


def test_an_image_name_has_no_folder_and_no_extension() -> None:
    assert image_name("a.b/c.d.png") == "c.d" and image_name("plain") == "plain"
