"""The prompts: files whose places are filled, whose own examples pass the checks that answers must pass."""

import re

import pytest

from radvlm_course.language.prompts import Prompt, load_prompt
from radvlm_course.language.report_rewriting import VARIANTS, check_rewritten


def test_places_are_filled_and_wrong_ones_refused() -> None:
    prompt = Prompt("p", "Say $word.")
    assert prompt.fill(word="so: $5 [x]") == "Say so: $5 [x]."
    with pytest.raises(KeyError):
        prompt.fill()
    with pytest.raises(ValueError, match="no place called other"):
        prompt.fill(word="a", other="b")


def test_the_digest_tells_versions_apart() -> None:
    assert Prompt("p", "a").sha256 != Prompt("p", "b").sha256
    assert load_prompt("rewrite_report").sha256 == load_prompt("rewrite_report").sha256


def test_a_prompt_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        load_prompt("rewrite_everything")


@pytest.mark.parametrize(("variant", "examples"), [("mimic_cxr", 2), ("chexpert_plus", 3)])
def test_the_examples_of_a_prompt_pass_the_check(variant: str, examples: int) -> None:
    text = load_prompt(VARIANTS[variant]).text
    pairs = re.findall(r"Report:\n(.*?)\nRewritten report:\n(.*?)(?:\n\n|\Z)", text, re.DOTALL)
    assert len(pairs) == examples
    outcomes = [check_rewritten(rewritten, report).outcome for report, rewritten in pairs]
    assert outcomes.count("nothing_left") == 1 and outcomes.count("accepted") == examples - 1
