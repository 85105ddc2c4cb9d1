"""What every reward with a model keeps: the contract, in any batch, for any text."""

import gc
import math
import random
import weakref

import pytest

from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward
from radvlm_course.rewards.model_reward import _SCORERS

NAMES = ["radgraph", "chexbert", "bertscore", "radcliq"]


@pytest.fixture(params=NAMES)
def reward(request, metric_weights):
    return get_reward(request.param, device="cpu")


def test_values_are_finite_within_the_declared_range_and_one_for_each_pair(reward, report_pairs) -> None:
    values = reward(*report_pairs)
    low, high = reward.range
    assert len(values) == len(report_pairs[0])
    assert all(math.isfinite(value) and low <= value <= high + 1e-6 for value in values)
    assert low <= reward.empty_value <= high


def test_an_exact_match_is_best_in_its_group_and_blank_ones_earn_the_declared_value(reward, report_pairs) -> None:
    completions, examples = report_pairs
    values = reward(completions, examples)
    for start in range(0, len(values), 11):
        group = values[start : start + 11]
        assert group[0] == pytest.approx(max(group), abs=1e-5)
        assert group[5] == group[6] == reward.empty_value
    assert len({round(value, 6) for value in values}) > 5


def test_a_pair_alone_in_a_group_and_among_a_thousand_earns_the_same(reward, report_pairs) -> None:
    completions, examples = report_pairs
    group = reward(completions[:8], examples[:8])
    alone = [
        reward([completion], [example])[0] for completion, example in zip(completions[:8], examples[:8], strict=True)
    ]
    many = [f"{text} {number}" for number in range(31) for text in completions]
    thousand = reward([*completions[:8], *many], [*examples[:8], *examples * 31])
    assert alone == pytest.approx(group, abs=2e-5)
    assert thousand[:8] == pytest.approx(group, abs=2e-5)


def test_the_order_of_a_batch_does_not_matter(reward, report_pairs) -> None:
    completions, examples = report_pairs
    order = list(range(len(completions)))
    random.Random(0).shuffle(order)
    values = reward(completions, examples)
    shuffled = reward([completions[index] for index in order], [examples[index] for index in order])
    assert shuffled == pytest.approx([values[index] for index in order], abs=2e-5)


def test_equal_rollouts_of_a_group_earn_exactly_the_same(reward, report_pairs) -> None:
    completions, examples = report_pairs
    values = reward([completions[1], "No effusion.", completions[1]], [examples[0]] * 3)
    assert values[0] == values[2]


def test_only_the_first_2048_characters_count(reward, report_pairs) -> None:
    _, examples = report_pairs
    long = "Small effusion. " * 128
    assert len(long) == 2048
    first, second = reward([long, f"{long}Severe pulmonary edema and pneumothorax."], examples[:2])
    assert first == pytest.approx(second, abs=1e-6)


def test_case_and_white_space_around_do_not_count(reward, report_pairs) -> None:
    completions, examples = report_pairs
    first, second = reward([completions[1], f"\n  {completions[1].upper()} "], examples[:2])
    assert first == pytest.approx(second, abs=1e-6)


def test_none_and_messages_name_the_example(reward, report_pairs) -> None:
    _, examples = report_pairs
    with pytest.raises(TypeError, match=r"expected text for example 'e0', found NoneType"):
        reward(["No effusion.", None], examples[:2])


def test_a_reference_that_is_blank_or_no_text_is_refused_by_name(reward) -> None:
    for answer, message in (("  ", "reference of example 'x' is empty"), (None, "'x', found NoneType")):
        example = Example("x", "report_generation", "film.png", "Report?", answer)
        with pytest.raises(RewardError, match=message):
            reward(["No effusion."], [example])


def test_a_scorer_that_breaks_on_one_text_names_its_example(reward, report_pairs, monkeypatch) -> None:
    completions, examples = report_pairs
    named = [Example(f"n{i}", e.task, e.image_path, e.question, e.answer) for i, e in enumerate(examples)]
    scorer = reward.scorers[-1]
    compute = scorer.compute

    def breaking(texts: list[str]) -> list:
        if any("carina" in text for text in texts):
            raise RuntimeError("model broke")
        return compute(texts)

    monkeypatch.setattr(scorer, "compute", breaking)
    scorer.forget()
    with pytest.raises(RewardError, match=rf"{reward.name} failed on example 'n3': RuntimeError\('model broke'\)"):
        reward(completions, named)


def test_a_model_whose_weights_are_broken_raises_and_gives_no_low_reward(reward, report_pairs) -> None:
    module = next(found for name in ("_encoder", "_model", "_package") if (found := vars(reward.scorers[-1]).get(name)))
    weights = next(weights for name, weights in module.named_parameters() if "word_embeddings" in name)
    sound = weights.detach().clone()
    try:
        weights.data.fill_(math.nan)
        reward.scorers[-1].forget()
        with pytest.raises(RewardError, match=rf"{reward.name} failed on example 'e0': ValueError.*finite numbers"):
            reward(*report_pairs)
    finally:
        weights.data.copy_(sound)
        reward.scorers[-1].forget()
    assert all(math.isfinite(value) for value in reward(*report_pairs))


def test_references_are_read_once_and_rollouts_once_each(metric_weights, report_pairs) -> None:
    reward = get_reward("bertscore", device="cpu")
    completions, examples = report_pairs
    distinct = {text for pair in reward.prepared(completions, examples) for text in pair if text}
    reward.scorer.forget()
    start = reward.cache_info()
    reward(completions, examples)
    assert reward.cache_info().computed - start.computed == len(distinct)
    middle = reward.cache_info()
    reward(completions, examples)
    assert reward.cache_info().hits - middle.hits == 3
    assert reward.cache_info().computed - middle.computed == len(distinct) - 3
    assert reward.cache_info().entries == 3


def test_rewards_of_one_process_share_their_models_and_their_last_texts(metric_weights, report_pairs) -> None:
    first, second = get_reward("radgraph", device="cpu"), get_reward("radcliq", device="cpu")
    assert first.scorer is second.scorers[0]
    assert get_reward("chexbert", device="cpu").scorer is second.scorers[1]
    assert get_reward("bertscore", device="cpu").scorer is not second.scorers[2]
    first(*report_pairs)
    computed = first.scorer.cache_info().computed
    second(*report_pairs)
    assert first.scorer.cache_info().computed == computed


def test_models_are_freed_with_the_last_reward_that_uses_them(metric_weights) -> None:
    reward = get_reward("chexbert", device="cpu", dtype="bfloat16")
    scorer = weakref.ref(reward.scorer)
    assert scorer() in _SCORERS.values()
    del reward
    gc.collect()
    assert scorer() is None


def test_references_can_be_kept_on_disk(metric_weights, report_pairs, tmp_path) -> None:
    completions, examples = report_pairs
    first = get_reward("radcliq", device="cpu", cache_path=tmp_path / "references.sqlite")
    values = first(completions, examples)
    del first
    gc.collect()
    later = get_reward("radcliq", device="cpu", cache_path=tmp_path / "references.sqlite")
    assert later(completions, examples) == pytest.approx(values, abs=1e-6)
    assert later.cache_info().hits == 9  # three references, three models
