"""Every planted fault is caught under its own code, and no clean trace is rejected."""

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.instructions.builder import build_examples
from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.phantoms.film import describe_film, plan_film
from radvlm_course.records import Study
from radvlm_course.thinking.dirty import FAULTS, Planted, count_planted, faults_for
from radvlm_course.thinking.filters import FILTERS, FilterSettings, check_trace
from radvlm_course.thinking.phantom_teacher import TASKS, add_thoughts


def test_there_is_a_fault_for_every_filter_in_its_order() -> None:
    assert list(FAULTS) == list(FILTERS)


def test_every_planted_fault_is_caught_under_its_code_and_no_clean_trace_is_rejected(clean) -> None:
    found = count_planted(clean, seed=1)
    table = found.faults
    assert list(table) == list(FILTERS)
    assert {code: counts for code, counts in table.items() if counts != (counts.planted, counts.planted, 0)} == {}
    assert table["empty"].planted == 15 and table["changed_box"].planted == 6 and table["report_differs"].planted == 5
    assert (found.clean, found.clean_rejected) == (15, 0)


@settings(max_examples=150)
@given(st.data())
def test_whatever_is_drawn_is_caught(clean, data) -> None:
    example = data.draw(st.sampled_from(clean))
    code = data.draw(st.sampled_from(faults_for(example)))
    dirty = FAULTS[code](example, random.Random(data.draw(st.integers(0))))
    with pytest.raises(AnswerRejected) as rejected:
        check_trace(dirty, example)
    assert rejected.value.code == code


def test_the_same_seed_plants_the_same_faults(clean) -> None:
    for code in faults_for(clean[5]):
        first, second = (FAULTS[code](clean[5], random.Random(3)) for _ in range(2))
        assert first == second


def test_a_filter_that_sees_nothing_shows_in_the_table(clean) -> None:
    blind = count_planted(clean[:3], FilterSettings(boxes_in_thought=9)).faults
    assert blind["boxes_in_thought"] == Planted(3, 0, 0)
    narrow = count_planted(clean[:3], FilterSettings(fewest_words=500))
    assert narrow.faults["prior_study"] == Planted(3, 0, 3)
    assert narrow.rejected == {"too_short": 3} and narrow.clean_rejected == 3


def test_faults_that_an_example_cannot_have_are_not_planted(clean) -> None:
    assert "changed_box" not in faults_for(clean[13]) and "report_copied" not in faults_for(clean[0])
    device = dataclasses.replace(clean[14], labels=("support devices",), answer="Left chest tube in place.")
    assert "conclusion_first" not in faults_for(device)


def test_the_thoughts_of_the_phantom_teacher_pass_and_their_faults_are_caught() -> None:
    studies = []
    for seed in range(6):
        phantom = describe_film(plan_film(seed), seed, None)
        studies.append(
            Study(
                f"{seed}.png",
                (96, 96),
                f"p{seed}",
                f"s{seed}",
                "phantom",
                "train",
                report=phantom.report,
                findings=phantom.findings,
                structures=phantom.structures,
                abnormalities=phantom.abnormalities,
            )
        )
    examples = list(add_thoughts(studies, build_examples(studies, TASKS, seed=0)))
    found = count_planted(examples, seed=0)
    assert found.clean == len(examples) > 15 and not found.rejected
    assert {code: row for code, row in found.faults.items() if row != (row.planted, row.planted, 0)} == {}
    assert list(found.faults) == list(FILTERS)
