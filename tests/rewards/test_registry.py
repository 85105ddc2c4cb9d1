"""The registry of rewards: names, lazy building, clear errors; and what every registered reward keeps."""

import math
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course import rewards
from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.rewards import Reward, RewardError, get_reward, random_weights, register_reward, reward_names
from radvlm_course.rewards.base import TextReward
from radvlm_course.rewards.model_reward import ModelReward
from radvlm_course.rewards.trl_adapter import as_trl_reward

HERE = sorted(set(reward_names()) - {"remote"})  # that one is another service's reward under its own name
REPORT = "Mild cardiomegaly. Small left pleural effusion at the base. No pneumothorax is seen."
SANE = {
    "exact": REPORT,
    "near": "Mild cardiomegaly. Small right pleural effusion.",
    "a box": "At [0.1, 0.1, 0.5, 0.4].",
    "a thought": "<think>wide heart</think> Mild cardiomegaly.",
}
BLANK = {"empty": "", "white": " \n\t\u3000\u00a0"}
STRANGE = {
    "no width": "\u200b\u200d",
    "emoji": "\U0001fac1 \U0001f600 " * 20,
    "control characters": "\x00 \x07",
    "half a character": "No effusion \udc80.",
    "other languages": "Pas d'\u00e9panchement. \u041a\u0430\u0440\u0434\u0438\u043e. \u80ba\u90e8\u6e05\u6670\u3002",
    "right to left": "\u0644\u0627 \u064a\u0648\u062c\u062f \u0627\u0646\u0635\u0628\u0627\u0628",
    "special tokens": "[SEP] <s> heart <|im_end|> [CLS] </s>",
    "the end of a thought": "</think>",
    "long": "The heart size is normal. " * 200,
    "one long word": "a" * 5000,
    "brackets": "[" * 3000,
}


@pytest.fixture(scope="module", params=HERE)
def reward(request, metric_weights_folder) -> Reward:
    with random_weights.used(metric_weights_folder):
        return get_reward(request.param)


def asked(reward: Reward, identifier: str = "e1", answer: str = REPORT) -> Example:
    boxes = (Box(0.1, 0.1, 0.5, 0.5), Box(0.6, 0.1, 0.9, 0.5))
    return Example(identifier, reward.tasks[0], "film.png", "Question?", answer, boxes, source="phantom")


def same(reward: Reward, values: list[float]):
    """Equal to the last bit; within the rounding of the arithmetic where a model reads texts in batches."""
    return pytest.approx(values, abs=2e-5) if isinstance(reward, ModelReward) else values


def test_any_text_has_a_value_and_takes_none_from_its_neighbours(reward) -> None:
    texts = {**SANE, **BLANK, **STRANGE}
    alone = {kind: reward([text], [asked(reward)])[0] for kind, text in texts.items()}
    low, high = reward.range
    assert all(math.isfinite(value) and low - 1e-6 <= value <= high + 1e-6 for value in alone.values()), alone
    assert {alone[kind] for kind in BLANK} == {reward.empty_value}
    assert reward(list(texts.values()), [asked(reward)] * len(texts)) == same(reward, list(alone.values()))


def test_what_is_no_text_is_refused_by_name_wherever_it_stands(reward) -> None:
    examples = [asked(reward, f"e{number}") for number in range(3)]
    for place in range(3):
        completions = [REPORT] * 3
        for wrong in (None, 3, b"bytes", [{"role": "assistant", "content": REPORT}]):
            completions[place] = wrong  # type: ignore[call-overload]
            with pytest.raises(TypeError, match=f"expected text for example 'e{place}', found {type(wrong).__name__}"):
                reward(completions, examples)


def test_a_missing_reference_is_refused_by_name(reward) -> None:
    for answer in (None, *BLANK.values()):
        examples = [asked(reward, "e1"), asked(reward, "lacking", answer)]  # type: ignore[arg-type]
        if not isinstance(reward, TextReward):  # boxes and forms are not compared with the answer's text
            assert reward([REPORT, SANE["a box"]], examples) == reward([REPORT, SANE["a box"]], examples[:1] * 2)
            continue
        with pytest.raises(RewardError, match="example 'lacking'"):
            reward([REPORT, REPORT], examples)


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_reference_gives_values_or_is_refused_by_name(reward, kind) -> None:
    example = asked(reward, "strange", STRANGE[kind])
    try:
        values = reward([REPORT, STRANGE[kind], ""], [example] * 3)
    except RewardError as error:
        assert "'strange'" in str(error)
    else:
        assert all(math.isfinite(value) for value in values)
        assert values[2] == reward.empty_value


def test_a_pair_alone_among_eight_and_among_many_in_any_order_earns_the_same(reward) -> None:
    few = list(SANE.values())
    words = REPORT.split()
    rng = random.Random(0)
    count = 60 if isinstance(reward, ModelReward) else 996  # test_model_reward.py has a thousand for the models
    many = few + [f"{' '.join(rng.sample(words, 7))} {number}" for number in range(count)]
    references = [REPORT, *many[4:10]]
    examples = [asked(reward, f"e{number % 7}", references[number % 7]) for number in range(len(many))]
    alone = [reward([text], [example])[0] for text, example in zip(few, examples, strict=False)]
    assert reward(many[:8], examples[:8])[:4] == same(reward, alone)
    order = list(range(len(many)))
    rng.shuffle(order)
    shuffled = reward([many[index] for index in order], [examples[index] for index in order])
    assert [shuffled[order.index(index)] for index in range(4)] == same(reward, alone)


