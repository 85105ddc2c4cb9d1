import pytest

from radvlm_course.images import ImageReadError
from radvlm_course.records import Example
from radvlm_course.training.data import grpo_dataset, sft_dataset


def test_sft_rows_hold_prompt_completion_and_the_opened_film(grounding_examples):
    row = sft_dataset(grounding_examples)[3]
    assert row["prompt"][0]["content"][1]["text"] == "Where is the nodule?"
    assert row["completion"][0]["content"][0]["text"] == grounding_examples[3].answer
    assert [image.size for image in row["images"]] == [(64, 64)]


def test_grpo_rows_hold_the_example_id_and_no_answer(grounding_examples):
    row = grpo_dataset(grounding_examples)[3]
    assert row["example_id"] == "e3"
    assert set(row) == {"prompt", "image", "example_id"}


def test_thinking_adds_the_suffix_to_the_question(grounding_examples):
    row = grpo_dataset(grounding_examples, thinking=True)[0]
    assert row["prompt"][0]["content"][1]["text"] == "Where is the nodule? /think"


def test_films_are_opened_at_access_only(grounding_examples):
    missing = Example("x", "report_generation", "missing.png", "Write a report.", "Normal.")
    dataset = sft_dataset([grounding_examples[0], missing])
    assert len(dataset) == 2
    with pytest.raises(ImageReadError, match=r"missing\.png"):
        dataset[1]


def test_no_example_is_refused():
    with pytest.raises(ValueError, match="expected at least one example"):
        grpo_dataset([])
