"""bertscore: similarity of the tokens of a response and the reference, as BERT sees them.

The paper's setting: ``distilbert-base-uncased``, its fifth layer, rescaled with the authors' baseline so that
unrelated texts score about 0, without inverse document frequencies (:mod:`radvlm_course.rewards.scorers.bertscore`).
It is not the BERTScore inside RadCliQ, which reads ``distilroberta-base``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from radvlm_course.rewards.model_reward import ModelReward, Pair, shared_scorer
from radvlm_course.rewards.scorers.bertscore import BertScorer

__all__ = ["BertScore"]


class BertScore(ModelReward):
    """BERTScore F1; at most 1 (equal texts), about 0 for unrelated ones, below 0 for worse; higher is better.

    A blank response earns 0, as in the paper: what an unrelated text earns.

    Args:
        model: an encoder on the Hugging Face hub for which ``bert_score`` has a baseline.
        device, dtype, cache_path: see :class:`~radvlm_course.rewards.scorers.bertscore.BertScorer`.

    Raises:
        RewardError: the package or the encoder is missing; says how to get it.
    """

    name = "bertscore"
    empty_value = 0.0

    def __init__(
        self,
        model: str = "distilbert-base-uncased",
        device: str | None = None,
        dtype: str = "float32",
        cache_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.scorer = shared_scorer(BertScorer, model=model, device=device, dtype=dtype, cache_path=cache_path)
        self.scorers = (self.scorer,)
        self.range = (self.scorer.lowest, 1.0)

    def score_pairs(self, pairs: Sequence[Pair]) -> list[float]:
        return self.scorer.f1(pairs)
