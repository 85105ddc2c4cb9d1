"""Rewards as a profile writes them: every form, and every mistake before anything is built."""

import pytest

from radvlm_course import rewards
from radvlm_course.rewards import get_reward, register_reward
from radvlm_course.rewards.choices import RewardChoice, build_rewards, check_choices, read_choices


def test_the_three_forms_mean_what_they_say() -> None:
    assert read_choices("gleu") == read_choices(["gleu"]) == (RewardChoice("gleu", "gleu"),)
    assert read_choices({"radcliq": 1, "thinking_format": 0.1}) == (
        RewardChoice("radcliq", "radcliq", 1.0),
        RewardChoice("thinking_format", "thinking_format", 0.1),
    )
    assert read_choices({"radgraph": {"weight": 2, "level": "partial"}, "fine": {"name": "radgraph"}}) == (
        RewardChoice("radgraph", "radgraph", 2.0, {"level": "partial"}),
        RewardChoice("fine", "radgraph", 1.0),
    )


def test_reading_changes_nothing_of_what_is_read() -> None:
    setting = {"soft_f1": {"weight": 1.0, "variant": "published"}}
    read_choices(setting)
    assert setting == {"soft_f1": {"weight": 1.0, "variant": "published"}}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({}, "at least one reward"),
        ([], "at least one reward"),
        (["gleu", "gleu"], "'gleu' is named twice"),
        ({"gleu": "1"}, r"gleu \(a weight, or a section.* must be a finite number, found '1'"),
        ({"gleu": True}, "found True"),
        ({"gleu": None}, "found None"),
        ({"gleu": {"weight": float("inf")}}, r"gleu\.weight must be a finite number, found inf"),
        ({"gleu": {"name": 3}}, r"gleu\.name must be the name of a reward, found 3"),
        ({"gleu": {3: 4}}, "names of options, found 3"),
    ],
)
def test_another_form_is_refused(setting, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_choices(setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("blue", r"blue: unknown reward 'blue' \(did you mean bleu\?\)"),
        ({"mine": {"name": "blue"}}, "mine: unknown reward 'blue'"),
        ({"gleu": {"n": 3}}, "gleu: the reward 'gleu' has no option 'n': expected some of weight$"),
        ({"soft_f1": {"varient": "paper"}}, r"no option 'varient' \(did you mean variant\?\)"),
        ({"soft_f1_published": {"variant": "paper"}}, "'soft_f1_published' has no option 'variant'"),
        ({"remote": {"reward": "gleu"}}, "'remote' needs the option 'url'"),
    ],
)
def test_what_cannot_be_built_is_found_without_building(setting, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_choices(read_choices(setting))


def test_checking_loads_no_weights() -> None:
    check_choices(read_choices({"radcliq": {"radgraph_model": "radgraph", "dtype": "bfloat16"}}))


def test_options_reach_the_reward_and_a_key_of_its_own_names_it() -> None:
    built = dict(build_rewards(read_choices({"boxes": {"name": "soft_f1", "variant": "published"}, "soft_f1": 1})))
    assert built["boxes"].name == "soft_f1_published"
    assert built["soft_f1"].name == "soft_f1"


def test_two_rewards_of_one_name_in_the_logs_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(rewards, "_REGISTRY", dict(rewards._REGISTRY))
    register_reward("copy", "radvlm_course.rewards.gleu:Gleu")
    with pytest.raises(ValueError, match=r"two rewards would be logged as 'gleu'.*name: copy"):
        build_rewards(read_choices(["gleu", "copy"]))


def test_one_reward_may_stand_twice_under_keys() -> None:
    setting = {"first": {"name": "gleu"}, "second": {"name": "gleu", "weight": 0.5}}
    assert [name for name, _ in build_rewards(read_choices(setting))] == ["first", "second"]
    assert type(build_rewards(read_choices(setting))[0][1]) is type(get_reward("gleu"))
