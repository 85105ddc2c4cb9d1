"""The teacher that reads phantoms: true, honest about numbers, silent about the answer."""

from __future__ import annotations

import dataclasses
import re

import pytest

from radvlm_course.boxes import Box, format_boxes, parse_boxes
from radvlm_course.phantoms.film import describe_film, plan_film
from radvlm_course.records import Example, Study
from radvlm_course.thinking.phantom_teacher import (
    LARGE_HEART,
    TeacherError,
    Thorax,
    add_thoughts,
    cardiothoracic_ratio,
    stated_ratios,
    write_thought,
)

FILMS = 60


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    phantoms = [describe_film(plan_film(seed), seed, None) for seed in range(FILMS)]
    return [
        Study(
            image_path=f"{phantom.seed}.png",
            image_size=(96, 96),
            patient_id=f"p{phantom.seed}",
            study_id=f"s{phantom.seed}",
            source="phantom",
            split="train",
            report=phantom.report,
            findings=phantom.findings,
            structures=phantom.structures,
            abnormalities=phantom.abnormalities,
            phrases=phantom.phrases,
        )
        for phantom in phantoms
    ]


def asked(study: Study, task: str, finding: str = "") -> Example:
    boxes = study.abnormalities.get(finding, ())
    answer = format_boxes(boxes) if boxes else study.report
    labels = (finding,) if finding else ()
    name = f"{study.study_id} {task} {finding}"
    return Example(name, task, study.image_path, "?", answer, boxes, labels, study_id=study.study_id)


def test_the_heart_is_called_large_exactly_where_the_film_has_cardiomegaly(studies: list[Study]) -> None:
    for study in studies:
        large = cardiothoracic_ratio(Thorax.of(study)) > LARGE_HEART
        assert large == ("cardiomegaly" in study.abnormalities), study.study_id
        thought = write_thought(study, asked(study, "report_generation"))
        assert (": large." in thought) == large and (": normal." in thought) != large


def test_a_reading_of_the_whole_film_ends_with_every_finding_and_no_other(studies: list[Study]) -> None:
    names = {name for study in studies for name in study.abnormalities}
    for study in studies:
        summary = write_thought(study, asked(study, "report_generation")).rsplit(". ", 1)[1]
        assert {name for name in names if name in summary} == set(study.abnormalities)
        assert ("normal" in summary) == (not study.abnormalities)


def test_a_finding_is_named_only_after_what_was_seen_of_it(studies: list[Study]) -> None:
    for study in studies:
        for finding in study.abnormalities:
            thought = write_thought(study, asked(study, "abnormality_grounding", finding))
            assert thought.index(finding) > thought.index(". ") > 10


def test_sides_are_the_patients(studies: list[Study]) -> None:
    for study in studies:
        thorax = Thorax.of(study)
        for zone in ("upper", "mid", "lower"):
            for side in ("left", "right"):
                assert thorax.side(study.structures[f"{side} {zone} lung zone"][0]) == side
                assert thorax.zone(study.structures[f"{side} {zone} lung zone"][0]) == zone


def test_measures_are_those_of_the_boxes() -> None:
    zones = {
        f"{side} {zone} lung zone": (Box(x, y, x + 0.3, y + 0.2),)
        for side, x in (("right", 0.1), ("left", 0.6))
        for zone, y in (("upper", 0.1), ("mid", 0.3), ("lower", 0.5))
    }
    structures = {**zones, "heart": (Box(0.3, 0.4, 0.78, 0.7),), "spine": (Box(0.48, 0.0, 0.52, 1.0),)}
    abnormalities = {"cardiomegaly": structures["heart"], "pleural effusion": (Box(0.6, 0.55, 0.9, 0.7),)}
    study = Study(
        "a.png", (96, 96), "p", "s", "phantom", "train", structures=structures, abnormalities=abnormalities, report=""
    )
    thought = write_thought(study, asked(study, "report_generation"))
    assert re.search(r"0\.48\b.*\b0\.80\b.*\b0\.60: large", thought)
    assert "the left angle is blunted with fluid up to 0.55" in thought
    assert "the right angle is sharp" in thought
    grounding = write_thought(study, asked(study, "abnormality_grounding", "pleural effusion"))
    assert grounding.endswith("pleural effusion on the left, centered near 0.8, 0.6.")


def test_no_thought_has_a_box(studies: list[Study]) -> None:
    for study in studies:
        for finding in study.abnormalities:
            thought = write_thought(study, asked(study, "abnormality_grounding", finding))
            assert not parse_boxes(thought) and "[" not in thought


def test_the_seed_and_the_example_draw_the_wording_and_nothing_else_does(studies: list[Study]) -> None:
    example = asked(studies[0], "report_generation")
    assert write_thought(studies[0], example, 3) == write_thought(studies[0], example, 3)
    assert len({write_thought(studies[0], example, seed) for seed in range(20)}) > 2


def test_examples_get_their_thought_and_other_tasks_are_left_out(studies: list[Study]) -> None:
    examples = [asked(studies[0], "report_generation"), asked(studies[0], "anatomical_grounding", "heart")]
    (only,) = add_thoughts(studies, examples)
    assert dataclasses.replace(only, thought="") == examples[0]
    assert only.thought == write_thought(studies[0], examples[0])


def test_what_cannot_be_read_is_an_error_that_says_what_is_missing(studies: list[Study]) -> None:
    normal = next(study for study in studies if not study.abnormalities)
    with pytest.raises(TeacherError, match=r"expected a task among .* found 'conversation'"):
        write_thought(normal, asked(normal, "conversation"))
    with pytest.raises(TeacherError, match="expected one label among the film's findings"):
        write_thought(normal, asked(normal, "abnormality_grounding", "nodule"))
    with pytest.raises(TeacherError, match=r"s0: expected boxes of heart, spine, .*; heart missing"):
        Thorax.of(dataclasses.replace(studies[0], structures={**studies[0].structures, "heart": ()}))
    with pytest.raises(TeacherError, match="no study 's0' among the 1 given"):
        list(add_thoughts(studies[1:2], [asked(studies[0], "report_generation")]))


def test_the_ratio_that_a_thought_states_is_read_back(studies: list[Study]) -> None:
    examples = {f"{study.study_id} {seed}": asked(study, "report_generation") for study in studies for seed in range(3)}
    by_id = {study.study_id: study for study in studies}
    thoughts = {
        name: write_thought(by_id[example.study_id], example, int(name.split()[1]))
        for name, example in examples.items()
    }
    pairs = stated_ratios({**thoughts, "silent": "Both lungs are clear."}, examples, by_id)
    assert len(pairs) == len(thoughts)
    assert all(abs(stated - true) < 0.00501 for stated, true in pairs)
