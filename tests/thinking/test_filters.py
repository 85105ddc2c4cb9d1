"""A trace is accepted, or rejected for the first of its faults, by code."""

import pytest

from radvlm_course.chat import join_thought
from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.records import Example
from radvlm_course.thinking.filters import ANSWER_CODES, DRAFT_CODES, FILTERS, FilterSettings, check_draft, check_trace


def code_of(text: str, example: Example, check=check_trace, **settings) -> str:
    try:
        check(text, example, FilterSettings(**settings))
    except AnswerRejected as rejected:
        assert rejected.explanation
        return rejected.code
    return ""


@pytest.mark.parametrize("index", range(15))
def test_a_clean_trace_of_every_task_is_accepted_and_its_thought_comes_back(clean, index: int) -> None:
    example = clean[index]
    assert check_trace(join_thought(example.thought, example.answer), example) == example.thought
    spaced = f"\n<think>\n{example.thought}\n</think>\n\n{example.answer}\n"
    assert check_trace(spaced, example) == example.thought


FORMS = {
    "": "<think>{thought}</think>{answer}",
    "empty": " \n",
    "refusal": "I'm sorry, but I can't assist with that.",
    "no_tags": "{thought} {answer}",
    "not_opened": "{thought}</think> {answer}",
    "not_closed": "<think>{thought} {answer}",
    "closed_twice": "<think>{thought}</think> {answer}</think>",
    "text_before": "{answer} <think>{thought}</think> {answer}",
    "empty_thought": "<think> . </think> {answer}",
    "no_answer": "<think>{thought} {answer}</think>",
    "other_format": "<think>{thought}</think><answer>{answer}</answer>",
    "box_outside_image": "<think>{thought}</think> [100, 550, 380, 900]",
    "malformed_box": "<think>{thought}</think> [0.10, 0.55, 0.38]",
    "changed_box": "<think>{thought}</think> [0.10, 0.55, 0.38, 0.91]",
    "missing_box": "<think>{thought}</think> At the right base.",
    "hidden_source": "<think>{thought} As the label says.</think> {answer}",
    "answer_in_thought": "<think>{thought} Final answer: {answer}</think> {answer}",
    "boxes_in_thought": "<think>{thought} So {answer}.</think> {answer}",
    "prompt_copied": "<think>Where is the pleural effusion of study-0? {thought}</think> {answer}",
    "repetition": "<think>{thought} {thought} {thought}</think> {answer}",
    "too_short": "<think>The right angle is blunted.</think> {answer}",
    "language": "<think>{thought} 右侧胸腔积液。</think> {answer}",
    "prior_study": "<think>{thought} It is unchanged.</think> {answer}",
}


@pytest.mark.parametrize("code", FORMS)
def test_each_fault_of_a_grounding_trace_has_its_code(clean, code: str) -> None:
    example = clean[0]
    assert code_of(FORMS[code].format(thought=example.thought, answer=example.answer), example) == code


def test_a_thought_may_be_too_long(clean) -> None:
    example = clean[0]
    assert code_of(join_thought(example.thought, example.answer), example, fewest_words=5, most_words=50) == "too_long"


def test_every_code_is_there_once_and_answers_come_before_thoughts() -> None:
    codes = list(FILTERS)
    assert len(codes) == len(set(codes)) == 27
    assert codes.index("report_differs") < codes.index("hidden_source") and codes[0] == "empty"
    assert set(codes) >= ANSWER_CODES and "other_format" not in ANSWER_CODES and set(codes) >= set(DRAFT_CODES)


def test_a_model_whose_template_opens_the_tag_need_not_write_it(clean) -> None:
    example = clean[0]
    text = f"{example.thought}</think> {example.answer}"
    assert code_of(text, example) == "not_opened"
    assert check_trace(text, example, FilterSettings(opening_tag="optional")) == example.thought


def test_a_draft_may_be_raw_but_its_answer_must_agree(clean) -> None:
    example = clean[0]
    raw = "<think>Hm, effusion [0.1, 0.5, 0.4, 0.9]? Unchanged? The answer is yes.</think> "
    draft = check_draft(raw + "[0.11, 0.55, 0.38, 0.90]", example)
    assert draft.response == "[0.11, 0.55, 0.38, 0.90]" and draft.thought.startswith("Hm, effusion")
    assert code_of(raw + "[0.6, 0.55, 0.9, 0.9]", example, check_draft, box_iou=0.5) == "changed_box"
    assert (
        code_of("<think>So. " + "well then " * 20 + f"</think> {example.answer}", example, check_draft) == "repetition"
    )


def test_the_explanation_can_be_acted_on(clean) -> None:
    with pytest.raises(AnswerRejected, match=r"\[0\.10, 0\.55, 0\.38, 0\.91\] is not a box of the answer; copy"):
        check_trace(FORMS["changed_box"].format(thought=clean[0].thought), clean[0])
