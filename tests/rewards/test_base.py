"""The contract of rewards: lengths, types, tasks, finite values, and errors that name the example."""

import math

import pytest

from radvlm_course.records import Example
from radvlm_course.rewards.base import Reward, RewardError, TextReward


class Length(Reward):
    """A reward for tests: the share of 100 characters that a response fills."""

    name = "length"
    range = (0.0, 1.0)
    empty_value = 0.25
    tasks = ("report_generation",)

    def score(self, response: str, example: Example) -> float:
        if response == "break":
            raise ZeroDivisionError("scorer broke")
        return math.nan if response == "nan" else len(response) / 100


def example(identifier: str = "e1", task: str = "report_generation") -> Example:
    return Example(identifier, task, "film.png", "Report?", "Normal.")


def test_scores_come_in_order_and_blank_completions_earn_the_empty_value() -> None:
    assert Length()(["ab", " \n", "abcd", ""], [example(str(i)) for i in range(4)]) == [0.02, 0.25, 0.04, 0.25]


def test_an_empty_batch_gives_no_values() -> None:
    assert Length()([], []) == []


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="1 completions and 2 examples"):
        Length()(["a"], [example(), example()])


def test_one_string_instead_of_a_list_is_refused() -> None:
    with pytest.raises(TypeError, match="put it into a list"):
        Length()("abc", [example(), example(), example()])


def test_messages_instead_of_text_name_the_example_and_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"'e1'.*completion_text"):
        Length()([[{"role": "assistant", "content": "a"}]], [example()])  # type: ignore[list-item]


def test_an_example_of_another_task_is_refused_by_name() -> None:
    with pytest.raises(RewardError, match=r"'e7' is phrase_grounding"):
        Length()(["a"], [example("e7", "phrase_grounding")])


def test_a_broken_scorer_raises_naming_the_example_instead_of_a_low_reward() -> None:
    with pytest.raises(RewardError, match=r"length failed on example 'e2': ZeroDivisionError"):
        Length()(["a", "break"], [example("e1"), example("e2")])


def test_a_value_that_is_not_finite_or_out_of_range_names_the_example() -> None:
    with pytest.raises(RewardError, match=r"nan for example 'e1'"):
        Length()(["nan"], [example()])
    with pytest.raises(RewardError, match=r"1.5 for example 'e1'.*\[0.0, 1.0\]"):
        Length()(["a" * 150], [example()])


def test_a_batch_scorer_that_loses_a_value_or_breaks_is_caught() -> None:
    class Short(Length):
        def score_batch(self, responses, examples):  # type: ignore[no-untyped-def]
            return []

    class Broken(Length):
        def score_batch(self, responses, examples):  # type: ignore[no-untyped-def]
            raise OSError("model is gone")

    with pytest.raises(RewardError, match="0 values for 1 completions"):
        Short()(["a"], [example()])
    with pytest.raises(RewardError, match=r"failed on example 'e1'.*model is gone"):
        Broken()(["a"], [example()])


def test_the_example_that_a_batch_breaks_on_is_found_among_many() -> None:
    class Batched(Length):
        def score_batch(self, responses, examples):  # type: ignore[no-untyped-def]
            if "bad" in responses:
                raise OSError("broken")
            return [0.0] * len(responses)

    for place in range(7):
        responses = ["a"] * 7
        responses[place] = "bad"
        with pytest.raises(RewardError, match=rf"failed on example 'e{place}': OSError\('broken'\)"):
            Batched()(responses, [example(f"e{number}") for number in range(7)])


def test_a_batch_that_breaks_as_a_whole_only_names_its_first_examples() -> None:
    class Large(Length):
        def score_batch(self, responses, examples):  # type: ignore[no-untyped-def]
            if len(responses) > 2:
                raise MemoryError("too large")
            return [0.0] * len(responses)

    with pytest.raises(RewardError, match=r"batch of 4 but on no example alone \(first: 'e0', 'e1', 'e2'\).*too large"):
        Large()(["a"] * 4, [example(f"e{number}") for number in range(4)])


def test_a_text_reward_needs_a_reference_that_is_text() -> None:
    class Same(TextReward):
        name, range, empty_value = "same", (0.0, 1.0), 0.0

        def score(self, response: str, example: Example) -> float:
            return float(response == example.answer)

    assert Same()(["Normal.", "x"], [example(), example()]) == [1.0, 0.0]
    for answer, message in (("\n", "reference of example 'e9' is empty"), (None, "example 'e9', found NoneType")):
        wrong = Example("e9", "report_generation", "film.png", "Report?", answer)  # type: ignore[arg-type]
        with pytest.raises(RewardError, match=message):
            Same()(["a"], [wrong])
