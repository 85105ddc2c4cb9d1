import pytest

from radvlm_course.evaluation.baselines.base import Generation
from radvlm_course.evaluation.baselines.deepmedix_r1 import DeepMedixR1
from radvlm_course.evaluation.baselines.predicting import complete

GOOD = r"<think>Region [30, 40, 200, 300] is clear.</think> The answer is: \boxed{The lungs are clear.}"


@pytest.mark.parametrize("variant", ["paper", "corrected"])
def test_the_boxed_text_after_the_thought_is_the_report(variant, ask):
    assert DeepMedixR1(variant).parse(GOOD, ask("report_generation")) == "The lungs are clear."


@pytest.mark.parametrize(
    ("written", "paper", "corrected"),
    [
        (r"<think>a \boxed{draft}", "draft", None),
        ("<think>The region [1, 2", "<think>The region [1, 2", None),
        ("<think>a</think> The answer is: Clear.", "The answer is: Clear.", "Clear."),
        (r"<think>a</think> \boxed{\text{Clear.} Heart {normal}.}", r"\text{Clear.", "Clear. Heart {normal}."),
        (r"<think>a</think> \boxed{Clear, no eff", "Clear, no eff", "Clear, no eff"),
        (r"<think>a</think> b </think> \boxed{Kein Erguss.}", "Kein Erguss.", "Kein Erguss."),
        ("<think>a</think>", "", ""),
        ("", "", None),
    ],
)
def test_broken_answers_in_both_variants(written, paper, corrected, ask):
    assert DeepMedixR1("paper").parse(written, ask("report_generation")) == paper
    assert DeepMedixR1().parse(written, ask("report_generation")) == corrected


def test_names_between_bars_are_read_as_names(ask):
    written = r"<think>x</think> \boxed{Edema | Pleural Effusion}"
    assert DeepMedixR1().parse(written, ask("abnormality_classification")) == "Edema and pleural effusion."


def test_its_own_format_follows_the_question_and_settings_are_those_of_the_paper(ask):
    (turn,) = DeepMedixR1().prompt(ask("report_generation"))
    assert r"put in \boxed{}" in turn["content"][1]["text"]
    assert DeepMedixR1("paper").generation("report_generation").temperature == 0.6
    assert DeepMedixR1().generation("report_generation").temperature == 0.0


def test_a_small_qwen2_5_vl_of_the_same_class_loads_from_a_folder_and_answers(tiny, tmp_path, ask):
    baseline = DeepMedixR1("paper")
    loaded = baseline.load(str(tiny.qwen2_5_vl(tmp_path)))
    examples = [ask("report_generation", identifier="a"), ask("report_generation", identifier="b")]
    alone = [next(complete(baseline, loaded, [example], 1, Generation(6))) for example in examples]
    assert list(complete(baseline, loaded, examples, 2, Generation(6))) == alone
    assert type(loaded.model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert loaded.processor.image_processor.size["longest_edge"] == 262_144
