"""bleu: precision of 1- to 4-grams of a pair, with a penalty for brevity.

BLEU (Papineni et al. 2002) as ``sacrebleu`` computes it for one sentence: 13a tokens, case kept, n-gram orders that
the response is too short for left out, and the usual exponential smoothing of orders without a match. It is made for
corpora; GLEU (:mod:`radvlm_course.rewards.gleu`) is its relative for single pairs.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from radvlm_course.records import Example
from radvlm_course.rewards.base import TextReward

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

__all__ = ["Bleu"]


class Bleu(TextReward):
    """Sentence BLEU-4 against the example's answer; range 0 to 1, higher is better, equal texts give 1."""

    name = "bleu"
    range = (0.0, 1.0)
    empty_value = 0.0

    @cached_property
    def _scorer(self) -> BLEU:
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(effective_order=True)

    def score(self, response: str, example: Example) -> float:
        return min(1.0, self._scorer.sentence_score(response, [example.answer]).score / 100)
