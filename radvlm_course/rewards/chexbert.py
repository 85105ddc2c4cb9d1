"""chexbert: do response and reference speak of the same findings?

CheXbert gives each report a class for fourteen observations (:mod:`radvlm_course.rewards.scorers.chexbert`). As a
reward of one pair it is the F1 of the observations that are present, or the cosine of the two embeddings, which is
RadCliQ's part of it. The tables' micro and macro F1 are of whole test sets: ``scorers.chexbert.f1_table``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from radvlm_course.rewards.model_reward import ModelReward, Pair, shared_scorer
from radvlm_course.rewards.scorers.chexbert import (
    FIVE,
    MAPPINGS,
    OBSERVATIONS,
    CheXbertLabels,
    CheXbertScorer,
    cosine,
    mapped,
)

__all__ = ["CheXbert"]

Measure = Literal["f1", "cosine"]
_LABELS = {"all": OBSERVATIONS, "five": FIVE}


class CheXbert(ModelReward):
    """Agreement of the findings of response and reference; higher is better, equal texts give 1.

    Args:
        measure: ``f1`` of the observations that are present, 0 to 1, where two reports without any agree (1); or
            ``cosine`` of the embeddings, -1 to 1.
        labels: ``all`` fourteen, or the ``five`` (cardiomegaly, edema, consolidation, atelectasis, effusion).
        mapping: ``uncertain_positive`` (the paper's: an uncertain finding is present) or ``uncertain_negative``.
        device, dtype, cache_path: see :class:`~radvlm_course.rewards.scorers.chexbert.CheXbertScorer`.

    Raises:
        ValueError: an option has none of these values.
        RewardError: the package or its weights are missing.
    """

    name = "chexbert"
    empty_value = 0.0

    def __init__(
        self,
        measure: Measure = "f1",
        labels: Literal["all", "five"] = "all",
        mapping: str = "uncertain_positive",
        device: str | None = None,
        dtype: str = "float32",
        cache_path: str | os.PathLike[str] | None = None,
    ) -> None:
        known: dict[str, tuple[str, ...]] = {
            "measure": ("f1", "cosine"),
            "labels": tuple(_LABELS),
            "mapping": tuple(MAPPINGS),
        }
        for option, found in (("measure", measure), ("labels", labels), ("mapping", mapping)):
            if found not in known[option]:
                raise ValueError(f"chexbert: expected {option} of {', '.join(known[option])}; found {found!r}")
        self.measure, self._observations, self._mapping = measure, _LABELS[labels], mapping
        self.range = (0.0, 1.0) if measure == "f1" else (-1.0, 1.0)
        self.scorer = shared_scorer(CheXbertScorer, device=device, dtype=dtype, cache_path=cache_path)
        self.scorers = (self.scorer,)

    def score_pairs(self, pairs: Sequence[Pair]) -> list[float]:
        texts = [text for pair in pairs for text in pair]
        labels = self.scorer.features(texts, references={reference for _, reference in pairs})
        return [self._agreement(labels[response], labels[reference]) for response, reference in pairs]

    def _agreement(self, response: CheXbertLabels, reference: CheXbertLabels) -> float:
        if self.measure == "cosine":
            return cosine(response.embedding, reference.embedding)
        predicted, true = (mapped(one.classes, self._mapping, self._observations) for one in (response, reference))
        marked = int(predicted.sum() + true.sum())
        return 2 * int((predicted * true).sum()) / marked if marked else 1.0
