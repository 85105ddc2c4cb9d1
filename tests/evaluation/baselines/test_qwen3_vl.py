import pytest

from radvlm_course.boxes import Box, parse_boxes, scan_boxes
from radvlm_course.evaluation.baselines.answers import NOTHING
from radvlm_course.evaluation.baselines.base import Generation
from radvlm_course.evaluation.baselines.predicting import complete
from radvlm_course.evaluation.baselines.qwen3_vl import Qwen3VL, Qwen3VLThinking
from radvlm_course.rewards.soft_f1 import claims_nothing

FENCED = '```json\n[\n\t{"bbox_2d": [123, 200, 300, 400], "label": "effusion"}\n]\n```'


@pytest.mark.parametrize(
    "text",
    [
        FENCED,
        '[{"bbox_2d": [123, 200, 300, 400], "label": "effusion"}]',
        '{"bbox_2d": [123,200,300,400]}',
        "The effusion is at [123, 200, 300, 400].",
        "(123,200),(300,400)",
    ],
)
def test_thousandths_in_any_of_its_formats_become_unit_coordinates(text, ask):
    assert Qwen3VL().parse(text, ask("phrase_grounding")) == "[0.1230, 0.2000, 0.3000, 0.4000]"
    assert Qwen3VL("paper").parse(text, ask("phrase_grounding")) == "[0.12, 0.20, 0.30, 0.40]"


def test_several_entries_are_several_boxes_and_a_broken_one_costs_itself(ask):
    text = (
        '[{"bbox_2d": [0, 0, 500, 500]}, {"bbox_2d": [900, 10, 100, 20]}, {"bbox_2d": [10, 20, 1300, 40]}, '
        '{"point_2d": [5, 6]}, {"bbox_2d": [500, 500, 1000, 1000]}]'
    )
    found, malformed = scan_boxes(Qwen3VL().parse(text, ask("abnormality_detection")))
    assert found == [Box(0, 0, 0.5, 0.5), Box(0.5, 0.5, 1, 1)]
    assert len(malformed) == 3


def test_a_list_that_was_cut_off_keeps_its_whole_boxes(ask):
    cut = '```json\n[{"bbox_2d": [0, 0, 500, 500], "label": "a"}, {"bbox_2d": [12, 30, 4'
    assert parse_boxes(Qwen3VL().parse(cut, ask("abnormality_detection"))) == [Box(0, 0, 0.5, 0.5)]
    nothing_whole = Qwen3VL().parse(cut[:25], ask("abnormality_detection"))
    assert not parse_boxes(nothing_whole)
    assert not claims_nothing(nothing_whole)


@pytest.mark.parametrize("text", ["[]", "```json\n[]\n```"])
def test_an_empty_list_is_its_way_to_say_that_there_is_nothing(text, ask):
    response = Qwen3VL().parse(text, ask("abnormality_detection"))
    assert response == NOTHING
    assert claims_nothing(response)


def test_a_thought_is_taken_off_with_its_boxes_and_one_without_an_end_is_no_answer(ask):
    example = ask("phrase_grounding")
    thought = "The region [1, 2, 30, 40] looks dense."
    assert parse_boxes(Qwen3VLThinking().parse(f"{thought}</think>\n{FENCED}", example)) == [Box(0.123, 0.2, 0.3, 0.4)]
    assert Qwen3VLThinking().parse(thought, example) is None
    assert Qwen3VLThinking("paper").parse(thought, example) == "[0.00, 0.00, 0.03, 0.04]"


def test_thinking_is_sampled_in_the_paper_and_decoded_like_the_others_in_the_corrected_variant():
    assert Qwen3VLThinking("paper").generation("report_generation").temperature == 1.0
    assert Qwen3VLThinking().generation("report_generation").temperature == 0.0
    assert Qwen3VL().generation("report_generation").max_new_tokens == 1024
    assert Qwen3VLThinking().generation("report_generation").max_new_tokens == 4096


def test_every_task_has_a_question_that_names_what_it_is_about(ask):
    def text(task):
        return Qwen3VL().prompt(ask(task, "left nodule"))[0]["content"][1]["text"]

    assert '"left nodule"' in text("phrase_grounding")
    assert "bbox_2d" in text("anatomical_grounding")
    assert "empty list" in text("abnormality_detection")
    assert "Atelectasis, Cardiomegaly" in text("abnormality_classification")
    assert text("conversation") == "Where is the pleural effusion?"


def test_reports_and_names_are_read_like_those_of_the_other_chat_models(ask):
    assert Qwen3VL().parse("**Findings:** Clear.", ask("report_generation")) == "Clear."
    assert Qwen3VL("paper").parse("**Findings:** Clear.", ask("report_generation")) == "**Findings:** Clear."
    assert Qwen3VL().parse("Edema, Fracture", ask("abnormality_classification")) == "Edema and fracture."
    assert Qwen3VL().parse("It [1, 2, 3, 4] is.", ask("conversation")) == "It [1, 2, 3, 4] is."


def test_a_small_qwen3_vl_of_the_same_class_loads_from_a_folder_and_answers(tiny_folder, ask):
    baseline = Qwen3VLThinking()
    loaded = baseline.load(str(tiny_folder), max_pixels=32 * 32)
    assert loaded.processor.image_processor.size["longest_edge"] == 32 * 32
    assert len(list(complete(baseline, loaded, [ask("phrase_grounding")], 1, Generation(4)))) == 1
