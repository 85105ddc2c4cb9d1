"""The remote reward: the same numbers as the reward itself, and the choice of what a failure does."""

import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward, verl_adapter
from radvlm_course.rewards.service.client import RemoteReward
from radvlm_course.rewards.service.transport import ServiceUnavailable
from radvlm_course.rewards.trl_adapter import as_trl_reward


@pytest.fixture
def nobody():
    """An address of this machine where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("name", ["gleu", "rouge_l", "thinking_format", "scripted"])
def test_remote_scores_equal_local_ones_to_the_last_bit(service, connect, make_pairs, scripted, name) -> None:
    local = scripted if name == "scripted" else get_reward(name)
    completions, examples = make_pairs("equal", 40)
    completions[3:7] = ["", " \n", "Ein Erguss. 胸水 🫁 \ud800", "<think>well</think> No effusion."]
    remote = connect(service.url, name, request_pairs=7)
    assert remote(completions, examples) == local(completions, examples)
    for attribute in ("name", "range", "empty_value", "tasks", "judges"):
        assert getattr(remote, attribute) == getattr(local, attribute)


def test_boxes_are_scored_remotely_too(service, connect) -> None:
    example = Example("g", "phrase_grounding", "a.png", "Where?", "There.", (Box(0.38, 0.47, 0.76, 0.62),))
    completions = ["[0.35, 0.51, 0.75, 0.64]", "[0.38, 0.47, 0.76, 0.62]", "nowhere"]
    remote = connect(service.url, "soft_f1")
    assert remote(completions, [example] * 3) == get_reward("soft_f1")(completions, [example] * 3)
    assert round(remote.score(completions[0], example), 3) == 0.596


def test_it_plugs_into_the_trainers_adapter(service, connect, make_pairs) -> None:
    completions, examples = make_pairs("trl", 4)
    by_id = {example.id: example for example in examples}
    remote = connect(service.url, "gleu")
    function = as_trl_reward(remote, by_id, thinking=True)
    thoughts = [f"<think>well</think>{text}" for text in completions[:3]] + ["<think>never"]
    local = as_trl_reward(get_reward("gleu"), by_id, thinking=True)
    assert function.__name__ == "gleu"
    assert function(thoughts, list(by_id)) == local(thoughts, list(by_id))


def test_verls_single_calls_from_many_threads_share_batches(start_service, make_pairs, scripted, monkeypatch) -> None:
    service = start_service(rewards="scripted")
    monkeypatch.setattr(verl_adapter, "_built", {})
    completions, examples = make_pairs("verl", 64, "sleep 0.01")

    def call(response, example):
        return verl_adapter.compute_score(
            "mimic_grpo", response, example.answer, {"id": example.id}, rewards="scripted", service=service.url
        )["score"]

    with ThreadPoolExecutor(32) as pool:
        scores = list(pool.map(call, completions, examples))
    without_boxes = [replace(example, boxes=()) for example in examples]  # a report's row has none
    assert scores == scripted(completions, without_boxes)
    assert service.metric("reward_scored_pairs_total") == 64
    assert service.metric("reward_batch_pairs_count") < 48


def test_many_threads_may_share_one(service, connect, make_pairs, scripted) -> None:
    remote = connect(service.url)
    work = [make_pairs(f"thread-{index}", 5) for index in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda pairs: remote(*pairs), work)) == [scripted(*pairs) for pairs in work]


@pytest.mark.parametrize("on_failure", ["raise", "wait", "local"])
def test_an_example_that_cannot_be_scored_raises_whatever_a_failure_does(
    service, connect, make_pairs, on_failure
) -> None:
    remote = connect(service.url, on_failure=on_failure)
    completions, examples = make_pairs("bad", 3)
    with pytest.raises(RewardError, match=r"scorer_failed: scripted failed .*'bad-2'"):
        remote([*completions[:2], "break"], examples)
    gleu = connect(service.url, "gleu", on_failure=on_failure)
    with pytest.raises(RewardError, match=r"gleu judges .*'g' is phrase_grounding"):
        gleu(["a"], [Example("g", "phrase_grounding", "", "", "")])
    with pytest.raises(RewardError, match="example 'blank' is empty"):
        gleu(["a"], [Example("blank", "report_generation", "", "", "")])


def test_a_reward_that_is_not_served_is_refused_at_once(service, connect) -> None:
    with pytest.raises(RewardError, match="'radcliq' is not served here; served: gleu"):
        connect(service.url, "radcliq")


def test_raise_is_the_default_and_names_the_first_pair(nobody, connect, start_service, make_pairs) -> None:
    with pytest.raises(ServiceUnavailable, match="ConnectError"):
        connect(nobody, start_seconds=0.3)
    service = start_service(rewards="scripted")
    remote = connect(service.url, attempts=2)
    service.stop()
    with pytest.raises(ServiceUnavailable, match=r"scripted: one pair, of example 'a-0', not scored: .* in 2 tries"):
        remote(*make_pairs("a", 1))


def test_wait_goes_on_until_the_service_is_back(start_service, connect, make_pairs, scripted) -> None:
    first = start_service(rewards="scripted")
    remote = connect(first.url, on_failure="wait", attempts=1, give_up_seconds=0.0)
    first.stop()
    pairs = make_pairs("a", 3)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(remote, *pairs)
        time.sleep(0.5)
        assert not answer.done()
        start_service(rewards="scripted", port=first.port)
        assert answer.result(20) == scripted(*pairs)


def test_local_gives_the_same_scores_with_a_warning(nobody, connect, make_pairs, caplog) -> None:
    pairs = make_pairs("a", 3)
    with caplog.at_level(logging.WARNING):
        remote = connect(nobody, "gleu", on_failure="local", attempts=1, start_seconds=0.1)
        assert remote.tasks == get_reward("gleu").tasks
        assert remote(*pairs) == get_reward("gleu")(*pairs)
    assert "gleu: scoring in this process for 60 s" in caplog.text
    started = time.monotonic()
    assert remote(*pairs) == get_reward("gleu")(*pairs)
    assert time.monotonic() - started < 1


def test_local_options_reach_the_local_reward(nobody, connect) -> None:
    remote = connect(
        nobody, "soft_f1", on_failure="local", attempts=1, start_seconds=0.1, local_options={"variant": "published"}
    )
    example = Example("g", "phrase_grounding", "", "Where?", "There.", (Box(0.38, 0.47, 0.76, 0.62),))
    assert round(remote(["[0.35, 0.51, 0.75, 0.64]"], [example])[0], 3) == 0.747


def test_one_of_two_services_is_enough(service, connect, make_pairs, scripted, start_service) -> None:
    other = start_service(rewards="scripted")
    remote = connect([service.url, other.url], request_pairs=4)
    other.stop()
    pairs = make_pairs("two", 20)
    assert remote(*pairs) == scripted(*pairs)


def test_arguments_out_of_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="expected on_failure"):
        RemoteReward("http://127.0.0.1:1", "gleu", on_failure="zero")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="request_pairs"):
        RemoteReward("http://127.0.0.1:1", "gleu", request_pairs=0)
    with pytest.raises(ValueError, match="a token is required"):
        RemoteReward("http://reward-node:9400", "gleu")


def test_no_thread_is_left_behind(service, connect, make_pairs) -> None:
    before = threading.active_count()
    connect(service.url)(*make_pairs("threads", 3))
    assert threading.active_count() == before
