"""Calls against a server that does everything wrong: what is tried again, what is not, and where data may go."""

import asyncio
import time

import pytest

from radvlm_course.language.client import CallFailed, CallRefused, CallSettings
from radvlm_course.language.endpoint import EndpointError, EndpointRefused

MESSAGES = [{"role": "user", "content": "study-1"}]


SHORT = {
    "timeout": {"timeout_seconds": 0.8}
}  # of the fault that needs it; others must not depend on the machine's speed


def ask(client, messages=MESSAGES, source="phantom"):
    async def run():
        try:
            return await client.ask(messages, source)
        finally:
            await client.close()

    return asyncio.run(run())


def test_an_answer_comes_with_its_size_and_the_request_with_its_settings(start_model, connect) -> None:
    model = start_model()
    client = connect(model, temperature=0.3, seed=7, max_tokens=55, extra={"top_k": 1})
    answer = ask(client)
    assert (answer.finish_reason, answer.input_tokens, answer.output_tokens) == ("stop", 100, 10)
    assert (client.input_tokens, client.output_tokens) == (100, 10)
    assert model.requests == [
        {"model": "m", "messages": MESSAGES, "max_tokens": 55, "temperature": 0.3, "seed": 7, "top_k": 1}
    ]


def test_endpoints_that_count_completion_tokens_are_asked_so(start_model, connect) -> None:
    model = start_model()
    ask(connect(model, temperature=None, extra={"max_completion_tokens": 9}))
    assert model.requests == [{"model": "m", "messages": MESSAGES, "max_completion_tokens": 9}]


FAULTS = {
    "too many requests (429)": {"status": 429, "body": b"slow down"},
    "server error (500)": {"status": 500, "body": b"{}"},
    "server error (503)": {"status": 503, "body": b"loading"},
    "timeout": {"hang": 2.0},
    "connection failed": {"cut": True},
    "unreadable answer": {"body": b'{"choices": [{"mess'},
}


@pytest.mark.parametrize("reason", FAULTS)
def test_a_fault_that_passes_is_tried_again_and_counted(start_model, connect, reply, reason) -> None:
    model = start_model(lambda study, number: reply(**FAULTS[reason]) if number < 3 else reply(text="There."))
    client = connect(model, **SHORT.get(reason, {}))
    assert ask(client).text == "There."
    assert client.failed_tries == {reason: 2} and model.calls == {"study-1": 3}


@pytest.mark.parametrize("reason", FAULTS)
def test_a_fault_that_stays_ends_after_the_tries_with_its_reason(start_model, connect, reply, reason) -> None:
    model = start_model(lambda study, number: reply(**FAULTS[reason]))
    client = connect(model, **SHORT.get(reason, {}))
    with pytest.raises(CallFailed) as failed:
        ask(client)
    assert failed.value.reason == reason and model.calls == {"study-1": 3}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b"<html>Welcome</html>",
        b"\xff",
    ],
)
def test_a_body_that_is_no_completion_is_an_unreadable_answer(start_model, connect, reply, body) -> None:
    client = connect(start_model(lambda study, number: reply(body=body)), tries=1)
    with pytest.raises(CallFailed, match="unreadable answer"):
        ask(client)


def test_an_html_page_is_an_unreadable_answer(start_model, connect, reply) -> None:
    page = reply(body=b"<html>Log in</html>", headers={"content-type": "text/html"})
    with pytest.raises(CallFailed, match="unreadable answer"):
        ask(connect(start_model(lambda study, number: page), tries=1))


def test_a_server_that_is_not_there_is_a_failed_connection(start_model, connect) -> None:
    model = start_model()
    client = connect(model)
    model.server.server_close()
    model.server.shutdown()
    with pytest.raises(CallFailed, match="connection failed"):
        ask(client)


def test_retry_after_is_obeyed_by_all_calls_and_is_no_failed_try(start_model, connect, reply) -> None:
    started: list[float] = []

    def behave(study: str, number: int):
        started.append(time.monotonic())
        busy = study == "study-1" and number <= 2
        return reply(status=429, headers={"retry-after": "0.4"}, body=b"{}") if busy else reply()

    model = start_model(behave)
    client = connect(model, tries=1)  # a single failing try would end it

    async def run() -> None:
        first = asyncio.create_task(client.ask(MESSAGES, "phantom"))
        while not client.failed_tries:  # until the first call has been told to wait
            await asyncio.sleep(0.005)
        await asyncio.gather(first, client.ask([{"role": "user", "content": "study-2"}], "phantom"))
        await client.close()

    asyncio.run(run())
    assert model.calls == {"study-1": 3, "study-2": 1}
    assert started[1] - started[0] >= 0.4  # whichever call came next
    assert client.failed_tries == {"too many requests (429)": 2}


