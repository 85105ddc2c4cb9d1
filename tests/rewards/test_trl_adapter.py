"""The adapter to TRL: messages, thoughts, columns, several tasks, early errors."""

import pytest

from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward
from radvlm_course.rewards.trl_adapter import as_trl_reward

EXAMPLES = {
    "g": Example("g", "abnormality_grounding", "a.png", "Where?", "There.", (Box(0.1, 0.1, 0.5, 0.5),)),
    "r": Example("r", "report_generation", "a.png", "Report?", "No effusion."),
}
RIGHT = "[0.1, 0.1, 0.5, 0.5]"


def messages(text: str) -> list[dict[str, object]]:
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


def test_strings_and_messages_score_the_same_and_other_columns_are_ignored() -> None:
    function = as_trl_reward(get_reward("soft_f1"), EXAMPLES)
    columns = {"prompts": ["p", "p"], "completion_ids": [[1], [2]], "trainer_state": None}
    assert function(completions=[RIGHT, messages(RIGHT)], example_id=["g", "g"], **columns) == [1.0, 1.0]


def test_trl_logs_it_under_the_rewards_name() -> None:
    assert as_trl_reward(get_reward("soft_f1", variant="published"), EXAMPLES).__name__ == "soft_f1_published"


def test_the_thought_is_taken_off_at_its_last_end() -> None:
    function = as_trl_reward(get_reward("soft_f1"), EXAMPLES, thinking=True)
    thought = f"<think>maybe [0.6, 0.6, 0.9, 0.9] </think> or </think> {RIGHT}"
    assert function(completions=[thought], example_id=["g"]) == [1.0]


def test_a_thought_that_never_ends_earns_the_empty_value() -> None:
    unfinished = f"<think>it is {RIGHT}"
    assert as_trl_reward(get_reward("soft_f1"), EXAMPLES, thinking=True)([unfinished], ["g"]) == [0.0]
    assert as_trl_reward(get_reward("soft_f1"), EXAMPLES, thinking=False)([unfinished], ["g"]) == [1.0]


def test_examples_of_other_tasks_get_none() -> None:
    completions, ids = [RIGHT, "No effusion."], ["g", "r"]
    assert as_trl_reward(get_reward("soft_f1"), EXAMPLES)(completions, ids) == [1.0, None]
    assert as_trl_reward(get_reward("gleu"), EXAMPLES)(completions, ids) == [None, 1.0]


def test_a_missing_column_an_unknown_id_and_lengths_that_differ_are_named() -> None:
    function = as_trl_reward(get_reward("gleu"), EXAMPLES)
    with pytest.raises(RewardError, match="column 'example_id', found answer"):
        function(completions=["a"], answer=["b"])
    with pytest.raises(RewardError, match=r"example_id 'x'.*2 examples"):
        function(completions=["a"], example_id=["x"])
    with pytest.raises(RewardError, match="2 completions but 1 example ids"):
        function(completions=["a", "b"], example_id=["r"])


@pytest.mark.parametrize("wrong", [None, 3, [{"role": "assistant"}], [{"role": "assistant", "content": None}]], ids=str)
def test_a_completion_that_is_neither_text_nor_messages_names_its_example(wrong) -> None:
    function = as_trl_reward(get_reward("soft_f1"), EXAMPLES)
    with pytest.raises(TypeError, match=r"soft_f1: the completion for example 'g': expected .*found"):
        function([messages("No effusion."), wrong], ["r", "g"])


def test_an_example_that_cannot_be_judged_is_found_before_training() -> None:
    broken = {**EXAMPLES, "empty": Example("empty", "report_generation", "a.png", "Report?", "")}
    with pytest.raises(RewardError, match="example 'empty' is empty"):
        as_trl_reward(get_reward("gleu"), broken)


def test_a_reward_for_none_of_the_tasks_is_refused() -> None:
    with pytest.raises(RewardError, match="the training set has abnormality_grounding"):
        as_trl_reward(get_reward("gleu"), {"g": EXAMPLES["g"]})


def test_example_ids_reach_trls_completions_log_only_when_asked() -> None:
    logged: list[tuple[str, list[str]]] = []
    for log in (False, True):
        function = as_trl_reward(get_reward("gleu"), EXAMPLES, log_example_id=log)
        function(["a", "b"], ["r", "g"], log_extra=lambda column, values: logged.append((column, values)))
    assert logged == [("example_id", ["r", "g"])]


def test_a_clinical_reward_scores_conversations_without_their_thoughts(metric_weights) -> None:
    reward = get_reward("radcliq", device="cpu")
    function = as_trl_reward(reward, EXAMPLES, thinking=True)
    completions = [
        messages("<think>No effusion?</think>Small effusion."),
        messages("<think>No effusion."),
        messages(""),
    ]
    values = function(completions=completions, example_id=["r", "r", "r"], prompts=[[]] * 3, image=[None] * 3)
    assert function.__name__ == "radcliq"
    assert values[0] == pytest.approx(reward(["Small effusion."], [EXAMPLES["r"]])[0], abs=1e-5)
    assert values[1:] == [reward.empty_value] * 2