def test_only_what_follows_the_last_thought_is_scored_and_no_end_is_no_response(reward) -> None:
    function = as_trl_reward(reward, {"e1": asked(reward)}, thinking=True)
    if reward.judges == "completion":  # the form of the thought is what it judges
        assert function(["<think>Wide.</think> Mild.", "<think>Wide."], ["e1"] * 2) == [1.0, 0.0]
        return
    thought = "<think>Large pneumothorax. [0, 0, 1, 1] </think> [0.6, 0.6, 0.7, 0.7] </think> "
    unfinished = ["<think>" + text for text in SANE.values() if "</think>" not in text]
    expected = reward([REPORT, SANE["near"], SANE["a box"], ""], [asked(reward)] * 4)
    completions = [thought + text for text in (REPORT, SANE["near"], SANE["a box"], "")]
    assert function(completions, ["e1"] * 4) == same(reward, expected)
    assert function(unfinished, ["e1"] * len(unfinished)) == [reward.empty_value] * len(unfinished)


PIECES = [*REPORT.split(), "no", "right", "clear", "[0.1, 0.1, 0.5, 0.5]", "<think>", "</think>", "\u80ba", ".", "\x00"]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join), min_size=1, max_size=6))
@settings(max_examples=20)
def test_texts_of_any_kind_earn_together_and_backwards_what_they_earn_alone(texts) -> None:
    for name in HERE:
        if name in ("radgraph", "chexbert", "bertscore", "radcliq"):
            continue  # tests/rewards/scorers has the same of their models, text by text
        reward = get_reward(name)
        examples = [asked(reward, f"e{number}") for number in range(len(texts))]
        alone = [reward([text], [example])[0] for text, example in zip(texts, examples, strict=True)]
        assert reward(texts, examples) == alone, name
        assert reward(texts[::-1], examples)[::-1] == alone, name


def test_an_exact_match_earns_the_most(reward) -> None:
    best = "<think>Wide.</think> Mild." if reward.judges == "completion" else REPORT
    if not isinstance(reward, TextReward) and reward.judges == "response":
        best = "[0.1, 0.1, 0.5, 0.5] and [0.6, 0.1, 0.9, 0.5]"
    texts = [best, *SANE.values(), *STRANGE.values()]
    values = reward(texts, [asked(reward)] * len(texts))
    assert values[0] == pytest.approx(max(values), abs=1e-5)
    assert values[0] > min(values)


def test_every_registered_reward_declares_the_contract(metric_weights) -> None:
    for name in HERE:
        reward = get_reward(name)
        low, high = reward.range
        assert reward.name == name
        assert low <= reward.empty_value <= high
        assert reward.tasks
        assert reward.judges in ("response", "completion")


def test_the_rewards_of_the_course_are_registered() -> None:
    assert set(reward_names()) >= {"soft_f1", "gleu", "bleu", "rouge_1", "rouge_2", "rouge_l", "thinking_format"}
    assert set(reward_names()) >= {"fact_precision", "fact_recall", "fact_f1"}
    assert set(reward_names()) >= {"radcliq", "radgraph", "bertscore", "chexbert"}


def test_a_remote_reward_needs_an_address_and_a_name() -> None:
    with pytest.raises(TypeError, match=r"'remote'.*url"):
        get_reward("remote")


def test_options_reach_the_reward() -> None:
    assert get_reward("soft_f1", variant="published").name == "soft_f1_published"


def test_an_unknown_name_lists_the_names_that_exist() -> None:
    with pytest.raises(ValueError, match=r"unknown reward 'blue'.*bleu, chexbert, fact_f1"):
        get_reward("blue")


def test_an_unknown_option_names_the_reward_and_the_option() -> None:
    with pytest.raises(TypeError, match=r"'gleu'.*max_len"):
        get_reward("gleu", max_len=3)


def test_a_reward_can_be_registered_and_its_name_is_then_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "_REGISTRY", dict(rewards._REGISTRY))
    register_reward("mine", "radvlm_course.rewards.soft_f1:SoftF1", variant="published")
    assert isinstance(get_reward("mine"), Reward)
    with pytest.raises(ValueError, match="'mine' is taken"):
        register_reward("mine", "somewhere:Else")
    with pytest.raises(ValueError, match=r"package\.module:attribute"):
        register_reward("other", "somewhere")


def test_listing_names_imports_no_scorer_and_no_torch() -> None:
    code = (
        "import sys; from radvlm_course.rewards import reward_names; reward_names(); "
        "print([m for m in ('torch', 'nltk', 'scipy', 'rouge_score', 'sacrebleu', 'radgraph') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
