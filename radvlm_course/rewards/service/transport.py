"""Requests to reward services: one pool of connections, timeouts, bounded retries.

Scoring is pure, so a request whose fate is unknown (time-out, broken connection) can be sent again without harm.
What is tried again: a service that cannot be reached, does not answer in time, is overloaded or loading
(408, 429, 502, 503, 504). Between tries the sender waits as long as ``Retry-After`` says, or twice as long each
time, plus a random part so that many callers do not come back at once. With several services each try goes to the
next one. A service that names a time (``Retry-After``) is at work; only tries without such an answer count as failed.
What is not tried again: a refusal that would be the same the next time (wrong token, unknown reward, an
example that cannot be judged, a scorer that failed on it).
"""

from __future__ import annotations

import itertools
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import tenacity

from radvlm_course.rewards.base import RewardError
from radvlm_course.rewards.service.access import check_host

__all__ = ["RetrySettings", "ServiceUnavailable", "Transport"]

logger = logging.getLogger(__name__)

_WORTH_ANOTHER_TRY = (408, 429, 502, 503, 504)
_LONGEST_PAUSE = 60.0
_CONNECT_SECONDS = 10.0
_CONNECTIONS = 64
_IDLE_SECONDS = 30.0  # shorter than the service's, so that the service seldom closes a connection in use


class ServiceUnavailable(RewardError):
    """No service answered within the tries and the time allowed."""


class _TryAgain(Exception):
    """A try that failed; ``pause`` is what the service asked for, in seconds."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class RetrySettings:
    """When a request is given up.

    Attributes:
        attempts: how many tries may fail; None for no limit. A try that was answered with ``Retry-After`` has not
            failed.
        give_up_seconds: no further try begins after this time; None for no limit.
        first_pause: seconds before the second try, doubled for each further one up to a minute.

    Raises:
        ValueError: a limit is out of bounds.
    """

    attempts: int | None = 12
    give_up_seconds: float | None = 600.0
    first_pause: float = 0.2

    def __post_init__(self) -> None:
        wrong_attempts = self.attempts is not None and self.attempts < 1
        wrong_seconds = self.give_up_seconds is not None and self.give_up_seconds < 0
        if wrong_attempts or wrong_seconds or self.first_pause < 0:
            raise ValueError(f"expected at least one attempt and times of at least 0, found {self}")


class Transport:
    """Sends requests to one service or to several that are alike. Safe for several threads.

    Args:
        urls: addresses, as in ``http://127.0.0.1:9400``.
        token: shown to the services if given.
        timeout_seconds: how long an answer may take.

    Raises:
        ValueError: no address, one that is not of HTTP, or one on another machine and there is no token.
    """

    def __init__(self, urls: Sequence[str], token: str | None, timeout_seconds: float) -> None:
        self.urls = [_checked(url, token) for url in urls]
        if not self.urls:
            raise ValueError("expected the address of a reward service, found none")
        self._next_url = itertools.cycle(self.urls)
        self._client = httpx.Client(
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds), pool=None),
            # A transport of our own, so that a proxy set in the environment is not used.
            transport=httpx.HTTPTransport(
                limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=_IDLE_SECONDS)
            ),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, method: str, path: str, retries: RetrySettings, body: bytes | None = None) -> Any:
        """Send a request until it is answered.

        Returns:
            The answer's JSON.

        Raises:
            RewardError: refused; says by whom and why.
            ServiceUnavailable: given up; says how often it was tried and the last reason.
        """
        started = time.monotonic()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            stop=_GiveUp(retries),
            wait=_Pause(retries.first_pause),
            before_sleep=_log_pause,
            reraise=True,
        )
        try:
            return retrying(self._send_once, method, path, body)
        except _TryAgain as error:
            tries, seconds = retrying.statistics["attempt_number"], time.monotonic() - started
            raise ServiceUnavailable(
                f"no answer from the reward service {', '.join(self.urls)} in {tries} tries and {seconds:.1f} s "
                f"(last: {error})"
            ) from error

    def _send_once(self, method: str, path: str, body: bytes | None) -> Any:
        url = next(self._next_url) + path
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            answer = self._client.request(method, url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise _TryAgain(f"{url}: {type(error).__name__}: {error}") from error
        except httpx.HTTPError as error:
            raise RewardError(f"{url}: {error}") from error
        if answer.status_code in _WORTH_ANOTHER_TRY:
            raise _TryAgain(f"{url}: {_reason(answer)}", _retry_after(answer))
        if answer.status_code != 200:
            raise RewardError(f"{url}: {_reason(answer)}")
        try:
            return answer.json()
        except ValueError as error:
            raise RewardError(f"{url}: expected JSON, found {answer.text!r:.200}") from error


def _checked(url: str, token: str | None) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not an address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"expected an address like http://127.0.0.1:9400, found {url!r}")
    check_host(parsed.host, token)
    return url.rstrip("/")


class _Pause:
    """Seconds until the next try."""

    def __init__(self, first: float) -> None:
        self._exponential = tenacity.wait_exponential(multiplier=first, max=_LONGEST_PAUSE)

    def __call__(self, state: tenacity.RetryCallState) -> float:
        asked = _pause_asked(state)
        pause = self._exponential(state) if asked is None else min(asked, _LONGEST_PAUSE)
        return pause * random.uniform(1.0, 1.5)


class _GiveUp:
    """Whether the tries of one request are used up, or its time would be before the next one."""

    def __init__(self, retries: RetrySettings) -> None:
        self._failures_left = retries.attempts
        self._seconds = retries.give_up_seconds

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        if self._failures_left is not None and _pause_asked(state) is None:
            self._failures_left -= 1
            if self._failures_left <= 0:
                return True
        elapsed = state.seconds_since_start or 0.0
        return self._seconds is not None and elapsed + state.upcoming_sleep >= self._seconds


def _pause_asked(state: tenacity.RetryCallState) -> float | None:
    """The seconds that the service asked for in answer to the latest try."""
    error = state.outcome.exception() if state.outcome is not None else None
    return error.pause if isinstance(error, _TryAgain) else None


def _log_pause(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    pause = state.next_action.sleep if state.next_action is not None else 0.0
    logger.warning("try %d: %s; next in %.1f s", state.attempt_number, error, pause)


def _reason(answer: httpx.Response) -> str:
    """What the service says of its refusal, or the beginning of whatever else it sent."""
    try:
        error = answer.json()["error"]
        return f"{answer.status_code} {error['kind']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason_phrase}: {answer.text!r:.200}"


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that ``Retry-After`` asks for, which is a number or a date; None if it is absent or neither."""
    text = answer.headers.get("Retry-After")
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
