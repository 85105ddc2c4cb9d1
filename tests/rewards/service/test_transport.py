"""Retries of the client against a server that says what the test tells it to."""

import itertools
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from radvlm_course.rewards import RewardError
from radvlm_course.rewards.service.transport import RetrySettings, ServiceUnavailable, Transport

QUICK = RetrySettings(attempts=4, give_up_seconds=10, first_pause=0.01)


class Script(ThreadingHTTPServer):
    """Answers with the next (status, headers, body); None closes the connection without an answer."""

    daemon_threads = True

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.seen = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((time.monotonic(), self.client_address, self.headers.get("Authorization"), body))
        answer = self.server.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        status, headers, text = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        """Nothing on the screen."""


@pytest.fixture
def answering():
    servers = []

    def serve(*answers):
        servers.append(Script(answers))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def send():
    opened = []

    def post(*servers, retries=QUICK, token=None, timeout=5.0):
        opened.append(Transport([server.url for server in servers], token, timeout))
        return opened[-1].send("POST", "/x", retries, b"{}")

    yield post
    for transport in opened:
        transport.close()


OK = (200, {}, '{"values": [1]}')


def test_one_connection_serves_many_requests_and_shows_the_token(answering) -> None:
    server = answering(OK, OK, OK)
    transport = Transport([server.url + "/"], "secret-token", 5.0)
    for _ in range(3):
        assert transport.send("POST", "/x", QUICK, b"{}") == {"values": [1]}
    transport.close()
    assert len({address for _, address, _, _ in server.seen}) == 1
    assert {token for _, _, token, _ in server.seen} == {"Bearer secret-token"}


@pytest.mark.parametrize("trouble", [None, (503, {}, "{}"), (504, {}, "gateway"), (502, {}, "<html>"), (408, {}, "")])
def test_what_may_pass_is_tried_again_with_the_same_body(answering, send, trouble) -> None:
    server = answering(trouble, trouble, OK)
    assert send(server) == {"values": [1]}
    assert [body for *_, body in server.seen] == [b"{}"] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 500])
def test_what_would_fail_again_is_not_tried_again(answering, send, status) -> None:
    server = answering((status, {}, '{"error": {"kind": "some_kind", "message": "because", "example_ids": []}}'))
    with pytest.raises(RewardError, match=f"{status} some_kind: because") as refusal:
        send(server)
    assert not isinstance(refusal.value, ServiceUnavailable)
    assert len(server.seen) == 1


def test_it_waits_as_long_as_retry_after_says_in_seconds_or_as_a_date(answering, send) -> None:
    server = answering((429, {"Retry-After": "1"}, "{}"), OK)
    send(server)
    assert 1.0 <= server.seen[1][0] - server.seen[0][0] < 3.0
    dated = answering((429, {"Retry-After": formatdate(time.time() + 2, usegmt=True)}, "{}"), OK)
    send(dated)
    assert 0.9 <= dated.seen[1][0] - dated.seen[0][0] < 4.0
    senseless = answering((429, {"Retry-After": "soon"}, "{}"), OK)
    assert send(senseless) == {"values": [1]}


def test_pauses_grow(answering, send) -> None:
    server = answering(*[None] * 5, OK)
    send(server, retries=RetrySettings(attempts=6, first_pause=0.05))
    times = [moment for moment, *_ in server.seen]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[-1] > 0.05 * 2**4 * 0.99
    assert sum(pauses) < 6


def test_it_gives_up_after_the_attempts_or_the_time_with_the_last_reason(answering, send) -> None:
    with pytest.raises(ServiceUnavailable, match=r"in 2 tries .*last: .*503 loading: wait"):
        send(
            answering(*[(503, {}, '{"error": {"kind": "loading", "message": "wait"}}')] * 2),
            retries=RetrySettings(attempts=2, first_pause=0.01),
        )
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable, match="in 1 tries"):
        send(answering((429, {"Retry-After": "30"}, "{}")), retries=RetrySettings(attempts=None, give_up_seconds=5))
    assert time.monotonic() - started < 5


def test_being_told_to_come_again_is_not_a_failed_try(answering, send) -> None:
    busy, loading = (429, {"Retry-After": "0"}, "{}"), (503, {"Retry-After": "0"}, "{}")
    server = answering(busy, None, loading, busy, loading, busy, OK)
    assert send(server, retries=RetrySettings(attempts=2, first_pause=0.01)) == {"values": [1]}
    assert len(server.seen) == 7


def test_each_try_goes_to_the_next_service(answering, send) -> None:
    down, up = answering(), answering(OK)
    down.answers = [None]
    assert send(down, up) == {"values": [1]}
    assert [len(down.seen), len(up.seen)] == [1, 1]


def test_an_answer_that_is_not_json_is_an_error(answering, send) -> None:
    with pytest.raises(RewardError, match="expected JSON, found '<html>"):
        send(answering((200, {}, "<html>a log-in page</html>")))


def test_a_proxy_of_the_environment_is_not_used(answering, send, monkeypatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(answering(OK)) == {"values": [1]}


@pytest.mark.parametrize("url", ["127.0.0.1:9400", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port", ""])
def test_what_is_not_an_address_is_refused(url) -> None:
    with pytest.raises(ValueError, match="address"):
        Transport([url], None, 1.0)


def test_another_machine_needs_a_token_and_no_address_is_an_error() -> None:
    with pytest.raises(ValueError, match="a token is required"):
        Transport(["http://node7:9400"], None, 1.0)
    Transport(["http://node7:9400"], "a-token", 1.0).close()
    with pytest.raises(ValueError, match="found none"):
        Transport([], None, 1.0)


def test_limits_out_of_bounds_are_refused() -> None:
    for wrong in ({"attempts": 0}, {"give_up_seconds": -1.0}, {"first_pause": -0.1}):
        with pytest.raises(ValueError, match="at least one attempt"):
            RetrySettings(**wrong)
