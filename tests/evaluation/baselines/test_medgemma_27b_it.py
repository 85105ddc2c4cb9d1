import pytest

from radvlm_course.evaluation.baselines.base import Generation
from radvlm_course.evaluation.baselines.medgemma_27b_it import MedGemma27B
from radvlm_course.evaluation.baselines.predicting import complete


def test_the_expert_radiologist_is_the_system_message_and_classification_lists_the_options(ask):
    system, user = MedGemma27B(classes=("Edema", "Fracture")).prompt(ask("abnormality_classification"))
    assert system["content"][0]["text"] == "You are an expert radiologist."
    assert "Edema, Fracture?" in user["content"][1]["text"]


@pytest.mark.parametrize(
    ("written", "paper", "corrected"),
    [
        ("**Findings:** Clear lungs.", "**Findings:** Clear lungs.", "Clear lungs."),
        ("<unused94>thought\nhm<unused95>Clear lungs.", "<unused94>thought\nhm<unused95>Clear lungs.", "Clear lungs."),
        ("<unused94>thought\nThe heart", "<unused94>thought\nThe heart", None),
        ("Kein Erguss.", "Kein Erguss.", "Kein Erguss."),
        ("", "", ""),
    ],
)
def test_reports_lose_heading_and_thought_in_the_corrected_variant(written, paper, corrected, ask):
    assert MedGemma27B("paper").parse(written, ask("report_generation")) == paper
    assert MedGemma27B().parse(written, ask("report_generation")) == corrected


def test_names_are_listed_in_our_wording(ask):
    example = ask("abnormality_classification")
    assert MedGemma27B().parse("Edema, Fracture", example) == "Edema and fracture."
    assert MedGemma27B("paper").parse("Edema, Fracture", example) == "Edema, Fracture"


def test_a_small_gemma_of_the_same_classes_loads_from_a_folder_and_answers_in_its_chat_format(gemma_folder, ask):
    baseline = MedGemma27B()
    loaded = baseline.load(str(gemma_folder))
    examples = [ask("report_generation"), ask("abnormality_classification")]
    assert len(list(complete(baseline, loaded, examples, 2, Generation(6)))) == 2
