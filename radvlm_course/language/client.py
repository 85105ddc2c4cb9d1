"""Calls to a language model that get through: bounded waits, retries with reasons, one address.

What is tried again: too many requests (429, waiting as long as ``Retry-After`` says, for all calls of the client),
server errors, timeouts, cut connections, answers that are not the JSON of a chat completion. What is not: a request
that the endpoint refuses (400, 413, 422: this study will never pass), and an endpoint that refuses everything (401,
403, 404, no quota, a redirect: the run stops).

Nothing leaves by a side door: the transport opens connections to the endpoint's own host and port only, redirects are
not followed, and proxies named in the environment are not used.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai
import tenacity

from radvlm_course.language.endpoint import Endpoint, EndpointError

__all__ = ["Answer", "CallFailed", "CallRefused", "CallSettings", "LanguageClient", "Message"]

Message = dict[str, Any]

_REQUEST_IS_REFUSED = (400, 413, 422)
_SERVER_IS_BUSY = (408, 409, 429)


class CallFailed(RuntimeError):
    """No answer for now; the same call may succeed later. ``reason`` is short and countable."""

    def __init__(self, reason: str, details: str = "", pause: float | None = None) -> None:
        super().__init__(f"{reason}: {details}" if details else reason)
        self.reason, self.pause = reason, pause


class CallRefused(RuntimeError):
    """The endpoint refuses this request and would refuse it again."""


@dataclass(frozen=True)
class CallSettings:
    """How the model is asked, and how long.

    Attributes:
        max_tokens: longest answer.
        temperature: None leaves it to the endpoint.
        seed: for endpoints that have one.
        extra: further fields of the request, such as vLLM's ``{"chat_template_kwargs": {"enable_thinking": False}}``;
            ``max_completion_tokens`` replaces ``max_tokens``.
        timeout_seconds: for a whole answer, not for a piece of it.
        tries: how many tries of a call may fail; one that was answered with ``Retry-After`` has not failed.
        give_up_seconds: no further try begins after this time.
        first_pause, longest_pause: seconds before the second try, doubled for each further one up to the longest.
    """

    max_tokens: int = 2048
    temperature: float | None = 0.0
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    timeout_seconds: float = 180.0
    tries: int = 6
    give_up_seconds: float = 1800.0
    first_pause: float = 1.0
    longest_pause: float = 60.0

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.tries < 1 or self.timeout_seconds <= 0 or self.first_pause < 0:
            raise ValueError(f"expected at least one token, one try and positive times, found {self}")

    def provenance(self) -> dict[str, Any]:
        """What the answers depend on."""
        names = ("max_tokens", "temperature", "seed", "extra")
        return {name: value for name, value in asdict(self).items() if name in names}


@dataclass(frozen=True)
class Answer:
    """What the model wrote, why it stopped (``stop``, ``length``, ``content_filter``, ``refusal``), and its size."""

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int


class LanguageClient:
    """One endpoint, asked by any number of coroutines.

    Attributes:
        failed_tries: reason -> tries that failed so far.
        input_tokens, output_tokens: of all answers so far, as the endpoint counts them.

    Raises:
        EndpointError: the key is missing.
    """

    def __init__(self, endpoint: Endpoint, settings: CallSettings | None = None) -> None:
        self.endpoint, self.settings = endpoint, settings or CallSettings()
        self.failed_tries: Counter[str] = Counter()
        self.input_tokens = self.output_tokens = 0
        self._not_before = 0.0
        self._client = openai.AsyncOpenAI(
            base_url=str(endpoint.url),
            api_key=endpoint.api_key(),
            max_retries=0,
            http_client=httpx2.AsyncClient(
                transport=_OneAddress(endpoint.url),
                timeout=httpx2.Timeout(self.settings.timeout_seconds, pool=None),
                follow_redirects=False,
                trust_env=False,
            ),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, messages: Sequence[Message], source: str) -> Answer:
        """The model's answer to a conversation.

        Args:
            messages: as the chat completions interface takes them; content may be text or parts with images.
            source: the dataset whose text or images they carry.

        Raises:
            EndpointRefused: that dataset's data must not be sent there; nothing was.
            EndpointError: the endpoint refuses every call; says what it answered.
            CallRefused: the endpoint refuses this one.
            CallFailed: no answer in the tries and the time allowed; has the last reason.
        """
        self.endpoint.check(source)
        settings = self.settings
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(CallFailed),
            stop=_GiveUp(settings.tries, settings.give_up_seconds),
            wait=_Pause(settings.first_pause, settings.longest_pause),
            reraise=True,
        )
        return await retrying(self._ask_once, messages)

    async def _ask_once(self, messages: Sequence[Message]) -> Answer:
        while (pause := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                completion = await self._client.chat.completions.create(**self._request(messages))
            answer = _answer(completion)
        except CallFailed as error:
            self.failed_tries[error.reason] += 1
            raise
        except (openai.OpenAIError, TimeoutError, ValueError, httpx2.HTTPError) as error:
            failure = _failure(error, self.endpoint)
            if isinstance(failure, CallFailed):
                self.failed_tries[failure.reason] += 1
                self._not_before = max(self._not_before, time.monotonic() + (failure.pause or 0.0))
            raise failure from error
        self.input_tokens += answer.input_tokens
        self.output_tokens += answer.output_tokens
        return answer

    def _request(self, messages: Sequence[Message]) -> dict[str, Any]:
        settings = self.settings
        request: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": list(messages),
            "max_tokens": settings.max_tokens,
        }
        if "max_completion_tokens" in settings.extra:  # what some endpoints want instead
            del request["max_tokens"]
        optional = {"temperature": settings.temperature, "seed": settings.seed, "extra_body": dict(settings.extra)}
        return request | {name: value for name, value in optional.items() if value not in (None, {})}


def _answer(completion: Any) -> Answer:
    """Read a completion with suspicion: endpoints that call themselves compatible differ."""
    try:
        choice = completion.choices[0]
        text, refusal = choice.message.content or "", getattr(choice.message, "refusal", None)
        finish_reason = str(choice.finish_reason or "stop")
        usage = completion.usage
        tokens = (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)
    except (AttributeError, IndexError, TypeError) as error:
        raise CallFailed("unreadable answer", f"no choice with a message in {completion!r:.200}") from error
    if not isinstance(text, str):
        raise CallFailed("unreadable answer", f"expected text, found {text!r:.200}")
    return Answer(str(refusal), "refusal", *tokens) if refusal else Answer(text, finish_reason, *tokens)


def _failure(error: Exception, endpoint: Endpoint) -> CallFailed | CallRefused | EndpointError:
    """What an error of the client means for the call."""
    if isinstance(error, (openai.APITimeoutError, TimeoutError)):
        return CallFailed("timeout")
    if isinstance(error, openai.APIStatusError):
        return _failure_of_status(error, endpoint)
    if isinstance(error, (openai.APIResponseValidationError, ValueError)):
        return CallFailed("unreadable answer", f"{error!r:.200}")
    if isinstance(error, openai.APIConnectionError):
        if isinstance(error.__cause__, EndpointError):
            return error.__cause__
        return CallFailed("connection failed", f"{error.__cause__ or error!r:.200}")
    if isinstance(error, httpx2.HTTPError):
        return CallFailed("connection failed", f"{error!r:.200}")
    return EndpointError(f"{endpoint.base_url}: {error}")


def _failure_of_status(error: openai.APIStatusError, endpoint: Endpoint) -> CallFailed | CallRefused | EndpointError:
    status, said = error.status_code, f"{error.response.text!r:.300}"
    if 300 <= status < 400:
        target = error.response.headers.get("location", "nowhere")
        return EndpointError(
            f"{endpoint.base_url} answered {status} and redirects to {target}: redirects are not followed, since they "
            "could carry data to another machine. Give the final address"
        )
    if error.code == "insufficient_quota":
        return EndpointError(f"{endpoint.base_url}: no quota left: {said}")
    if status in _SERVER_IS_BUSY or status >= 500:
        reason = "too many requests (429)" if status == 429 else f"server error ({status})"
        return CallFailed(reason, said, _retry_after(error.response.headers.get("retry-after")))
    if status in _REQUEST_IS_REFUSED:
        return CallRefused(f"refused with {status}: {said}")
    return EndpointError(f"{endpoint.base_url} answered {status}: {said}. Check the address, the model and the key")


def _retry_after(value: str | None) -> float | None:
    """Seconds that a server asks to wait: a number or a date (RFC 9110, 10.2.3); None if it says nothing usable."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) if seconds < float("inf") else None


