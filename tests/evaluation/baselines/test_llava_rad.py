import sys

import pytest

from radvlm_course.evaluation.baselines.base import BaselineError, Generation
from radvlm_course.evaluation.baselines.llava_rad import LlavaRad
from radvlm_course.evaluation.baselines.predicting import complete


def test_text_is_all_it_writes(ask):
    assert LlavaRad().parse(" The lungs are clear. ", ask("report_generation")) == "The lungs are clear."
    assert LlavaRad().tasks == ("report_generation",)


def test_it_is_asked_in_the_words_it_was_trained_on(ask):
    assert LlavaRad().prompt(ask("report_generation")) == "<image>\nDescribe the findings of the chest x-ray.\n"


def test_without_its_package_it_says_which_one_and_that_it_needs_an_environment_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BaselineError, match=r"needs the package llava of github.com/microsoft/LLaVA-Rad, which is not"):
        LlavaRad().load(str(tmp_path), trust_remote_code=True)


@pytest.mark.parametrize("returns_the_prompt", [False, True])
def test_with_a_package_of_that_name_it_loads_and_answers_without_repeating_the_prompt(
    returns_the_prompt, tiny, tmp_path, ask, monkeypatch
):
    root = tiny.llava_rad(tmp_path)
    monkeypatch.syspath_prepend(root)
    for name in [name for name in sys.modules if name.partition(".")[0] == "llava"]:
        monkeypatch.delitem(sys.modules, name)
    baseline = LlavaRad()
    loaded = baseline.load(str(root / "weights"), base=str(root / "base"), device="cpu", trust_remote_code=True)
    expected = baseline.answer(loaded, [ask("report_generation")], Generation(6))
    loaded.model.returns_the_prompt = returns_the_prompt
    (completion,) = complete(baseline, loaded, [ask("report_generation")], 1, Generation(6))
    assert [completion] == expected
    assert "USER" not in completion.text
