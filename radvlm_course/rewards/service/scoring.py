"""Scoring inside the service: remembered scores, and failures pinned to their example.

A score depends on its pair alone. So the same pair is scored once, whoever asks and however often, and a list of
pairs that fails as a whole can be scored in halves until the one that fails is found.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from cachetools import LRUCache

from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.rewards.base import Reward, RewardError
from radvlm_course.rewards.service.metrics import ServiceMetrics
from radvlm_course.rewards.service.wire import Pair

__all__ = ["Scorer", "ScoringFailed", "warm_up"]


class ScoringFailed(RuntimeError):
    """The reward failed on one example, named in the message and in ``example_id``."""

    def __init__(self, message: str, example_id: str) -> None:
        super().__init__(message)
        self.example_id = example_id


def warm_up(reward: Reward) -> None:
    """Score one pair, so that the models are loaded and known to work before the first request.

    Raises:
        RewardError: the reward cannot score a plain sentence.
    """
    text = "No acute cardiopulmonary process."
    example = Example("warm-up", reward.tasks[0], "", "Report?", text, (Box(0.25, 0.25, 0.75, 0.75),))
    reward([text], [example])


class Scorer:
    """A reward with a memory for its latest scores. Not for several threads at once.

    Args:
        name: what the reward is called in metrics and messages.
        reward: what scores.
        cache_pairs: how many scores are remembered, least recently used first to go; 0 for none.
        metrics: where batches, cache hits and failures are counted.
    """

    def __init__(self, name: str, reward: Reward, cache_pairs: int, metrics: ServiceMetrics) -> None:
        self.name = name
        self.reward = reward
        self.seconds_per_pair = 0.0
        self._cache: LRUCache[Pair, float] = LRUCache(cache_pairs)
        self._metrics = metrics

    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        """Scores in order; new and distinct pairs go to the reward in one call.

        Raises:
            RewardError: the call failed.
        """
        found = {pair: self._cache[pair] for pair in pairs if pair in self._cache}
        missing = list(dict.fromkeys(pair for pair in pairs if pair not in found))
        if missing:
            started = time.perf_counter()
            values = self.reward([pair.response for pair in missing], [pair.example for pair in missing])
            seconds = time.perf_counter() - started
            found.update(zip(missing, values, strict=True))
            self.seconds_per_pair = seconds / len(missing)
            self._metrics.observe_batch(self.name, len(missing), seconds)
        self._metrics.cache_hits.labels(self.name).inc(len(pairs) - len(missing))
        if self._cache.maxsize:
            self._cache.update(found)
        return [found[pair] for pair in pairs]

    def scores_by_halves(self, pairs: Sequence[Pair]) -> list[float]:
        """As :meth:`scores`, in smaller and smaller calls where a call fails (too large for the memory, say).

        Raises:
            ScoringFailed: the reward failed on a single pair, the first such pair in order.
        """
        try:
            return self.scores(pairs)
        except Exception as error:
            if len(pairs) == 1:
                identifier = pairs[0].example.id
                named = isinstance(error, RewardError) and repr(identifier) in str(error)
                message = str(error) if named else f"{self.name} failed on example {identifier!r}: {error!r}"
                raise ScoringFailed(message, identifier) from error
        middle = len(pairs) // 2
        return [*self.scores_by_halves(pairs[:middle]), *self.scores_by_halves(pairs[middle:])]
