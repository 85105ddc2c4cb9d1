"""Services that are killed, hang, are restarted and overloaded: every score right or an error, none lost or doubled."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from radvlm_course.rewards.service.transport import ServiceUnavailable


def test_a_service_killed_in_mid_batch_is_asked_again_when_it_is_back(
    start_service, connect, scripted, make_pairs
) -> None:
    first = start_service(rewards="scripted")
    remote = connect(first.url, attempts=50)
    completions, examples = make_pairs("a", 5)
    completions[2] = "sleep 0.8 No effusion."
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(remote, completions, examples)
        time.sleep(0.4)
        first.signal(signal.SIGKILL)
        second = start_service(rewards="scripted", port=first.port)
        assert answer.result(20) == scripted(completions, examples)
    assert second.metric("reward_scored_pairs_total") == 5
    assert first.process.wait() == -signal.SIGKILL


def test_a_service_killed_in_mid_batch_that_stays_away_is_an_error_that_names_the_pairs(
    start_service, connect, make_pairs
) -> None:
    service = start_service(rewards="scripted")
    remote = connect(service.url)
    completions, examples = make_pairs("a", 3)
    completions[0] = "sleep 5 No effusion."
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(remote, completions, examples)
        time.sleep(0.3)
        service.signal(signal.SIGKILL)
        with pytest.raises(ServiceUnavailable, match=r"3 pairs, the first of example 'a-0', not scored: .* in 3 tries"):
            answer.result(20)


def test_a_frozen_service_is_an_error_in_time_and_right_again_when_it_thaws(
    start_service, connect, scripted, make_pairs
) -> None:
    service = start_service(rewards="scripted")
    remote = connect(service.url, timeout_seconds=0.4, attempts=2)
    completions, examples = make_pairs("a", 20)
    service.signal(signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable, match="ReadTimeout"):
        remote(completions, examples)
    assert time.monotonic() - started < 5
    service.signal(signal.SIGCONT)
    for caller in ("b", "a"):  # other pairs first: an answer that comes too late must not reach the wrong caller
        completions, examples = make_pairs(caller, 20)
        assert remote(completions, examples) == scripted(completions, examples)
    assert service.metric("reward_scored_pairs_total") == 40


def test_a_scorer_that_hangs_fails_its_callers_alone_and_shows_in_the_health(
    start_service, connect, scripted, make_pairs
) -> None:
    service = start_service("--stuck-seconds", "0.5", "--drain-seconds", "1", rewards="gleu,scripted")
    completions, examples = make_pairs("a", 4)
    completions[3] = "hang"
    with pytest.raises(ServiceUnavailable, match=r"504 timeout: the scores were not ready within"):
        connect(service.url, attempts=1)(completions, examples)
    health = service.get("/health")
    assert health.status_code == 503
    assert list(health.json()["rewards"]) == ["scripted"]
    values = connect(service.url, "gleu")(*make_pairs("b", 4))
    assert len(values) == 4
    assert service.stop() == 1
    assert "scripted did not finish its batch" in service.log.read_text()


def test_sigterm_answers_what_was_accepted_and_ends_with_status_0(start_service, connect, scripted, make_pairs) -> None:
    service = start_service("--batch-pairs", "1", rewards="scripted")
    callers = [connect(service.url) for _ in range(3)]
    work = [([f"sleep 0.3 of {index}"], make_pairs(index, 1)[1]) for index in range(3)]
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(remote, *pairs) for remote, pairs in zip(callers, work, strict=True)]
        time.sleep(0.2)
        assert service.stop() == 0
        assert [answer.result(1) for answer in answers] == [scripted(*pairs) for pairs in work]


def test_a_restart_under_load_loses_and_doubles_nothing(start_service, connect, scripted, make_pairs) -> None:
    first = start_service(rewards="scripted")
    stop = threading.Event()
    rounds = [0] * 8

    def trainer(caller):
        remote = connect(first.url, attempts=50)
        while not stop.is_set():
            completions, examples = make_pairs(f"{caller}-{rounds[caller]}", 3, "sleep 0.003")
            assert remote(completions, examples) == scripted(completions, examples)
            rounds[caller] += 1

    def wait_for(more, trainers):
        goal = [done + more for done in rounds]
        until = time.monotonic() + 20
        while any(done < wanted for done, wanted in zip(rounds, goal, strict=True)):
            assert time.monotonic() < until, rounds
            assert not any(future.done() for future in trainers), [future.exception(0) for future in trainers]
            time.sleep(0.02)

    with ThreadPoolExecutor(8) as pool:
        trainers = [pool.submit(trainer, caller) for caller in range(8)]
        try:
            wait_for(3, trainers)
            assert first.stop() == 0
            second = start_service(rewards="scripted", port=first.port)
            wait_for(3, trainers)
        finally:
            stop.set()
        for future in trainers:
            future.result(20)
    assert second.metric("reward_requests_total", status="200") == second.metric("reward_scored_pairs_total") / 3
    assert second.metric("reward_failures_total", kind="scorer_failed") == 0


def test_64_callers_of_a_small_queue_all_get_their_own_scores(start_service, connect, scripted, make_pairs) -> None:
    service = start_service("--queue-pairs", "192", "--request-pairs", "8", "--batch-pairs", "64", rewards="scripted")
    remotes = [connect(service.url, attempts=3, request_pairs=8) for _ in range(64)]
    work = [make_pairs(caller, 24, "sleep 0.001") for caller in range(64)]
    gate = threading.Barrier(64)

    def call(remote, pairs):
        gate.wait()
        return remote(*pairs)

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(call, remotes, work))
    assert answers == [scripted(*pairs) for pairs in work]
    assert service.metric("reward_requests_total", status="200") == 64 * 3
    assert service.metric("reward_requests_total", status="429") > 0
    assert service.metric("reward_scored_pairs_total") == 64 * 24
    assert service.metric("reward_batch_pairs_count") < 64 * 3  # requests of several callers shared batches
    assert service.metric("reward_waiting_pairs") == 0
    assert service.stop() == 0
