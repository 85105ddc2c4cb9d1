"""Scoring inside the service: the memory for scores, and failures pinned to their example."""

import pytest

from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward, reward_names
from radvlm_course.rewards.base import Reward
from radvlm_course.rewards.service.metrics import ServiceMetrics
from radvlm_course.rewards.service.scoring import Scorer, ScoringFailed, warm_up
from radvlm_course.rewards.service.wire import Pair


class Length(Reward):
    """The length of a response; fails on ``break`` and on batches larger than ``most``."""

    name = "length"
    range = (0.0, 1000.0)
    empty_value = 0.0
    tasks = ("report_generation",)

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self.calls: list[list[str]] = []

    def score_batch(self, responses, examples):
        self.calls.append(list(responses))
        if len(responses) > self.most:
            raise MemoryError("batch too large")
        return [self.score(*pair) for pair in zip(responses, examples, strict=True)]

    def score(self, response: str, example: Example) -> float:
        if response == "break":
            raise ZeroDivisionError("scorer broke")
        return float(len(response))


def pairs(*responses: str) -> list[Pair]:
    return [Pair(text, Example(f"e{i}", "report_generation", "", "Q", "A")) for i, text in enumerate(responses)]


def scorer(reward: Reward, cache_pairs: int = 100) -> Scorer:
    return Scorer(reward.name, reward, cache_pairs, ServiceMetrics())


def test_a_pair_is_scored_once_in_a_batch_and_across_batches() -> None:
    reward = Length()
    one = scorer(reward)
    first, second = pairs("a", "bb")
    assert one.scores([first, second, first]) == [1.0, 2.0, 1.0]
    assert one.scores([second, *pairs("ccc")]) == [2.0, 3.0]
    assert reward.calls == [["a", "bb"], ["ccc"]]


def test_equal_responses_to_different_examples_are_different_pairs() -> None:
    reward = Length()
    scorer(reward).scores(pairs("a", "a"))
    assert reward.calls == [["a", "a"]]


def test_the_memory_is_bounded_and_forgets_the_least_recently_used() -> None:
    reward = Length()
    one = scorer(reward, cache_pairs=2)
    a, b, c = pairs("a", "bb", "ccc")
    for request in ([a, b], [a], [c], [a], [b]):
        one.scores(request)
    assert reward.calls == [["a", "bb"], ["ccc"], ["bb"]]
    none = scorer(reward, cache_pairs=0)
    assert [none.scores([a]), none.scores([a])] == [[1.0], [1.0]]
    assert reward.calls[3:] == [["a"], ["a"]]


def test_halving_finds_the_first_example_that_fails() -> None:
    with pytest.raises(ScoringFailed, match=r"length failed .*'e5'.*ZeroDivisionError") as failure:
        scorer(Length()).scores_by_halves(pairs("a", "b", "c", "d", "e", "break", "g", "break"))
    assert failure.value.example_id == "e5"


def test_a_batch_that_fails_only_because_it_is_large_succeeds_in_parts() -> None:
    assert scorer(Length(most=3)).scores_by_halves(pairs(*"abcdefg")) == [1.0] * 7


def test_the_metrics_tell_scored_pairs_from_remembered_ones() -> None:
    one = scorer(Length())
    one.scores(pairs("a", "bb"))
    one.scores(pairs("a", "bb", "c"))
    registry = one._metrics.registry
    assert registry.get_sample_value("reward_scored_pairs_total", {"reward": "length"}) == 3
    assert registry.get_sample_value("reward_cache_hits_total", {"reward": "length"}) == 2
    assert registry.get_sample_value("reward_batch_pairs_sum", {"reward": "length"}) == 3


@pytest.mark.parametrize("name", sorted({"gleu", "rouge_l", "soft_f1"} & set(reward_names())))
def test_rewards_pass_the_warm_up(name) -> None:
    warm_up(get_reward(name))


def test_a_reward_that_cannot_score_fails_the_warm_up() -> None:
    with pytest.raises(RewardError, match="warm-up"):
        warm_up(Length(most=0))
