import pytest

from radvlm_course.evaluation.baselines import get_baseline
from radvlm_course.evaluation.baselines.base import BaselineError, Completion, Generation, user_turn
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.records import Example


def test_an_example_of_a_task_that_it_does_not_do_is_refused_with_those_it_does(ask):
    with pytest.raises(BaselineError, match=r"LLaVA-Rad answers report_generation; example 'e0' is phrase_grounding"):
        get_baseline("llava_rad").prompt(ask("phrase_grounding"))


@pytest.mark.parametrize("labels", [(), ("a", "b"), (" ",)])
def test_an_example_without_exactly_one_target_cannot_be_grounded(film, labels):
    example = Example("e1", "phrase_grounding", film, "Where?", "", labels=labels)
    with pytest.raises(BaselineError, match=r"expected example 'e1' \(phrase_grounding\) to have one label"):
        get_baseline("maira_2").prompt(example)


def test_a_prediction_carries_what_was_written_what_was_read_and_how_it_was_generated(ask):
    baseline = get_baseline("qwen3_vl", variant="paper")
    written = '[{"bbox_2d": [100, 200, 300, 400], "label": "effusion"}]'
    prediction = baseline.prediction(ask("phrase_grounding"), Completion(written, "stop"))
    assert (prediction.completion, prediction.response) == (written, "[0.10, 0.20, 0.30, 0.40]")
    assert prediction.model == "qwen3_vl (paper)"
    assert prediction.generation == {
        "max_new_tokens": 1024,
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": 0,
        "variant": "paper",
        "thinking": False,
    }
    assert Prediction.from_line(prediction.to_line()) == prediction


def test_a_prediction_records_other_settings_where_others_were_used(ask):
    prediction = get_baseline("llava_rad").prediction(
        ask("report_generation"), Completion("Clear.", "length"), Generation(7, temperature=0.5)
    )
    assert (prediction.generation["max_new_tokens"], prediction.generation["temperature"]) == (7, 0.5)
    assert prediction.finish_reason == "length"


@pytest.mark.parametrize("wrong", [{"max_new_tokens": 0}, {"temperature": -1}, {"top_p": 0}, {"top_k": -1}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(BaselineError, match="expected max_new_tokens >= 1"):
        Generation(**{"max_new_tokens": 5, **wrong})


def test_a_user_turn_has_the_image_first_and_the_system_message_before():
    system, user = user_turn("What?", "Be brief.")
    assert system == {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    assert [part["type"] for part in user["content"]] == ["image", "text"]
    assert len(user_turn("What?")) == 1
