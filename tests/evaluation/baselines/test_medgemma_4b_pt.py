import pytest

from radvlm_course.evaluation.baselines.base import Generation
from radvlm_course.evaluation.baselines.medgemma_4b_pt import MedGemma4B, tidied
from radvlm_course.evaluation.baselines.predicting import complete


def test_it_is_asked_to_go_on_after_the_word_findings(ask):
    assert MedGemma4B().prompt(ask("report_generation")) == "<start_of_image> findings:"


def test_the_paper_cuts_it_off_at_100_tokens_and_the_corrected_variant_does_not():
    assert MedGemma4B("paper").generation("report_generation").max_new_tokens == 100
    assert MedGemma4B("corrected").generation("report_generation").max_new_tokens == 512


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("  the heart is\n normal .", "the heart is normal"),
        ("clear , , no effusion..", "clear, no effusion"),
        (", . normal;", "normal"),
        ("no effusion ,. no pneumothorax", "no effusion. no pneumothorax"),
        ("", ""),
    ],
)
def test_the_paper_tidies_punctuation_and_white_space(written, read, ask):
    assert tidied(written) == read
    assert MedGemma4B("paper").parse(written, ask("report_generation")) == read


def test_the_corrected_report_ends_where_the_next_section_begins(ask):
    written = " The lungs are clear.\n\nIMPRESSION: No acute process."
    assert MedGemma4B().parse(written, ask("report_generation")) == "The lungs are clear."
    assert MedGemma4B().parse("The impression of a nodule is seen.", ask("report_generation")).endswith("is seen.")


def test_a_small_gemma_of_the_same_classes_loads_from_a_folder_and_answers(gemma_folder, ask):
    baseline = MedGemma4B("paper")
    loaded = baseline.load(str(gemma_folder))
    completions = list(complete(baseline, loaded, [ask("report_generation")] * 3, 2, Generation(6)))
    assert len(completions) == 3 and len(set(completions)) == 1
    assert completions[0].finish_reason in ("stop", "length")
    assert type(loaded.model).__name__ == "Gemma3ForConditionalGeneration"
    assert not loaded.model.training
