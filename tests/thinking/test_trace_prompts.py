"""What reaches a teacher: the guide, the question, the truth in one variant only, and a film without anything else."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radvlm_course.language.jobs import AnswerRejected
from radvlm_course.thinking.filters import FilterSettings
from radvlm_course.thinking.trace_prompts import (
    TRACE_TASKS,
    FilmSettings,
    data_url,
    film_messages,
    guide_text,
    prompts_of,
    reading_guide,
    rewrite_messages,
)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film-0.png"
    pixels = np.tile(np.arange(200, dtype=np.uint8), (120, 1))
    Image.fromarray(pixels).save(path, pnginfo=None)
    return path


def decoded(url: str) -> Image.Image:
    head, _, content = url.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_the_guide_goes_through_the_film_in_order_and_names_its_sources() -> None:
    text = reading_guide().text
    order = ["Film.", "Devices.", "Heart", "Lungs, zone by zone", "Pleura.", "Diaphragm", "Bones", "Sum up."]
    places = [guide_text().index(f"**{step}") for step in order]
    assert places == sorted(places)
    assert "costophrenic angle" in guide_text() and "meniscus" in guide_text() and "more than half" in guide_text()
    assert "## References" in text and text.count("\n- ") == 5 and "References" not in guide_text()
    assert len(guide_text().split()) < 450  # it goes with every question


def test_a_film_is_made_smaller_and_a_small_one_stays(film: Path) -> None:
    assert decoded(data_url(film, FilmSettings(longest_side=100))).size == (100, 60)
    picture = decoded(data_url(film, FilmSettings(longest_side=1024)))
    assert picture.size == (200, 120)
    assert abs(np.asarray(picture.convert("L"), dtype=float) - np.arange(200)).max() < 12


def test_nothing_of_the_file_goes_with_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "patient-name.jpg"
    exif = Image.Exif()
    exif[0x010E] = "Patient Name"
    Image.new("RGB", (64, 64)).save(path, exif=exif, comment=b"Patient Name", dpi=(300, 300))
    assert b"Patient Name" in path.read_bytes()
    url = data_url(path, FilmSettings())
    assert b"Patient" not in base64.b64decode(url.partition(",")[2]) and not decoded(url).getexif()


def test_only_the_variant_with_the_truth_shows_it(clean, film: Path) -> None:
    example = clean[0]
    shown = {}
    for stage in ("with_truth", "one_stage", "draft"):
        system, user = film_messages(example, stage, FilterSettings(), FilmSettings(str(film.parent)))
        assert (system["role"], user["role"]) == ("system", "user") and guide_text() in system["content"]
        picture, text = user["content"]
        assert decoded(picture["image_url"]["url"]).size == (200, 120) and example.question in text["text"]
        shown[stage] = system["content"] + text["text"]
    assert example.answer in shown["with_truth"]
    assert example.answer not in shown["one_stage"] + shown["draft"]
    assert "left, top, right and bottom edge" in shown["one_stage"] and "10 to 1200 words" in shown["one_stage"]


@pytest.mark.parametrize("task", TRACE_TASKS)
def test_every_task_has_the_form_of_its_answer(clean, task: str) -> None:
    example = next(example for example in clean if example.task == task)
    system, _ = film_messages(example, "one_stage", FilterSettings(), FilmSettings(), with_film=False)
    assert "$" not in system["content"] and re.search(r"The answer: \w", system["content"])


def test_the_budgets_are_in_the_prompt(clean) -> None:
    filters = FilterSettings(fewest_words=80, most_words=300, boxes_in_thought=2, opening_tag="optional")
    text = film_messages(clean[0], "with_truth", filters, FilmSettings(), with_film=False)[0]["content"]
    assert "80 to 300 words" in text and "at most 2 boxes" in text and "<think>" not in text
    text = film_messages(clean[0], "with_truth", FilterSettings(), FilmSettings(), with_film=False)[0]["content"]
    assert "no box and no row of coordinates" in text and "<think>the reasoning</think>" in text


def test_the_rewriting_model_gets_the_draft_and_no_film(clean) -> None:
    system, user = rewrite_messages(clean[0], "Hm, the angle.", "[0.1, 0.5, 0.4, 0.9]", FilterSettings())
    assert isinstance(user["content"], str) and "You cannot see the film" in system["content"]
    assert "Hm, the angle." in user["content"] and "[0.1, 0.5, 0.4, 0.9]" in user["content"]
    assert clean[0].answer not in user["content"]


def test_an_unreadable_film_is_nothing_to_ask_about(clean, tmp_path: Path) -> None:
    with pytest.raises(AnswerRejected, match=r"unreadable_film: .*film-0\.png"):
        film_messages(clean[0], "with_truth", FilterSettings(), FilmSettings(str(tmp_path)))
    outline = film_messages(clean[0], "with_truth", FilterSettings(), FilmSettings(str(tmp_path)), with_film=False)
    assert outline[1]["content"][0] == {"type": "image_url", "image_url": {"url": ""}}


def test_the_digests_name_every_text_that_is_sent() -> None:
    assert set(prompts_of("with_truth")) == {
        "with_truth",
        "with_truth_question",
        "layout_tags",
        "layout_native",
        "reading_guide",
        "answer_rejected",
    }
    assert {"form_report", "form_boxes", "question", "draft"} < set(prompts_of("draft"))
    assert {"rewrite", "rewrite_draft"} < set(prompts_of("rewrite"))


def test_a_film_costs_a_token_for_each_32_pixels_squared_at_most() -> None:
    assert FilmSettings(longest_side=1024).tokens == 1024 and FilmSettings(longest_side=512).tokens == 256


@pytest.mark.parametrize("wrong", [{"longest_side": 8}, {"jpeg_quality": 0}, {"jpeg_quality": 100}])
def test_films_that_could_not_be_seen_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="expected a longest side"):
        FilmSettings(**wrong)
