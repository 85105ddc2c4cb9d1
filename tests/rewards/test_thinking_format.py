"""thinking_format: one thought that ends, then a response."""

import pytest

from radvlm_course.records import TASKS, Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.trl_adapter import as_trl_reward

EXAMPLE = Example("e1", "report_generation", "film.png", "Report?", "Normal.")


def value(completion: str, **options: bool) -> float:
    return get_reward("thinking_format", **options)([completion], [EXAMPLE])[0]


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("<think>The heart is wide.</think> Cardiomegaly.", 1.0),
        ("  <think>\nThe heart\nis wide.\n</think>\nCardiomegaly.\n", 1.0),
        ("The heart is wide.</think>Cardiomegaly.", 1.0),  # the template wrote <think>
        ("Cardiomegaly.", 0.0),
        ("<think>The heart is wi", 0.0),
        ("<think>The heart is wide.</think>", 0.0),
        ("<think>The heart is wide.</think> \n", 0.0),
        ("<think> </think> Cardiomegaly.", 0.0),
        ("</think> Cardiomegaly.", 0.0),
        ("<think>a</think> b </think> Cardiomegaly.", 0.0),
        ("<think>a <think>b</think> Cardiomegaly.", 0.0),
        ("<think>a</think> <think>b</think> Cardiomegaly.", 0.0),
        ("Well <think>a</think> Cardiomegaly.", 0.0),
        ("", 0.0),
    ],
)
def test_forms(completion: str, expected: float) -> None:
    assert value(completion) == expected


def test_the_opening_tag_can_be_demanded() -> None:
    assert value("a</think>b", begin=True) == 0.0
    assert value("<think>a</think>b", begin=True) == 1.0


def test_it_judges_every_task() -> None:
    assert get_reward("thinking_format").tasks == TASKS


def test_in_training_it_gets_the_thought_that_other_rewards_do_not_see() -> None:
    completions = ["<think>a</think> Normal.", [{"role": "assistant", "content": "<think>no end"}]]
    form, words = (
        as_trl_reward(get_reward(name), {"e1": EXAMPLE}, thinking=True)(completions, ["e1", "e1"])
        for name in ("thinking_format", "gleu")
    )
    assert form == [1.0, 0.0]
    assert words == [1.0, 0.0]
