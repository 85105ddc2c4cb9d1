"""The teachers' prompts: files whose places are filled."""

from importlib import resources

import pytest

from radvlm_course.thinking.prompts import load_prompt


def test_a_prompt_is_the_text_of_its_file() -> None:
    assert load_prompt("question").fill(question="Where?") == "Question: Where?"
    with pytest.raises(FileNotFoundError):
        load_prompt("no_such_prompt")


def test_every_file_is_text_with_places_that_can_be_filled() -> None:
    names = [file.name.removesuffix(".txt") for file in resources.files("radvlm_course.thinking.prompts").iterdir()]
    places = {"guide", "fewest", "most", "boxes", "layout", "form", "question", "answer", "thought"}
    texts = [load_prompt(name) for name in names if not name.startswith("__")]
    assert len(texts) == 13
    for prompt in texts:
        used = {place for place in places if f"${place}" in prompt.text}
        assert "$" not in prompt.fill(**dict.fromkeys(used, "x"))
