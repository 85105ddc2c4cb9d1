"""Example to messages, completion back to text, thought and response apart."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.chat import completion_text, join_thought, split_thought, to_messages, to_prompt_completion
from radvlm_course.records import Example

EXAMPLE = Example("e1", "report_generation", "a.png", "Describe the film.", "No acute finding.")


def test_the_prompt_is_one_user_turn_with_the_image_before_the_question() -> None:
    assert to_messages(EXAMPLE) == [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Describe the film."}]}
    ]


def test_a_thinking_prompt_ends_with_the_suffix_and_differs_in_nothing_else() -> None:
    plain, thinking = to_messages(EXAMPLE), to_messages(EXAMPLE, thinking=True)
    assert thinking[0]["content"][1].pop("text") == "Describe the film. /think"
    plain[0]["content"][1].pop("text")
    assert plain == thinking


def test_prompt_and_completion_are_the_columns_that_trl_reads() -> None:
    columns = to_prompt_completion(EXAMPLE)
    assert columns["prompt"] == to_messages(EXAMPLE)
    assert [message["role"] for message in columns["completion"]] == ["assistant"]
    assert completion_text(columns["completion"]) == EXAMPLE.answer


def test_the_completion_of_a_conversation_has_all_further_turns() -> None:
    talk = dataclasses.replace(EXAMPLE, task="conversation", follow_up=(("Sure?", "Yes."), ("Why?", "Clear lungs.")))
    columns = to_prompt_completion(talk)
    assert columns["prompt"] == to_messages(EXAMPLE)
    assert [(message["role"], completion_text([message])) for message in columns["completion"]] == [
        ("assistant", "No acute finding."),
        ("user", "Sure?"),
        ("assistant", "Yes."),
        ("user", "Why?"),
        ("assistant", "Clear lungs."),
    ]


def test_an_example_with_a_thought_is_asked_and_answered_in_the_thinking_mode() -> None:
    columns = to_prompt_completion(dataclasses.replace(EXAMPLE, thought="The lungs are clear."))
    assert columns["prompt"] == to_messages(EXAMPLE, thinking=True)
    assert completion_text(columns["completion"]) == "<think>The lungs are clear.</think> No acute finding."


@given(
    st.text(min_size=1).filter(lambda text: text == text.strip() and "think>" not in text),
    st.text().filter(lambda text: text == text.strip() and "think>" not in text),
)
def test_splitting_a_joined_thought_gives_both_parts_back(thought: str, response: str) -> None:
    assert split_thought(join_thought(thought, response), thinking=True) == (thought, response)


def test_without_a_thought_the_completion_is_the_response() -> None:
    assert join_thought("", "No nodule.") == "No nodule."


def test_each_call_returns_fresh_messages() -> None:
    to_messages(EXAMPLE)[0]["content"].clear()
    assert len(to_messages(EXAMPLE)[0]["content"]) == 2


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("", ""),
        ("No nodule.", "No nodule."),
        ([], ""),
        ([{"role": "assistant", "content": "No nodule."}], "No nodule."),
        ([{"content": "One. "}, {"content": "Two."}], "One. Two."),
        ([{"content": [{"type": "text", "text": "No "}, {"type": "text", "text": "nodule."}]}], "No nodule."),
        ([{"content": [{"type": "image"}, {"type": "text", "text": "At left."}]}], "At left."),
        ([{"content": []}], ""),
        (({"content": "a tuple"},), "a tuple"),
    ],
)
def test_the_text_of_a_completion_however_it_is_wrapped(completion: Any, text: str) -> None:
    assert completion_text(completion) == text


@pytest.mark.parametrize(
    "completion",
    [
        None,
        3,
        b"bytes",
        {"role": "assistant", "content": "a message outside a list"},
        ["a list of strings"],
        [{"role": "assistant"}],
        [{"content": None}],
        [{"content": 3}],
        [{"content": ["a bare string part"]}],
        [{"content": [{"type": "text"}]}],
        [{"content": [{"type": "text", "text": None}]}],
    ],
)
def test_anything_else_is_an_error_that_shows_what_came(completion: Any) -> None:
    with pytest.raises(TypeError, match=r"expected .* found"):
        completion_text(completion)


def test_a_long_wrong_completion_is_shown_cut_short() -> None:
    with pytest.raises(TypeError) as caught:
        completion_text(["x" * 100_000])  # type: ignore[list-item]
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "thinking", "thought", "response"),
    [
        ("Clear lungs.", False, "", "Clear lungs."),
        ("  Clear lungs.\n", False, "", "Clear lungs."),
        ("<think>wide heart</think> Cardiomegaly.", True, "wide heart", "Cardiomegaly."),
        ("<think>wide heart</think> Cardiomegaly.", False, "wide heart", "Cardiomegaly."),
        ("wide heart</think>Cardiomegaly.", True, "wide heart", "Cardiomegaly."),
        ("<think>a</think>b</think>c", True, "a</think>b", "c"),
        ("<think>\n\n</think>\n\nClear.", True, "", "Clear."),
        ("<think>a</think>", True, "a", ""),
        ("</think>", True, "", ""),
        ("<think>heart wi", True, "heart wi", None),
        ("Clear lungs.", True, "Clear lungs.", None),
        ("", True, "", None),
        ("", False, "", ""),
    ],
)
def test_the_last_closing_tag_parts_thought_and_response(
    text: str, thinking: bool, thought: str, response: str | None
) -> None:
    assert split_thought(text, thinking) == (thought, response)


@given(st.text(max_size=60), st.text(max_size=60), st.booleans())
def test_the_response_never_holds_a_closing_tag_and_always_follows_it(before: str, after: str, thinking: bool) -> None:
    split = split_thought(f"{before}</think>{after}", thinking)
    assert split.response == after.rpartition("</think>")[2].strip()
