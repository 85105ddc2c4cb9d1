"""Dynamic batching: order, sharing, bounds, callers that go, failures that stay with their caller."""

import threading

import pytest

from radvlm_course.records import Example
from radvlm_course.rewards.base import Reward
from radvlm_course.rewards.service.batching import Batcher, BatchSettings, QueueFull, Stopped
from radvlm_course.rewards.service.metrics import ServiceMetrics
from radvlm_course.rewards.service.scoring import ScoringFailed
from radvlm_course.rewards.service.wire import Pair


class Gated(Reward):
    """The length of a response, given when the gate is open."""

    name = "gated"
    range = (0.0, 1000.0)
    empty_value = 0.0
    tasks = ("report_generation",)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[str]] = []

    def score_batch(self, responses, examples):
        if responses[0] != "No acute cardiopulmonary process.":
            self.entered.set()
            assert self.gate.wait(10)
            self.batches.append(list(responses))
            if "end the thread" in responses:
                raise SystemExit
        return super().score_batch(responses, examples)

    def score(self, response: str, example: Example) -> float:
        if response == "break":
            raise ZeroDivisionError("scorer broke")
        return float(len(response))


def pairs(*responses: str) -> list[Pair]:
    return [Pair(text, Example(f"id-{text}", "report_generation", "", "Q", "A")) for text in responses]


@pytest.fixture
def reward():
    return Gated()


@pytest.fixture
def start(reward):
    started = []

    def build(**settings):
        batcher = Batcher("gated", lambda: reward, BatchSettings(**settings), ServiceMetrics())
        batcher.start()
        started.append(batcher)
        return batcher

    yield build
    reward.gate.set()
    assert all(batcher.stop(10) for batcher in started)


def occupy(batcher, reward):
    """Let the thread begin a batch and wait in it."""
    first = batcher.submit(pairs("first"))
    assert reward.entered.wait(10)
    return first


def test_requests_that_wait_share_the_next_batch_and_get_their_own_scores(start, reward) -> None:
    batcher = start()
    first = occupy(batcher, reward)
    others = [batcher.submit(pairs("a" * n, "b" * n)) for n in (2, 3, 4)]
    reward.gate.set()
    assert first.result(10) == [5.0]
    assert [future.result(10) for future in others] == [[2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]
    assert [len(batch) for batch in reward.batches] == [1, 6]


def test_a_batch_takes_whole_requests_up_to_its_size_and_a_large_one_alone(start, reward) -> None:
    batcher = start(batch_pairs=4)
    occupy(batcher, reward)
    requests = [pairs(*[f"{number}-{index}" for index in range(size)]) for number, size in enumerate((3, 1, 2, 6, 1))]
    futures = [batcher.submit(request) for request in requests]
    reward.gate.set()
    assert [len(future.result(10)) for future in futures] == [3, 1, 2, 6, 1]
    assert [len(batch) for batch in reward.batches] == [1, 4, 2, 6, 1]


def test_a_full_queue_refuses_and_says_when_to_come_again(start, reward) -> None:
    batcher = start(queue_pairs=3)
    occupy(batcher, reward)
    accepted = batcher.submit(pairs("a", "b"))
    with pytest.raises(QueueFull, match="2 of 3 pairs are waiting for gated, no room for 2 more") as full:
        batcher.submit(pairs("c", "d"))
    assert full.value.retry_after == 1
    fits = batcher.submit(pairs("e"))
    reward.gate.set()
    assert accepted.result(10) == [1.0, 1.0]
    assert fits.result(10) == [1.0]


def test_a_caller_that_goes_makes_room_and_is_not_scored(start, reward) -> None:
    batcher = start(queue_pairs=2)
    occupy(batcher, reward)
    gone = batcher.submit(pairs("gone", "away"))
    gone.cancel()
    stays = batcher.submit(pairs("stays"))
    reward.gate.set()
    assert stays.result(10) == [5.0]
    assert ["gone", "away"] not in reward.batches
    assert reward.batches == [["first"], ["stays"]]


def test_a_failing_example_fails_its_request_and_no_other_of_the_batch(start, reward) -> None:
    batcher = start()
    occupy(batcher, reward)
    good, bad, other = (batcher.submit(p) for p in (pairs("a", "bb"), pairs("c", "break", "d"), pairs("eee")))
    reward.gate.set()
    assert good.result(10) == [1.0, 2.0]
    assert other.result(10) == [3.0]
    with pytest.raises(ScoringFailed, match="gated failed on example 'id-break': ZeroDivisionError"):
        bad.result(10)
    assert batcher.submit(pairs("after")).result(10) == [5.0]


def test_stopping_scores_what_waits_and_refuses_the_rest(start, reward) -> None:
    batcher = start(batch_pairs=1)
    first = occupy(batcher, reward)
    waiting = [batcher.submit(pairs("a" * n)) for n in (1, 2, 3)]
    assert not batcher.stop(0.01)
    with pytest.raises(Stopped, match="shutting down"):
        batcher.submit(pairs("late"))
    reward.gate.set()
    assert batcher.stop(10)
    assert [future.result(0) for future in [first, *waiting]] == [[5.0], [1.0], [2.0], [3.0]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_if_the_thread_ends_nobody_waits_for_ever(start, reward) -> None:
    batcher = start(batch_pairs=1)
    first = batcher.submit(pairs("end the thread"))
    assert reward.entered.wait(10)
    second = batcher.submit(pairs("b"))
    reward.gate.set()
    for future in (first, second):
        with pytest.raises(Stopped, match="the scoring thread of gated has ended"):
            future.result(10)
    with pytest.raises(Stopped):
        batcher.submit(pairs("c"))
    assert batcher.stop(10)
    assert not batcher.alive


def test_a_reward_that_cannot_be_built_is_reported() -> None:
    def build():
        raise OSError("no weights")

    reported = threading.Event()
    batcher = Batcher("gated", build, BatchSettings(), ServiceMetrics(), lambda name: reported.set())
    assert batcher.reward is None
    assert not batcher.alive
    batcher.start()
    assert reported.wait(10)
    assert batcher.stop(10)
    assert batcher.reward is None


def test_sizes_out_of_bounds_are_refused() -> None:
    for wrong in ({"batch_pairs": 0}, {"queue_pairs": 0}, {"cache_pairs": -1}, {"linger_seconds": -1}):
        with pytest.raises(ValueError, match="expected sizes of at least 1"):
            BatchSettings(**wrong)
