"""radcliq: the composite that radiologists' error counts were fitted to, as a reward.

RadCliQ-v1 (Yu et al. 2023, Patterns 4:100802) predicts how many errors a radiologist would count in a report from
four measures of similarity with the reference: each is standardised, the sum is weighted, lower is better.

    RadCliQ-v1 = 2.4501 - 1.2452 RadGraph - 1.6508 BERTScore - 0.9948 CheXbert (- 0 BLEU-2)

- RadGraph: mean of the F1 of entities and of relations (``combined``); a report without relations has relation F1 0.
- BERTScore: ``distilroberta-base``, rescaled, no inverse document frequencies.
- CheXbert: cosine of the ``[CLS]`` vectors.
- BLEU-2 on words split at spaces; its published coefficient, 4e-12, makes it vanish.

Coefficients and scales are those of the published model (github.com/rajpurkarlab/CXR-Report-Metric). They were
fitted with RadGraph's first model, ``radgraph``; the paper reads ``radgraph-xl`` with the same coefficients.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from radvlm_course.records import Example
from radvlm_course.rewards.model_reward import ModelReward, Pair, shared_scorer
from radvlm_course.rewards.scorers.bertscore import BertScorer
from radvlm_course.rewards.scorers.chexbert import CheXbertScorer, cosine
from radvlm_course.rewards.scorers.radgraph import RadGraphScorer

__all__ = ["RadCliQ", "RadCliQParts", "bleu_2"]

MEANS = (0.53792312, 0.61757256, 0.76479421, 0.44738335)
SCALES = (0.30282584, 0.22430938, 0.25394391, 0.29892717)
COEFFICIENTS = (-3.77083683e-01, -3.70300100e-01, -2.52616218e-01, 4.31504841e-12)
INTERCEPT = 2.46655256e-10


@dataclass(frozen=True)
class RadCliQParts:
    """The four measures of one pair; for each higher is better.

    Attributes:
        radgraph: 0 to 1.
        bertscore: at most 1; about 0 for unrelated texts.
        chexbert: cosine, -1 to 1.
        bleu: BLEU-2, 0 to 1.
    """

    radgraph: float
    bertscore: float
    chexbert: float
    bleu: float

    def radcliq(self) -> float:
        """RadCliQ-v1; LOWER is better: -1.4407 for a perfect pair, +2.4501 if all parts are 0.

        >>> round(RadCliQParts(1, 1, 1, 1).radcliq(), 4), round(RadCliQParts(0, 0, 0, 0).radcliq(), 4)
        (-1.4407, 2.4501)
        """
        parts = (self.radgraph, self.bertscore, self.chexbert, self.bleu)
        terms = zip(parts, MEANS, SCALES, COEFFICIENTS, strict=True)
        return INTERCEPT + sum(weight * (part - mean) / scale for part, mean, scale, weight in terms)

    def reward(self) -> float:
        """The negative of RadCliQ-v1, so that HIGHER is better. This is the only place where the sign changes."""
        return -self.radcliq()


class RadCliQ(ModelReward):
    """The negative of RadCliQ-v1: +1.4407 for a perfect pair, higher is better.

    A blank response earns -2.4501, the value of all parts 0. There is no lower floor (the paper gives -3 for blank
    and failed ones), so that one broken rollout does not set the spread of its group.

    Args:
        radgraph_model: ``radgraph-xl`` (the paper's) or ``radgraph`` (the one the coefficients were fitted with).
        device, dtype, batched: see the scorers.
        cache_path: a SQLite file for the references of all three models.

    Raises:
        RewardError: a package or its weights are missing.
    """

    name = "radcliq"
    empty_value = RadCliQParts(0.0, 0.0, 0.0, 0.0).reward()

    def __init__(
        self,
        radgraph_model: str = "radgraph-xl",
        device: str | None = None,
        dtype: str = "float32",
        batched: bool = True,
        cache_path: str | os.PathLike[str] | None = None,
    ) -> None:
        common = {"device": device, "dtype": dtype, "cache_path": cache_path}
        self._radgraph = shared_scorer(RadGraphScorer, model=radgraph_model, batched=batched, **common)
        self._chexbert = shared_scorer(CheXbertScorer, **common)
        self._bertscore = shared_scorer(BertScorer, model="distilroberta-base", **common)
        self.scorers = (self._radgraph, self._chexbert, self._bertscore)
        lowest = RadCliQParts(0.0, self._bertscore.lowest, -1.0, 1.0)
        self.range = (lowest.reward(), RadCliQParts(1.0, 1.0, 1.0, 0.0).reward())

    def parts(self, completions: Sequence[str], examples: Sequence[Example]) -> list[RadCliQParts]:
        """The four measures of each pair, for tables and pictures; no completion may be blank."""
        return self._parts(self.prepared(completions, examples))

    def score_pairs(self, pairs: Sequence[Pair]) -> list[float]:
        return [parts.reward() for parts in self._parts(pairs)]

    def _parts(self, pairs: Sequence[Pair]) -> list[RadCliQParts]:
        texts = [text for pair in pairs for text in pair]
        references = {reference for _, reference in pairs}
        graphs = self._radgraph.features(texts, references)
        labels = self._chexbert.features(texts, references)
        return [
            RadCliQParts(
                radgraph=graphs[response].f1(graphs[reference], "combined"),
                bertscore=similarity,
                chexbert=cosine(labels[response].embedding, labels[reference].embedding),
                bleu=bleu_2(response, reference),
            )
            for (response, reference), similarity in zip(pairs, self._bertscore.f1(pairs), strict=True)
        ]


def bleu_2(response: str, reference: str) -> float:
    """BLEU over single words and pairs of words, split as RadCliQ does; 0 to 1, higher is better."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    tokens = [text.lower().replace(".", " .").split() for text in (reference, response)]
    smoothing = SmoothingFunction().method1
    return float(sentence_bleu([tokens[0]], tokens[1], weights=(0.5, 0.5), smoothing_function=smoothing))
