"""BLEU-4 of a set of reports, from counts of n-grams, twice.

BLEU is made for a corpus: n-grams are counted over all reports and divided once (the mean of sentence scores is another
number). So it is a function of sums and can be resampled.

- **corrected** (``bleu``): as ``sacrebleu`` computes it: 13a tokens, exponential smoothing of orders without a match.
- **paper-compatible** (``bleu_paper``): as COCO's caption tools do, which the paper's code calls: words split at white
  space, so that "effusion." is not "effusion", and no smoothing but a constant too small to matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

__all__ = ["ORDERS", "corpus_bleu", "corpus_bleu_paper", "ngram_counts"]

ORDERS = 4
_TINY, _SMALL = 1e-15, 1e-9  # of COCO's caption tools


def ngram_counts(response: Sequence[str], reference: Sequence[str]) -> list[int]:
    """Of one report: matched n-grams of order 1 to 4, n-grams of order 1 to 4, tokens, tokens of the reference."""
    matched, written = [], []
    for order in range(1, ORDERS + 1):
        ours, theirs = _ngrams(response, order), _ngrams(reference, order)
        matched.append(sum((ours & theirs).values()))
        written.append(max(0, len(response) - order + 1))
    return [*matched, *written, len(response), len(reference)]


def _ngrams(tokens: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[shift:] for shift in range(order)), strict=False))


def corpus_bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU-4, 0 to 1, of sums of :func:`ngram_counts` with shape (..., 10); 0 where nothing matches."""
    matched, written, length, reference = _split(sums)
    none = matched == 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        smoothed = 1.0 / (2.0 ** none.cumsum(axis=-1) * written)  # 1/2, 1/4, ... of an n-gram instead of none
        logs = np.log(np.where(none, smoothed, matched / written)).mean(axis=-1)
        score = np.exp(logs + np.minimum(0.0, 1.0 - reference / length))
    return np.where(none.all(axis=-1) | (written == 0).any(axis=-1), 0.0, score)


def corpus_bleu_paper(sums: np.ndarray) -> np.ndarray:
    """BLEU-4, 0 to 1, as COCO's caption tools compute it, of sums with shape (..., 10)."""
    matched, written, length, reference = _split(sums)
    score = ((matched + _TINY) / (written + _SMALL)).prod(axis=-1) ** (1.0 / ORDERS)
    ratio = (length + _TINY) / (reference + _SMALL)
    return np.where(ratio < 1, score * np.exp(1.0 - 1.0 / np.maximum(ratio, _TINY)), score)


def _split(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return sums[..., :ORDERS], sums[..., ORDERS : 2 * ORDERS], sums[..., -2], sums[..., -1]
