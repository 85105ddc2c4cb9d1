"""What the service counts, in the text format that Prometheus reads.

Each service has a registry of its own, so several can live in one process (in tests they do).
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from radvlm_course.rewards.base import Reward

__all__ = ["ServiceMetrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_PAIRS = (1, 8, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


class ServiceMetrics:
    """Counters of one service; every one has the label ``reward``.

    Attributes:
        requests: answered scores requests, by HTTP ``status``.
        failures: those that gave no scores, by ``kind`` of error.
        request_seconds: from a request's arrival to its answer.
        scored_pairs: pairs that the reward itself scored; each distinct pair counts once while it is remembered.
        cache_hits: pairs answered from memory, or together with an equal pair of the same batch.
        batch_pairs, batch_seconds: size and time of the calls of the reward.
        waiting_pairs: pairs in the queue now.
        texts_computed, text_cache_hits: for rewards with a model, distinct texts that the model read and those that it
            found in its own cache, since it was loaded; rewards that share a model share these numbers.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Answered scores requests", "status")
        self.failures = self._counter("failures", "Scores requests that gave no scores", "kind")
        self.scored_pairs = self._counter("scored_pairs", "Pairs that the reward scored")
        self.cache_hits = self._counter("cache_hits", "Pairs answered without scoring them again")
        self.request_seconds = self._histogram("request_seconds", "Time from request to answer", _SECONDS)
        self.batch_seconds = self._histogram("batch_seconds", "Time of one call of the reward", _SECONDS)
        self.batch_pairs = self._histogram("batch_pairs", "Pairs in one call of the reward", _PAIRS)
        self.waiting_pairs = self._gauge("waiting_pairs", "Pairs in the queue")
        self.texts_computed = self._gauge("texts_computed", "Distinct texts that the model read")
        self.text_cache_hits = self._gauge("text_cache_hits", "Distinct texts found in the model's cache")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"reward_{name}", text, ["reward", *labels], registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"reward_{name}", text, ["reward"], registry=self.registry, buckets=buckets)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"reward_{name}", text, ["reward"], registry=self.registry)

    def watch_queue(self, reward: str, waiting_pairs: Callable[[], int]) -> None:
        """Read the length of a reward's queue whenever the metrics are asked for."""
        self.waiting_pairs.labels(reward).set_function(waiting_pairs)

    def watch_texts(self, name: str, reward: Reward) -> None:
        """Read what a reward's model has done whenever the metrics are asked for; nothing if it has no model."""
        cache_info = getattr(reward, "cache_info", None)
        if cache_info is not None:
            self.texts_computed.labels(name).set_function(lambda: cache_info().computed)
            self.text_cache_hits.labels(name).set_function(lambda: cache_info().hits)

    def observe_batch(self, reward: str, pairs: int, seconds: float) -> None:
        """Count one call of the reward."""
        self.scored_pairs.labels(reward).inc(pairs)
        self.batch_pairs.labels(reward).observe(pairs)
        self.batch_seconds.labels(reward).observe(seconds)

    def observe_answer(self, reward: str, status: int, seconds: float, failure: str | None = None) -> None:
        """Count one answered scores request; ``failure`` is the kind of its error."""
        self.requests.labels(reward, str(status)).inc()
        self.request_seconds.labels(reward).observe(seconds)
        if failure is not None:
            self.failures.labels(reward, failure).inc()

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
