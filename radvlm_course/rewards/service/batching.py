"""Dynamic batching: the pairs of many callers, scored in one call of one reward.

A reward with a model wants full batches, and callers come one by one. While a batch is being scored the requests
that arrive wait in a bounded queue; the next batch takes as many of them as fit. One thread for each reward does
the scoring, so a slow reward never holds up another one, nor the answers to health checks.

A caller gets the scores of its own pairs or an error of its own: if a batch fails, each of its requests is scored
again by itself. A caller that has gone takes its waiting pairs with it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from radvlm_course.rewards.base import Reward
from radvlm_course.rewards.service.metrics import ServiceMetrics
from radvlm_course.rewards.service.scoring import Scorer, warm_up
from radvlm_course.rewards.service.wire import Pair

__all__ = ["BatchSettings", "Batcher", "QueueFull", "Stopped"]

logger = logging.getLogger(__name__)

_LONGEST_RETRY_AFTER = 60
_loading = threading.Lock()  # rewards that share a model then find the one that is loaded already


@dataclass(frozen=True)
class BatchSettings:
    """Sizes of the queue and of the batches, counted in pairs.

    Attributes:
        batch_pairs: a batch takes further waiting requests while it stays within this many pairs.
        queue_pairs: more waiting pairs than this are refused.
        cache_pairs: scores that are remembered; 0 for none.
        linger_seconds: how long a batch that is not full waits for more requests.

    Raises:
        ValueError: a size is out of bounds.
    """

    batch_pairs: int = 1024
    queue_pairs: int = 4096
    cache_pairs: int = 16384
    linger_seconds: float = 0.002

    def __post_init__(self) -> None:
        if self.batch_pairs < 1 or self.queue_pairs < 1 or self.cache_pairs < 0 or self.linger_seconds < 0:
            raise ValueError(f"expected sizes of at least 1 (cache and linger: 0), found {self}")


class QueueFull(RuntimeError):
    """The queue has no room; ``retry_after`` is an estimate, in whole seconds, of when it has."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Stopped(RuntimeError):
    """The reward takes no more requests."""


@dataclass
class _Job:
    """The pairs of one request and the place for their scores."""

    pairs: Sequence[Pair]
    future: Future[list[float]] = field(default_factory=Future)


class Batcher:
    """One reward, its queue and the thread that scores.

    Args:
        name: the reward's name.
        build: makes the reward; called in the thread, because loading models takes a while.
        settings: sizes.
        metrics: where batches, cache hits and failures are counted.
        on_load_failure: called in the thread, with the name, if the reward cannot be built or warmed up.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[], Reward],
        settings: BatchSettings,
        metrics: ServiceMetrics,
        on_load_failure: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self._build = build
        self._metrics = metrics
        self._on_load_failure = on_load_failure
        self._scorer: Scorer | None = None
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"reward-{name}", daemon=True)

    def start(self) -> None:
        """Begin to load the reward; returns at once."""
        self._thread.start()

    @property
    def reward(self) -> Reward | None:
        """The reward, or None while it is loading."""
        return None if self._scorer is None else self._scorer.reward

    @property
    def alive(self) -> bool:
        """The thread is loading or scoring; false before the start and after the end."""
        return self._thread.is_alive()

    @property
    def busy_seconds(self) -> float:
        """How long the batch at hand has been scored; 0 if there is none."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def submit(self, pairs: Sequence[Pair]) -> Future[list[float]]:
        """Queue the pairs of one request.

        Returns:
            A future with one score for each pair, in order, or with the
            :class:`~radvlm_course.rewards.service.scoring.ScoringFailed` of this request. Cancelling it while it
            waits takes the pairs out of the queue.

        Raises:
            QueueFull: no room; says when to come again.
            Stopped: the reward is being stopped, or its thread has ended.
        """
        job = _Job(pairs)
        with self._changed:
            if self._stopping:
                raise Stopped(f"{self.name} takes no more requests: the service is shutting down")
            self._jobs = deque(waiting for waiting in self._jobs if not waiting.future.cancelled())
            if (waiting := self.waiting_pairs()) + len(pairs) > self.settings.queue_pairs:
                raise self._queue_full(waiting, len(pairs))
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def waiting_pairs(self) -> int:
        """Pairs in the queue."""
        with self._changed:
            return sum(len(job.pairs) for job in self._jobs)

    def _queue_full(self, waiting: int, more: int) -> QueueFull:
        pace = 0.0 if self._scorer is None else self._scorer.seconds_per_pair
        seconds = max(1, min(_LONGEST_RETRY_AFTER, math.ceil(waiting * pace)))
        return QueueFull(
            f"{waiting} of {self.settings.queue_pairs} pairs are waiting for {self.name}, no room for {more} more: "
            f"come again in {seconds} s",
            seconds,
        )

    def stop(self, timeout: float | None = None) -> bool:
        """Refuse new requests, score what waits, end the thread. Returns whether it ended in time (seconds)."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with _loading:
                reward = self._build()
                warm_up(reward)
        except Exception:
            logger.exception("%s cannot be served", self.name)
            if self._on_load_failure is not None:
                self._on_load_failure(self.name)
            return
        self._metrics.watch_texts(self.name, reward)
        scorer = self._scorer = Scorer(self.name, reward, self.settings.cache_pairs, self._metrics)
        jobs: list[_Job] = []
        try:
            while jobs := self._next_jobs():
                self._busy_since = time.monotonic()
                self._score_jobs(scorer, jobs)
                self._busy_since = None
        finally:
            self._abandon(jobs)

    def _next_jobs(self) -> list[_Job]:
        """Wait for work. No jobs means that the batcher is stopped and its queue is empty."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._jobs or self._stopping)
                self._linger()
                jobs = self._take_batch()
                if jobs or self._stopping:
                    return jobs

    def _linger(self) -> None:
        until = time.monotonic() + self.settings.linger_seconds
        while not self._stopping and self.waiting_pairs() < self.settings.batch_pairs:
            left = until - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                return

    def _take_batch(self) -> list[_Job]:
        """Whole requests in order of arrival, at least one if there is one; those of callers gone are dropped."""
        jobs: list[_Job] = []
        room = self.settings.batch_pairs
        while self._jobs and (not jobs or len(self._jobs[0].pairs) <= room):
            job = self._jobs.popleft()
            if job.future.set_running_or_notify_cancel():
                jobs.append(job)
                room -= len(job.pairs)
        return jobs

    def _score_jobs(self, scorer: Scorer, jobs: Sequence[_Job]) -> None:
        pairs = [pair for job in jobs for pair in job.pairs]
        try:
            values = scorer.scores(pairs)
        except Exception:
            logger.exception("%s failed on a batch of %d pairs; scoring its requests singly", self.name, len(pairs))
            for job in jobs:
                self._score_alone(scorer, job)
            return
        for job in jobs:
            count = len(job.pairs)
            job.future.set_result(values[:count])
            values = values[count:]

    @staticmethod
    def _score_alone(scorer: Scorer, job: _Job) -> None:
        try:
            job.future.set_result(scorer.scores_by_halves(job.pairs))
        except Exception as error:
            job.future.set_exception(error)

    def _abandon(self, jobs: Sequence[_Job]) -> None:
        """The thread is ending: whoever still waits for it gets an error."""
        with self._changed:
            self._stopping = True
            waiting = [job for job in self._jobs if job.future.set_running_or_notify_cancel()]
            self._jobs.clear()
        for job in [*jobs, *waiting]:
            if not job.future.done():
                job.future.set_exception(Stopped(f"the scoring thread of {self.name} has ended"))