class _GiveUp(tenacity.stop.stop_base):
    """Counts only tries that were not answered with a time to come back; one object a call."""

    def __init__(self, tries: int, seconds: float) -> None:
        self.tries, self.seconds, self.failed = tries, seconds, 0

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        pause = error.pause if isinstance(error, CallFailed) else None
        self.failed += pause is None
        return self.failed >= self.tries or (state.seconds_since_start or 0.0) + (pause or 0.0) > self.seconds


class _Pause(tenacity.wait.wait_base):
    """What the server asked for, else doubling; plus up to a quarter at random, so that calls do not come in step."""

    def __init__(self, first: float, longest: float) -> None:
        self.first, self.longest = first, longest

    def __call__(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.pause if isinstance(error, CallFailed) else None
        pause = min(self.first * 2 ** (state.attempt_number - 1), self.longest) if asked is None else asked
        return pause * (1 + random.random() / 4)


class _OneAddress(httpx2.AsyncHTTPTransport):
    """Opens connections to one scheme, host and port; anything else is an error before it is sent."""

    def __init__(self, url: httpx2.URL) -> None:
        limits = httpx2.Limits(max_connections=None, keepalive_expiry=30.0)
        super().__init__(verify=url.scheme == "https", limits=limits, proxy=None)  # http needs no certificates
        self._address = _address(url)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if _address(request.url) != self._address:
            raise EndpointError(f"nothing was sent: {request.url} is not at the endpoint's address")
        return await super().handle_async_request(request)


def _address(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
