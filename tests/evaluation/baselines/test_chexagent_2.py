import pytest
import torch

from radvlm_course.boxes import parse_boxes, scan_boxes
from radvlm_course.evaluation.baselines.base import Generation
from radvlm_course.evaluation.baselines.chexagent_2 import DRAWN_ABNORMALITY, CheXagent2
from radvlm_course.evaluation.baselines.predicting import complete
from radvlm_course.rewards.soft_f1 import claims_nothing

ONE = "<|ref|>consolidation<|/ref|> <|box|> (17,40), (37,54) <|/box|>"


@pytest.mark.parametrize("variant", ["paper", "corrected"])
@pytest.mark.parametrize("text", [ONE, "<|box|> (17,40),(37,54) <|/box|>", "It is at <|box|>(17,40),(37,54)<|/box|>."])
def test_hundredths_between_box_tags_become_unit_coordinates(variant, text, ask):
    response = CheXagent2(variant).parse(text, ask("abnormality_grounding"))
    assert response == "[0.1700, 0.4000, 0.3700, 0.5400]"


def test_several_boxes_are_read_in_their_order(ask):
    text = f"{ONE} <|box|> (1,2),(3,4)<|/box|><|box|>(5,6),(7,8)<|/box|>"
    assert [box.x1 for box in parse_boxes(CheXagent2().parse(text, ask("phrase_grounding")))] == [0.17, 0.01, 0.05]


def test_boxes_without_tags_are_read_in_the_corrected_variant_only(ask):
    assert parse_boxes(CheXagent2().parse("(17,40),(37,54)", ask("phrase_grounding")))
    assert not parse_boxes(CheXagent2("paper").parse("(17,40),(37,54)", ask("phrase_grounding")))


@pytest.mark.parametrize(
    "text",
    [
        "<|box|> (37,40), (17,54) <|/box|>",
        "<|box|> (17,40), (137,54) <|/box|>",
        "<|box|> (17,40), (17,54) <|/box|>",
        "<|box|> (17,40) <|/box|>",
        "<|box|> nodule <|/box|>",
        "<|box|> (17,40), (3",
    ],
)
def test_inverted_out_of_range_and_unfinished_boxes_are_malformed(text, ask):
    response = CheXagent2().parse(text, ask("abnormality_grounding"))
    assert (len(scan_boxes(response)[0]), len(scan_boxes(response)[1])) == (0, 1)
    assert not claims_nothing(response)


def test_an_answer_in_words_says_that_there_is_nothing(ask):
    assert CheXagent2().parse("No consolidation.", ask("abnormality_grounding")) == "No consolidation."


def test_a_report_keeps_its_words_and_loses_its_boxes_in_the_corrected_variant(ask):
    text = f"There is {ONE} on the right."
    assert CheXagent2().parse(text, ask("report_generation")) == "There is consolidation on the right."
    assert CheXagent2("paper").parse(text, ask("report_generation")) == text


def test_the_corrected_variant_always_asks_with_the_words_of_its_demonstration(ask):
    ids = [f"e{number}" for number in range(30)]
    asked = {CheXagent2().prompt(ask("abnormality_grounding", "edema", name)) for name in ids}
    assert asked == {"Locate areas in the chest X-ray where edema are present, using bounding box coordinates"}
    assert CheXagent2().prompt(ask("phrase_grounding", "A nodule.")) == "Please locate the following phrase: A nodule."


def test_the_paper_draws_a_question_for_each_example_and_always_the_same_one(ask):
    ids = [f"e{number}" for number in range(200)]
    asked = [CheXagent2("paper").prompt(ask("abnormality_grounding", "edema", name)) for name in ids]
    assert set(asked) == {wording.format(target="edema") for wording in DRAWN_ABNORMALITY}
    assert asked == [CheXagent2("paper").prompt(ask("abnormality_grounding", "edema", name)) for name in ids]
    assert len({CheXagent2("paper").prompt(ask("phrase_grounding", "x", name)) for name in ids}) == 2


def test_classification_lists_the_thirteen_findings_and_reads_names(ask):
    example = ask("abnormality_classification")
    options = CheXagent2().prompt(example).partition("Options:\n")[2].split(", ")
    assert (len(options), options[0], options[-1]) == (13, "Atelectasis", "Support Devices")
    assert CheXagent2().parse("Edema, Atelectasis", example) == "Atelectasis and edema."


def test_a_small_model_with_code_of_its_own_loads_with_consent_and_opens_the_film_from_its_path(
    tiny, no_hub, tmp_path, ask
):
    baseline = CheXagent2()
    loaded = baseline.load(str(tiny.chexagent_2(tmp_path)), trust_remote_code=True)
    assert type(loaded.model).__name__ == "CheXagentForCausalLM"
    completions = list(complete(baseline, loaded, [ask(task) for task in baseline.tasks], 4, Generation(6)))
    assert len(completions) == len(baseline.tasks)


def test_box_tags_are_special_tokens_and_survive_decoding(tiny, no_hub, tmp_path, ask, monkeypatch):
    baseline = CheXagent2()
    loaded = baseline.load(str(tiny.chexagent_2(tmp_path)), trust_remote_code=True)
    written = loaded.processor("<|box|>(17,40),(37,54)<|/box|>", add_special_tokens=False)["input_ids"]
    end = [loaded.processor.eos_token_id]
    monkeypatch.setattr(
        loaded.model, "generate", lambda ids, **arguments: torch.cat([ids, torch.tensor([written + end])], dim=1)
    )
    (completion,) = baseline.answer(loaded, [ask("abnormality_grounding")], Generation(20))
    assert completion == ("<|box|>(17,40),(37,54)<|/box|>", "stop")