def test_retry_after_longer_than_the_patience_ends_the_call(start_model, connect, reply) -> None:
    busy = reply(status=429, headers={"retry-after": "3600"}, body=b"{}")
    client = connect(start_model(lambda study, number: busy), give_up_seconds=5)
    started = time.monotonic()
    with pytest.raises(CallFailed, match="too many requests"):
        ask(client)
    assert time.monotonic() - started < 60


def test_a_date_in_retry_after_is_read_and_nonsense_is_not() -> None:
    from datetime import UTC, datetime, timedelta
    from email.utils import format_datetime

    from radvlm_course.language.client import _retry_after

    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < (_retry_after(soon) or 0) <= 30
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [_retry_after(value) for value in ("soon", "nan", "inf", "", None)] == [None] * 5


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_not_tried_again(start_model, connect, reply, status) -> None:
    model = start_model(lambda study, number: reply(status=status, body=b'{"error": {"message": "too long"}}'))
    with pytest.raises(CallRefused, match=f"{status}.*too long"):
        ask(connect(model))
    assert model.calls == {"study-1": 1}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_endpoint_that_refuses_everything_is_an_error_at_once(start_model, connect, reply, status) -> None:
    model = start_model(lambda study, number: reply(status=status, body=b'{"error": {"message": "no such model"}}'))
    with pytest.raises(EndpointError, match=f"{status}.*no such model.*Check the address, the model and the key"):
        ask(connect(model))
    assert model.calls == {"study-1": 1}


def test_no_quota_left_is_an_error_at_once(start_model, connect, reply) -> None:
    body = b'{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    model = start_model(lambda study, number: reply(status=429, body=body))
    with pytest.raises(EndpointError, match="no quota left"):
        ask(connect(model))
    assert model.calls == {"study-1": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(start_model, connect, reply, status) -> None:
    thief = start_model()
    there = {"location": f"http://localhost:{thief.port}/v1/chat/completions"}
    model = start_model(lambda study, number: reply(status=status, headers=there, body=b""))
    with pytest.raises(EndpointError, match=f"redirects to http://localhost:{thief.port}.*not followed"):
        ask(connect(model), source="mimic_cxr")
    assert model.calls == {"study-1": 1} and not thief.requests


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
def test_a_proxy_of_the_environment_is_not_used(start_model, connect, monkeypatch, name) -> None:
    thief, model = start_model(), start_model()
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(name, f"http://127.0.0.1:{thief.port}")
    assert ask(connect(model), source="mimic_cxr").finish_reason == "stop"
    assert model.calls == {"study-1": 1} and not thief.requests


def test_an_address_in_the_environment_is_not_used(start_model, connect, monkeypatch) -> None:
    thief, model = start_model(), start_model()
    monkeypatch.setenv("OPENAI_BASE_URL", thief.url)
    ask(connect(model), source="mimic_cxr")
    assert not thief.requests


def test_the_transport_opens_no_connection_to_another_address(start_model, connect) -> None:
    model, other = start_model(), start_model()
    client = connect(model)

    async def run() -> None:
        await client._client._client.post(f"{other.url}/chat/completions", json={})

    with pytest.raises(EndpointError, match="nothing was sent"):
        asyncio.run(run())
    assert not other.requests


def test_credentialed_data_is_refused_before_anything_is_sent(start_model) -> None:
    from radvlm_course.language.client import LanguageClient
    from radvlm_course.language.endpoint import Endpoint

    client = LanguageClient(Endpoint("http://192.0.2.1:9/v1", "m"))  # an address of documentation: nobody is there
    started = time.monotonic()
    with pytest.raises(EndpointRefused):
        ask(client, source="mimic_cxr")
    assert time.monotonic() - started < 60 and not client.failed_tries


def test_an_answer_in_drops_is_a_timeout(start_model, connect, reply) -> None:
    import socketserver
    import threading

    class Drops(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
            try:
                for _ in range(100):
                    self.request.sendall(b" ")
                    time.sleep(0.1)
            except OSError:
                return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drops) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

        class There:
            url = f"http://127.0.0.1:{server.server_address[1]}/v1"

        started = time.monotonic()
        with pytest.raises(CallFailed, match="timeout"):
            ask(connect(There, tries=1, timeout_seconds=0.5))
        assert time.monotonic() - started < 9
        server.shutdown()


def test_settings_out_of_bounds_are_refused() -> None:
    for wrong in ({"tries": 0}, {"timeout_seconds": 0}, {"max_tokens": 0}, {"first_pause": -1}):
        with pytest.raises(ValueError, match="expected at least"):
            CallSettings(**wrong)
