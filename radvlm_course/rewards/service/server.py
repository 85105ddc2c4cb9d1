"""The HTTP side of the reward service: admission, limits, answers, health and metrics.

==============================  ======  ==========================================================================
``/v1/rewards/{name}``          GET     what the reward declares: range, value of an empty response, tasks
``/v1/rewards/{name}/scores``   POST    scores of a batch of pairs (:mod:`radvlm_course.rewards.service.wire`)
``/health``                     GET     200, or 503 if a scoring thread has died or hangs: restart the process
``/ready``                      GET     200 while every reward has its models loaded and can score, else 503
``/metrics``                    GET     counters for Prometheus
==============================  ======  ==========================================================================

Where a token is set, all but health and readiness ask for ``Authorization: Bearer TOKEN``. A refusal says what to
do: 429 and 503 carry ``Retry-After``; 400, 401, 404, 413, 422 and 500 would fail again and must not be repeated.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from radvlm_course.rewards.base import Reward, RewardError
from radvlm_course.rewards.service.batching import Batcher, BatchSettings, QueueFull, Stopped
from radvlm_course.rewards.service.metrics import ServiceMetrics
from radvlm_course.rewards.service.scoring import ScoringFailed
from radvlm_course.rewards.service.wire import Pair, WireError, decode_pairs, describe

__all__ = ["Refusal", "RewardService", "ServiceSettings", "create_app"]

logger = logging.getLogger(__name__)

_BODY_SECONDS = 60.0
_STOP_SECONDS = 2.0  # every request is answered by then, so a thread that takes longer hangs


@dataclass(frozen=True)
class ServiceSettings:
    """Limits of the service.

    Attributes:
        batch: sizes of queue and batches.
        request_bytes, request_pairs: the largest request.
        stuck_seconds: a request waits no longer for its scores, and a batch that takes longer makes the service
            unhealthy.

    Raises:
        ValueError: a limit is out of bounds, or a permitted request would not fit into the queue.
    """

    batch: BatchSettings = field(default_factory=BatchSettings)
    request_bytes: int = 16 * 1024 * 1024
    request_pairs: int = 1024
    stuck_seconds: float = 300.0

    def __post_init__(self) -> None:
        if self.request_bytes < 1 or self.request_pairs < 1 or self.stuck_seconds <= 0:
            raise ValueError(f"expected positive limits, found {self}")
        if self.request_pairs > self.batch.queue_pairs:
            raise ValueError(
                f"a request of {self.request_pairs} pairs would never fit into a queue of {self.batch.queue_pairs}: "
                "give the queue more room or requests less"
            )


class Refusal(Exception):
    """A request that gets no scores, as it is told to the caller."""

    def __init__(
        self, status: int, kind: str, message: str, example_ids: Sequence[str] = (), retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.example_ids = list(example_ids)
        self.retry_after = retry_after

    def response(self) -> JSONResponse:
        """The answer to the caller."""
        error = {"kind": self.kind, "message": str(self), "example_ids": self.example_ids}
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"error": error}, self.status, headers)


class RewardService:
    """The rewards that are served, behind one set of limits.

    Args:
        builders: name -> what makes the reward.
        settings: limits.
        token: required of every caller if given.
        on_load_failure: called with a reward's name if it cannot be loaded.
    """

    def __init__(
        self,
        builders: Mapping[str, Callable[[], Reward]],
        settings: ServiceSettings,
        token: str | None = None,
        on_load_failure: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = ServiceMetrics()
        self._token = token
        self.batchers = {
            name: Batcher(name, build, settings.batch, self.metrics, on_load_failure)
            for name, build in builders.items()
        }
        for name, batcher in self.batchers.items():
            self.metrics.watch_queue(name, batcher.waiting_pairs)

    def authorise(self, request: Request) -> None:
        """Refuse a caller without the token."""
        if self._token is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token.encode()):
            raise Refusal(401, "unauthorised", "expected the header 'Authorization: Bearer TOKEN' with the right token")

    def loaded(self, name: str) -> tuple[Batcher, Reward]:
        """A served reward, or the refusal that it is unknown (404) or not loaded yet (503)."""
        if name not in self.batchers:
            served = ", ".join(sorted(self.batchers))
            raise Refusal(404, "unknown_reward", f"the reward {name!r} is not served here; served: {served}")
        batcher = self.batchers[name]
        if batcher.reward is None:
            raise Refusal(503, "loading", f"the models of {name} are being loaded", retry_after=1)
        return batcher, batcher.reward

    def ailing(self) -> dict[str, str]:
        """What is wrong, by reward; empty if all is well."""
        found = {}
        for name, batcher in self.batchers.items():
            if not batcher.alive:
                found[name] = "its thread has ended"
            elif (seconds := batcher.busy_seconds) > self.settings.stuck_seconds:
                found[name] = f"one batch has been scored for {seconds:.0f} s"
        return found

    async def scores(self, name: str, request: Request) -> list[float]:
        """Scores of the pairs in the request's body; counts the answer, whatever it is."""
        started = time.perf_counter()
        label = name if name in self.batchers else "unknown"
        try:
            values = await self._scores(name, request)
        except Refusal as refusal:
            self.metrics.observe_answer(label, refusal.status, time.perf_counter() - started, refusal.kind)
            raise
        self.metrics.observe_answer(label, 200, time.perf_counter() - started)
        return values

    async def _scores(self, name: str, request: Request) -> list[float]:
        self.authorise(request)
        batcher, reward = self.loaded(name)
        pairs = self._pairs(reward, await self._body(request))
        try:
            return await self._answer(request, batcher.submit(pairs))
        except QueueFull as full:
            raise Refusal(429, "overloaded", str(full), retry_after=full.retry_after) from full
        except Stopped as stopped:
            raise Refusal(503, "stopping", str(stopped), retry_after=1) from stopped
        except ScoringFailed as failure:
            raise Refusal(500, "scorer_failed", str(failure), [failure.example_id]) from failure

    async def _body(self, request: Request) -> bytes:
        most = self.settings.request_bytes
        body = bytearray()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > most:
                        raise Refusal(413, "too_large", f"expected at most {most} bytes: send several requests")
        except TimeoutError as error:
            raise Refusal(408, "slow_request", f"the body took longer than {_BODY_SECONDS:.0f} s") from error
        except ClientDisconnect as error:
            raise Refusal(499, "caller_gone", "the caller closed the connection") from error
        return bytes(body)

    def _pairs(self, reward: Reward, body: bytes) -> list[Pair]:
        try:
            pairs = decode_pairs(body, self.settings.request_pairs)
        except WireError as error:
            raise Refusal(400, "bad_request", str(error)) from error
        for pair in pairs:
            try:
                reward.check_example(pair.example)
            except RewardError as error:
                raise Refusal(422, "not_judged", str(error), [pair.example.id]) from error
        return pairs

    async def _answer(self, request: Request, future: Future[list[float]]) -> list[float]:
        """Wait for the scores while the caller waits too; an abandoned request leaves the queue."""
        answer = asyncio.wrap_future(future)
        gone = asyncio.create_task(_until_gone(request))
        either: set[asyncio.Future[Any]] = {answer, gone}
        seconds = self.settings.stuck_seconds
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if gone.done():
                raise Refusal(499, "caller_gone", "the caller closed the connection")
            raise Refusal(504, "timeout", f"the scores were not ready within {seconds:.0f} s")
        finally:
            gone.cancel()
            answer.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def create_app(service: RewardService) -> FastAPI:
    """The service as an ASGI application, which starts and stops the scoring threads with itself."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for batcher in service.batchers.values():
            batcher.start()
        yield
        for batcher in service.batchers.values():
            await asyncio.to_thread(batcher.stop, _STOP_SECONDS)

    # No documentation pages: they would fetch their scripts from the internet.
    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _add_scores(app, service)
    _add_health(app, service)

    @app.exception_handler(Refusal)
    async def refuse(request: Request, refusal: Refusal) -> JSONResponse:
        return refusal.response()

    return app


def _add_scores(app: FastAPI, service: RewardService) -> None:
    @app.post("/v1/rewards/{name}/scores")
    async def scores(name: str, request: Request) -> JSONResponse:
        return JSONResponse({"reward": name, "values": await service.scores(name, request)})

    @app.get("/v1/rewards/{name}")
    async def description(name: str, request: Request) -> dict[str, Any]:
        service.authorise(request)
        return describe(service.loaded(name)[1])


def _add_health(app: FastAPI, service: RewardService) -> None:
    @app.get("/health")
    async def health() -> JSONResponse:
        ailing = service.ailing()
        return JSONResponse({"status": "ailing" if ailing else "ok", "rewards": ailing}, 503 if ailing else 200)

    @app.get("/ready")
    async def ready() -> JSONResponse:
        states = {name: batcher.alive and batcher.reward is not None for name, batcher in service.batchers.items()}
        return JSONResponse({"ready": all(states.values()), "rewards": states}, 200 if all(states.values()) else 503)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        service.authorise(request)
        return Response(service.metrics.text(), media_type=service.metrics.content_type)
