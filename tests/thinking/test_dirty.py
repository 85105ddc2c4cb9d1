"""Every planted fault is caught under its own code, and no clean trace is rejected."""

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.chat import join_thought
from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.thinking.dirty import FAULTS, Planted, clean_rejections, count_planted, faults_for
from radvlm_course.thinking.filters import FILTERS, FilterSettings, check_trace


def test_there_is_a_fault_for_every_filter_in_its_order() -> None:
    assert list(FAULTS) == list(FILTERS)


def test_every_planted_fault_is_caught_under_its_code_and_no_clean_trace_is_rejected(clean) -> None:
    table = count_planted(clean, seed=1)
    assert set(table) == set(FILTERS)
    assert {code: counts for code, counts in table.items() if counts != (counts.planted, counts.planted, 0)} == {}
    assert table["empty"].planted == 15 and table["changed_box"].planted == 6 and table["report_differs"].planted == 5
    assert not clean_rejections(clean)


@settings(max_examples=150)
@given(st.data())
def test_whatever_is_drawn_is_caught(clean, data) -> None:
    example = data.draw(st.sampled_from(clean))
    code = data.draw(st.sampled_from(faults_for(example)))
    dirty = FAULTS[code](
        example, join_thought(example.thought, example.answer), random.Random(data.draw(st.integers(0)))
    )
    with pytest.raises(AnswerRejected) as rejected:
        check_trace(dirty, example)
    assert rejected.value.code == code


def test_the_same_seed_plants_the_same_faults(clean) -> None:
    example = clean[5]
    text = join_thought(example.thought, example.answer)
    for code in faults_for(example):
        first, second = (FAULTS[code](example, text, random.Random(3)) for _ in range(2))
        assert first == second != text


def test_a_filter_that_sees_nothing_shows_in_the_table(clean) -> None:
    blind = FilterSettings(boxes_in_thought=9)
    assert count_planted(clean[:5], blind)["boxes_in_thought"] == Planted(5, 0, 0)
    narrow = FilterSettings(fewest_words=500)
    assert count_planted(clean[:5], narrow)["prior_study"] == Planted(5, 0, 5)
    assert clean_rejections(clean, narrow) == {"too_short": 15}


def test_faults_that_an_example_cannot_have_are_not_planted(clean) -> None:
    assert "changed_box" not in faults_for(clean[13]) and "report_copied" not in faults_for(clean[0])
    healthy = dataclasses.replace(clean[14], labels=("support devices",), answer="Left chest tube in place.")
    assert "conclusion_first" not in faults_for(healthy)
