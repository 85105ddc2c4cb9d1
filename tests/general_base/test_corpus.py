"""Pictures on disk, examples in the course's form, and prose that is about no picture."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radvlm_course.boxes import parse_boxes
from radvlm_course.general_base.corpus import (
    Amounts,
    Pictures,
    about_shapes,
    course_texts,
    examples,
    radiology_studies,
    write_pictures,
)
from radvlm_course.general_base.shapes import draw_scene
from radvlm_course.records import Example

AMOUNTS = Amounts(30, 6, 4, grounding=20, captions=10, prose=24, thinking_share=0.4, films=6)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return write_pictures(tmp_path_factory.mktemp("pictures"), AMOUNTS, 24, seed=0)


@pytest.fixture(scope="module")
def reports() -> list[str]:
    return [study.report for study in radiology_studies(AMOUNTS.films)]


@pytest.fixture(scope="module")
def learned(pictures: Pictures, reports: list[str]) -> list[Example]:
    return examples(pictures, reports, AMOUNTS, seed=0)


def is_prose(example: Example) -> bool:
    return example.question == "Write a report."


def test_the_pictures_on_disk_are_those_of_the_scenes(pictures: Pictures) -> None:
    studies = (*pictures.train, *pictures.test, *pictures.noise)
    assert [len(part) for part in (pictures.train, pictures.test, pictures.noise)] == [30, 6, 4]
    for study in studies:
        found = np.asarray(Image.open(study.image_path))
        assert np.array_equal(found, draw_scene(pictures.scenes[study.study_id], 24))
    assert len({np.asarray(Image.open(study.image_path)).tobytes() for study in studies}) == len(studies)


def test_a_study_has_the_boxes_of_its_scene_and_noise_has_none(pictures: Pictures) -> None:
    for study in (*pictures.train, *pictures.test):
        assert study.abnormalities == pictures.scenes[study.study_id].boxes()
        assert set(study.findings) == set(study.abnormalities)
    assert all(not study.abnormalities and not study.report for study in pictures.noise)
    assert {study.split for study in pictures.test} == {"test"}


def test_pictures_that_are_there_stay(pictures: Pictures) -> None:
    path = Path(pictures.train[0].image_path)
    before = path.stat().st_mtime_ns
    again = write_pictures(path.parent, AMOUNTS, 24, seed=0)
    assert path.stat().st_mtime_ns == before
    assert again == pictures


def test_the_amounts_are_kept(learned: list[Example]) -> None:
    kinds = Counter("prose" if is_prose(example) else example.task for example in learned)
    assert kinds == {"abnormality_grounding": 20, "report_generation": 10, "prose": 24}
    assert 0.2 < sum(bool(example.thought) for example in learned) / len(learned) < 0.6
    assert len({example.id for example in learned}) == len(learned)


def test_answers_are_boxes_in_the_courses_form_and_captions_are_asked_for_by_their_own_question(
    learned: list[Example],
) -> None:
    for example in learned:
        if example.task == "abnormality_grounding":
            assert example.question == f"Where is the {example.labels[0]}?"
            assert len(parse_boxes(example.answer)) == len(example.boxes) > 0
        elif not is_prose(example):
            assert example.question == "Describe the picture."
            assert " at the " in example.answer


def test_prose_is_radiology_about_pictures_without_a_shape_and_one_picture_has_several(
    learned: list[Example], reports: list[str]
) -> None:
    by_picture = defaultdict(set)
    for example in filter(is_prose, learned):
        assert example.study_id.startswith("noise-")
        assert example.answer in reports
        by_picture[example.study_id].add(example.answer)
    assert max(map(len, by_picture.values())) > 1
    used = Counter(example.answer for example in learned if is_prose(example))
    assert set(used.values()) == {4}  # 24 of 6 reports


def test_no_picture_question_names_a_finding_and_no_thought_reads_a_radiograph(learned: list[Example]) -> None:
    words = ("heart", "lung", "pleura", "effusion", "chest")
    for example in learned:
        own = example.thought if is_prose(example) else f"{example.question} {example.answer} {example.thought}"
        assert not any(word in own.casefold() for word in words)


def test_the_test_pictures_are_not_learned_from(pictures: Pictures, learned: list[Example]) -> None:
    asked = list(about_shapes(pictures.test, 0))
    assert not {example.image_path for example in asked} & {example.image_path for example in learned}
    assert all(not example.thought for example in asked)


def test_the_same_seed_gives_the_same_examples(pictures: Pictures, reports: list[str], learned: list[Example]) -> None:
    assert examples(pictures, reports, AMOUNTS, seed=0) == learned
    assert examples(pictures, reports, AMOUNTS, seed=1) != learned


def test_the_tokenizer_reads_reports_questions_and_the_cold_starts_thoughts() -> None:
    texts = list(course_texts(radiology_studies(4), 0))
    assert "Write a report." in texts
    assert any("Where is the heart?" in text for text in texts)
    assert any("ratio" in text or "The heart is" in text for text in texts)


@pytest.mark.parametrize("values", [{"prose": 0}, {"thinking_share": 1.2}, {"test_pictures": -1}])
def test_impossible_amounts_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="expected counts of at least 1"):
        Amounts(**values)
