"""What the rewards that run a model have in common, and the models that they share."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from radvlm_course.records import Example
from radvlm_course.rewards.base import TextReward
from radvlm_course.rewards.scorers.features import CacheInfo, TextScorer
from radvlm_course.rewards.scorers.texts import MAX_CHARACTERS, prepare
from radvlm_course.rewards.weights import FOLDER_VARIABLE

__all__ = ["ModelReward", "Pair", "shared_scorer"]

Pair = tuple[str, str]
Scorer = TypeVar("Scorer", bound=TextScorer)
_SCORERS: WeakValueDictionary[tuple, TextScorer] = WeakValueDictionary()


def shared_scorer(build: Callable[..., Scorer], **options: Any) -> Scorer:
    """A scorer with these options; the one that another reward of this process uses, if there is one.

    ``radgraph`` and ``radcliq`` in one run then load RadGraph once, and read each text of a step once.
    """
    key = (build, os.environ.get(FOLDER_VARIABLE), tuple(sorted(options.items())))
    scorer: Any = _SCORERS.get(key)
    if scorer is None:
        scorer = _SCORERS[key] = build(**options)
    return scorer


class ModelReward(TextReward):
    """Base class of rewards that compare texts with the help of a model; a subclass writes :meth:`score_pairs`.

    Both texts are stripped and cut to their first 2,048 characters, and lower-cased where the reward says so, as in
    the paper.

    Attributes:
        lower: whether the model gets lower-cased text.
        scorers: what it measures with.
    """

    lower = True
    scorers: tuple[TextScorer, ...] = ()

    @abstractmethod
    def score_pairs(self, pairs: Sequence[Pair]) -> Sequence[float]:
        """The values of (response, reference) pairs, both prepared; no text is blank."""

    def prepared(self, responses: Sequence[str], examples: Sequence[Example]) -> list[Pair]:
        """Responses and references as the model reads them."""
        answers = [example.answer for example in examples]
        return [
            (prepare(response, self.lower, MAX_CHARACTERS), prepare(answer, self.lower, MAX_CHARACTERS))
            for response, answer in zip(responses, answers, strict=True)
        ]

    def score(self, response: str, example: Example) -> float:
        return self.score_batch([response], [example])[0]

    def score_batch(self, responses: Sequence[str], examples: Sequence[Example]) -> Sequence[float]:
        return self.score_pairs(self.prepared(responses, examples))

    def cache_info(self) -> CacheInfo:
        """Hits, computed texts and entries of all its scorers."""
        return sum((scorer.cache_info() for scorer in self.scorers), CacheInfo())
