"""The HTTP side, spoken to without the client of the course: limits, refusals, health, token."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from radvlm_course.rewards.service.batching import BatchSettings
from radvlm_course.rewards.service.server import ServiceSettings
from radvlm_course.rewards.service.wire import TOKEN_VARIABLE, Pair, encode_pairs

TOKEN = "a-token-of-a-fair-length"


@pytest.fixture
def post(service):
    def send(pairs, reward="scripted", **options):
        body = pairs if isinstance(pairs, bytes) else encode_pairs([Pair(*pair) for pair in zip(*pairs, strict=True)])
        return httpx.post(f"{service.url}/v1/rewards/{reward}/scores", content=body, timeout=20, **options)

    return send


def error(answer):
    return answer.status_code, answer.json()["error"]["kind"]


def test_scores_of_a_batch_come_in_order(post, make_pairs, scripted) -> None:
    pairs = make_pairs("order", 50)
    answer = post(pairs)
    assert answer.status_code == 200
    assert answer.json() == {"reward": "scripted", "values": scripted(*pairs)}


def test_a_reward_declares_itself(service) -> None:
    declared = service.get("/v1/rewards/soft_f1").json()
    assert (declared["name"], declared["range"], declared["empty_value"]) == ("soft_f1", [0.0, 1.0], 0.0)


def test_health_and_readiness(service) -> None:
    assert service.get("/health").json() == {"status": "ok", "rewards": {}}
    ready = service.get("/ready").json()
    assert ready["ready"]
    assert set(ready["rewards"]) == {"gleu", "rouge_l", "soft_f1", "thinking_format", "scripted"}


def test_refusals_say_what_is_wrong_and_with_which_example(post, make_pairs) -> None:
    pairs = make_pairs("refused", 3)
    unknown = post(pairs, "radcliq")
    assert error(unknown) == (404, "unknown_reward")
    assert "served: gleu, rouge_l, scripted, soft_f1" in unknown.json()["error"]["message"]
    assert error(post(b"{}")) == (400, "bad_request")
    not_judged = post(pairs, "soft_f1")
    assert error(not_judged) == (422, "not_judged")
    assert not_judged.json()["error"]["example_ids"] == ["refused-0"]
    pairs[0][1] = "break"
    failed = post(pairs)
    assert error(failed) == (500, "scorer_failed")
    assert failed.json()["error"]["example_ids"] == ["refused-1"]
    assert "ZeroDivisionError" in failed.json()["error"]["message"]


def test_requests_beyond_the_limits_are_refused(post, make_pairs) -> None:
    too_many = post(make_pairs("many", 1025))
    assert error(too_many) == (400, "bad_request")
    assert "at most 1024 pairs" in too_many.json()["error"]["message"]
    assert error(post(b" " * (16 * 1024 * 1024 + 1))) == (413, "too_large")


def test_a_body_of_unknown_length_is_measured_as_it_comes(service) -> None:
    chunks = (b" " * 65536 for _ in range(300))
    answer = httpx.post(f"{service.url}/v1/rewards/scripted/scores", content=chunks, timeout=20)
    assert error(answer) == (413, "too_large")


def test_a_failing_example_fails_no_other_caller_of_its_batch(service, post, make_pairs, scripted) -> None:
    batches = service.metric("reward_batch_pairs_count", reward="scripted")
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(post, (["sleep 0.5 first"], make_pairs("first", 1)[1]))
        time.sleep(0.2)
        work = [make_pairs(f"together-{caller}", 5) for caller in range(5)]
        work[2][0][4] = "break"
        answers = list(pool.map(post, work))
    assert first.result().status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200, 500, 200, 200]
    assert answers[2].json()["error"]["example_ids"] == ["together-2-4"]
    good = [index for index in range(5) if index != 2]
    assert [answers[index].json()["values"] for index in good] == [scripted(*work[index]) for index in good]
    assert service.metric("reward_batch_pairs_count", reward="scripted") > batches


def test_a_caller_that_closes_the_connection_takes_its_pairs_with_it(service, post, make_pairs) -> None:
    scored = service.metric("reward_scored_pairs_total", reward="scripted")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, (["sleep 1.2 here"], make_pairs("here", 1)[1]))
        time.sleep(0.2)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{service.url}/v1/rewards/scripted/scores",
                content=encode_pairs([Pair(*pair) for pair in zip(*make_pairs("gone", 9), strict=True)]),
                timeout=0.2,
            )
        assert first.result().status_code == 200
    assert post(make_pairs("after", 1)).status_code == 200
    assert service.metric("reward_scored_pairs_total", reward="scripted") == scored + 2
    assert service.metric("reward_failures_total", kind="caller_gone") == 1


def test_a_slow_reward_holds_up_neither_another_one_nor_the_health(service, post, make_pairs) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(post, (["sleep 1 slow"], make_pairs("slow", 1)[1]))
        time.sleep(0.1)
        assert post(make_pairs("quick", 3), "gleu").status_code == 200
        assert service.get("/health").status_code == 200
        assert not slow.done()


def test_a_reward_whose_thread_has_ended_is_neither_healthy_nor_ready(start_service, make_pairs) -> None:
    service = start_service(rewards="gleu,scripted")
    pair = Pair("end", make_pairs("end", 1)[1][0])
    answer = httpx.post(f"{service.url}/v1/rewards/scripted/scores", content=encode_pairs([pair]), timeout=20)
    assert error(answer) == (503, "stopping")
    for _ in range(50):
        if service.get("/health").status_code == 503:
            break
        time.sleep(0.02)
    assert service.get("/health").json()["rewards"] == {"scripted": "its thread has ended"}
    ready = service.get("/ready")
    assert (ready.status_code, ready.json()["rewards"]) == (503, {"gleu": True, "scripted": False})


def test_half_a_request_does_no_harm(service) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(b"POST /v1/rewards/gleu/scores HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert service.get("/health").status_code == 200


def test_with_a_token_all_but_health_and_readiness_ask_for_it(start_service, make_pairs, connect, monkeypatch) -> None:
    service = start_service(rewards="scripted", environment={TOKEN_VARIABLE: TOKEN})
    for path in ("/health", "/ready"):
        assert service.get(path).status_code == 200
    scores = f"{service.url}/v1/rewards/scripted/scores"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        assert service.get("/metrics", headers=headers).status_code == 401
        assert service.get("/v1/rewards/scripted", headers=headers).status_code == 401
        assert error(httpx.post(scores, content=b"{}", headers=headers)) == (401, "unauthorised")
    assert service.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert len(connect(service.url)(*make_pairs("holder", 2))) == 2


def test_a_full_queue_answers_429_with_retry_after(start_service, make_pairs) -> None:
    service = start_service("--queue-pairs", "4", "--request-pairs", "4", rewards="scripted")
    scores = f"{service.url}/v1/rewards/scripted/scores"

    def send(caller, count, words="No"):
        pairs = [Pair(*pair) for pair in zip(*make_pairs(caller, count, words), strict=True)]
        return httpx.post(scores, content=encode_pairs(pairs), timeout=20)

    with ThreadPoolExecutor(2) as pool:
        busy = pool.submit(send, "busy", 1, "sleep 0.8")
        time.sleep(0.2)
        waiting = pool.submit(send, "waiting", 3)
        time.sleep(0.2)
        full = send("full", 2)
        assert error(full) == (429, "overloaded")
        assert int(full.headers["Retry-After"]) >= 1
        assert [busy.result().status_code, waiting.result().status_code] == [200, 200]
    assert send("full", 2).status_code == 200


def test_limits_out_of_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="a request of 9 pairs would never fit into a queue of 8"):
        ServiceSettings(BatchSettings(queue_pairs=8), request_pairs=9)
    with pytest.raises(ValueError, match="positive limits"):
        ServiceSettings(stuck_seconds=0)


def test_an_answer_is_strict_json(post, make_pairs) -> None:
    json.loads(post(make_pairs("strict", 2)).content, parse_constant=pytest.fail)
