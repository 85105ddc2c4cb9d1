"""radgraph: F1 of the clinical facts of a response and the reference.

RadGraph reads both reports as graphs of entities and relations, and the facts are compared as sets
(:mod:`radvlm_course.rewards.scorers.radgraph`). The paper rewards level ``complete`` with the model ``radgraph-xl``,
on lower-cased text. It also shows how the reward is gamed: facts that are left out cost less than facts that are
wrong, so the policy's reports shrank from 207 to 93 characters.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from radvlm_course.rewards.model_reward import ModelReward, Pair, shared_scorer
from radvlm_course.rewards.scorers.radgraph import LEVELS, Level, RadGraphScorer

__all__ = ["RadGraph"]


class RadGraph(ModelReward):
    """F1 of the facts of response and reference; range 0 to 1, higher is better.

    A reference in which RadGraph finds no entity gives 0 to every response.

    Args:
        level: ``simple``, ``partial``, ``complete`` (the paper's reward) or ``combined`` (RadCliQ's part).
        model: ``radgraph-xl`` (the paper's) or ``radgraph``.
        device, dtype, batched, cache_path: see :class:`~radvlm_course.rewards.scorers.radgraph.RadGraphScorer`.

    Raises:
        ValueError: there is no such level or model.
        RewardError: the package or its weights are missing.
    """

    name = "radgraph"
    range = (0.0, 1.0)
    empty_value = 0.0

    def __init__(
        self,
        level: Level = "complete",
        model: str = "radgraph-xl",
        device: str | None = None,
        dtype: str = "float32",
        batched: bool = True,
        cache_path: str | os.PathLike[str] | None = None,
    ) -> None:
        if level not in LEVELS:
            raise ValueError(f"radgraph: expected a level of {', '.join(LEVELS)}; found {level!r}")
        self.level: Level = level
        self.scorer = shared_scorer(
            RadGraphScorer, model=model, device=device, dtype=dtype, batched=batched, cache_path=cache_path
        )
        self.scorers = (self.scorer,)

    def score_pairs(self, pairs: Sequence[Pair]) -> list[float]:
        texts = [text for pair in pairs for text in pair]
        graphs = self.scorer.features(texts, references={reference for _, reference in pairs})
        return [graphs[response].f1(graphs[reference], self.level) for response, reference in pairs]
