"""Messages of the reward service: what travels, what does not, and what is refused."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.service.wire import (
    Description,
    Pair,
    WireError,
    decode_pairs,
    decode_values,
    describe,
    encode_pairs,
    parse_description,
)

EXAMPLE = Example(
    "e1", "report_generation", "films/p10/1.png", "Report?", "Normal.", patient_id="p10", study_id="s5", source="a"
)


def test_identities_and_paths_stay_with_the_caller() -> None:
    body = encode_pairs([Pair("Normal.", EXAMPLE)])
    assert b"p10" not in body
    assert b"s5" not in body
    (pair,) = decode_pairs(body, 1)
    assert pair == Pair("Normal.", Example("e1", "report_generation", "", "Report?", "Normal.", source="a"))


@given(st.text(), st.text(), st.tuples(*[st.floats(0, 0.5)] * 2), st.lists(st.text(), max_size=3))
def test_texts_labels_and_boxes_arrive_as_they_were_sent(response, answer, corner, labels) -> None:
    boxes = (Box(corner[0], corner[1], corner[0] + 0.1 / 3, 1.0),)
    example = Example("e", "phrase_grounding", "", "Where?", answer, boxes, tuple(labels))
    assert decode_pairs(encode_pairs([Pair(response, example)]), 1) == [Pair(response, example)]


def test_lone_surrogates_travel_too() -> None:
    assert decode_pairs(encode_pairs([Pair("\ud800", EXAMPLE)]), 1)[0].response == "\ud800"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "list 'pairs'"),
        (b'{"pairs": []}', "at least one pair"),
        (b'{"pairs": [1]}', "pair 0: expected an object"),
        (b'{"pairs": [{"response": "a", "example": {}}]}', "pair 0: missing field answer, id"),
        (b'{"pairs": [{"response": "a", "example": 3}]}', "pair 0"),
        (b'{"pairs": [{"response": "a", "example": {"colour": 1}}]}', "pair 0: unknown field colour"),
    ],
)
def test_a_message_of_another_form_is_refused_with_the_reason(body, message) -> None:
    with pytest.raises(WireError, match=message):
        decode_pairs(body, 5)


def test_a_response_that_is_not_text_names_its_example() -> None:
    body = json.loads(encode_pairs([Pair("a", EXAMPLE)]))
    body["pairs"][0]["response"] = None
    with pytest.raises(WireError, match="pair 0, example 'e1': expected text, found None"):
        decode_pairs(json.dumps(body).encode(), 5)


def test_too_many_pairs_are_refused() -> None:
    with pytest.raises(WireError, match="at most 1 pairs in one request, found 2"):
        decode_pairs(encode_pairs([Pair("a", EXAMPLE)] * 2), 1)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_scores_survive_the_journey_bit_for_bit(values) -> None:
    assert decode_values(json.loads(json.dumps({"values": values})), len(values)) == values


@pytest.mark.parametrize(
    "answer", [None, {}, {"values": [1.0]}, {"values": [1.0, None]}, {"values": [1, math.nan]}, {"values": [True, 1.0]}]
)
def test_an_answer_without_one_finite_number_for_each_pair_is_refused(answer) -> None:
    with pytest.raises(WireError, match="expected 2 finite scores"):
        decode_values(answer, 2)


def test_a_declaration_survives_with_an_infinite_range() -> None:
    reward = get_reward("gleu")
    assert parse_description(describe(reward)) == Description("gleu", (0.0, 1.0), 0.0, reward.tasks)
    reward.range = (-math.inf, 1.5)
    assert parse_description(json.loads(json.dumps(describe(reward)))).range == (-math.inf, 1.5)
    assert parse_description(describe(get_reward("thinking_format"))).judges == "completion"
    for wrong in ({"name": "gleu"}, None, describe(reward) | {"judges": "thought"}, describe(reward) | {"range": [0]}):
        with pytest.raises(WireError, match="declaration"):
            parse_description(wrong)
