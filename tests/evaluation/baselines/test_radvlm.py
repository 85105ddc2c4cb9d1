from radvlm_course.chat import to_messages
from radvlm_course.evaluation.baselines.radvlm import RadVLM, RadVLMThinking


def test_our_own_models_are_asked_the_question_of_the_example_and_thinking_ones_with_the_suffix(ask):
    example = ask("phrase_grounding")
    assert RadVLM().prompt(example) == to_messages(example)
    assert RadVLMThinking().prompt(example)[0]["content"][1]["text"] == example.question + " /think"


def test_their_answers_need_no_translation(ask):
    assert (
        RadVLM().parse(" It is at [0.1, 0.2, 0.3, 0.4]. ", ask("phrase_grounding")) == "It is at [0.1, 0.2, 0.3, 0.4]."
    )
    thought = "<think>dense [0.9, 0.9, 1, 1]</think> [0.1, 0.2, 0.3, 0.4]"
    assert RadVLMThinking().parse(thought, ask("phrase_grounding")) == "[0.1, 0.2, 0.3, 0.4]"


def test_a_thought_without_an_end_is_the_answer_in_the_paper_and_none_in_the_corrected_variant(ask):
    assert RadVLMThinking("paper").parse("<think>dense", ask("report_generation")) == "<think>dense"
    assert RadVLMThinking().parse("<think>dense", ask("report_generation")) is None


def test_thinking_models_get_room_to_think():
    assert RadVLM().generation("report_generation").max_new_tokens == 1024
    assert RadVLMThinking().generation("report_generation").max_new_tokens == 4096
