"""BERTScore of many pairs: each distinct text encoded once, each pair a small matrix of cosines.

BERTScore (Zhang et al. 2020, arXiv 1904.09675) matches every token of one text to the most similar token of the
other, by the cosine of their vectors in a layer of BERT; precision is the mean over the candidate's tokens, recall
over the reference's. Model, layer and rescaling baseline are those of the package ``bert_score``; inverse document
frequencies are off, since a group of rollouts shares one reference. The values are those of ``BERTScorer.score`` for
the pair alone; in a batch the package lets padding win over negative cosines, here nothing is padded.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from radvlm_course.rewards import weights
from radvlm_course.rewards.compat import bert_score as bert_score_compat
from radvlm_course.rewards.scorers.batching import (
    batches_by_length,
    choose_device,
    encoded,
    max_tokens_for,
    set_precision,
)
from radvlm_course.rewards.scorers.features import TextScorer, fingerprint

if TYPE_CHECKING:
    import torch

__all__ = ["BertScorer", "TokenVectors"]

MAX_TOKENS = 512


@dataclass(frozen=True)
class TokenVectors:
    """The tokens of one text.

    Attributes:
        vectors: unit vectors, float32, shape (tokens, hidden), special tokens included: they can be matched.
        counted: whether a token counts in the mean (special tokens do not), shape (tokens,).
    """

    vectors: torch.Tensor
    counted: torch.Tensor


class BertScorer(TextScorer[TokenVectors]):
    """BERTScore F1.

    Args:
        model: name of an encoder on the Hugging Face hub with a baseline in the package, such as
            ``distilbert-base-uncased`` (the paper's metric) or ``distilroberta-base`` (inside RadCliQ).
        device: a torch device; None takes the first GPU, else the CPU.
        dtype: precision of the encoder. ``bfloat16`` changes scores a little; see docs/rewards.md.
        rescale: map the score of unrelated sentences, as measured by the authors, to 0.
        package: a ``bert_score.BERTScorer`` to use instead of loading one.
        cache_bytes, cache_path: bounds and file of the cache of references.

    Raises:
        RewardError: the package is not installed, or the encoder is not on this machine; says how to get it.
    """

    def __init__(
        self,
        model: str = "distilbert-base-uncased",
        device: str | None = None,
        dtype: str = "float32",
        rescale: bool = True,
        package: Any = None,
        cache_bytes: int = 2**28,
        cache_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.model, self._dtype, self._device = model, dtype, choose_device(device)
        if package is None:
            load = bert_score_compat.load().BERTScorer
            with weights.from_disk():
                package = load(
                    model_type=weights.require_encoder(model, "bertscore"),
                    lang="en",
                    rescale_with_baseline=rescale,
                    device=str(self._device),
                )
        self._encoder = set_precision(package._model.eval(), dtype)
        self._tokenizer = package._tokenizer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # pandas hands torch an array that cannot be written to
            self._baseline = float(package.baseline_vals[2]) if rescale else 0.0
        super().__init__(cache_bytes, cache_path)

    @property
    def lowest(self) -> float:
        """The score of two texts whose tokens are opposite, the least that the formula can give."""
        return (-1.0 - self._baseline) / (1.0 - self._baseline)

    def f1(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """F1 of (candidate, reference) pairs, at most 1, higher is better; about 0 for unrelated English texts.

        A pair with a text of no tokens at all scores 0, as a blank response does. (The package gives the raw score 0,
        which rescaling turns into the lowest value of any pair, -2 or -5.5; one such rollout would set the spread of
        its group.)
        """
        import torch

        texts = [text for pair in pairs for text in pair]
        features = self.features(texts, references={reference for _, reference in pairs})
        with torch.inference_mode():
            values = torch.stack([_f1(features[candidate], features[reference]) for candidate, reference in pairs])
        rescaled = ((values.cpu().double() - self._baseline) / (1.0 - self._baseline)).tolist()
        return [0.0 if math.isnan(value) else value for value in rescaled]  # vectors are finite: a text without tokens

    def compute(self, texts: list[str]) -> list[TokenVectors]:
        """Token vectors of distinct texts, up to the encoder's longest sequence."""
        import torch

        longest = min(self._tokenizer.model_max_length, MAX_TOKENS)
        rows = self._tokenizer([text.strip() for text in texts], truncation=True, max_length=longest)["input_ids"]
        special = (self._tokenizer.cls_token_id, self._tokenizer.sep_token_id)
        results: list[Any] = [None] * len(texts)
        with torch.inference_mode():
            for batch in batches_by_length([len(row) for row in rows], max_tokens_for(self._device)):
                chosen = [rows[index] for index in batch]
                hidden = encoded(self._encoder, chosen, self._tokenizer.pad_token_id, self._device)
                hidden = torch.nn.functional.normalize(hidden, dim=-1)
                for row, index in enumerate(batch):
                    counted = torch.tensor([token not in special for token in rows[index]], device=self._device)
                    results[index] = TokenVectors(hidden[row, : len(rows[index])].clone(), counted)
        return results

    def size(self, features: TokenVectors) -> int:
        return 500 + features.vectors.nelement() * 4

    def identity(self) -> str:
        return f"bertscore {self.model} {fingerprint(self._encoder, self._dtype)}"

    def to_bytes(self, features: TokenVectors) -> bytes:
        tokens = np.array(features.vectors.shape[:1], "<i8").tobytes()
        counted = features.counted.cpu().numpy().astype(np.int8).tobytes()
        return tokens + counted + features.vectors.cpu().numpy().astype("<f4").tobytes()

    def from_bytes(self, data: bytes) -> TokenVectors:
        import torch

        tokens = int(np.frombuffer(data, "<i8", 1)[0])
        counted = np.frombuffer(data, np.int8, tokens, offset=8).astype(bool)
        vectors = np.frombuffer(data, "<f4", offset=8 + tokens).reshape(tokens, -1).copy()
        return TokenVectors(torch.from_numpy(vectors).to(self._device), torch.from_numpy(counted).to(self._device))


def _f1(candidate: TokenVectors, reference: TokenVectors) -> torch.Tensor:
    """Raw F1 of a pair, a scalar tensor; nan if one of them has no token that counts."""
    cosines = candidate.vectors @ reference.vectors.T
    precision = cosines.max(dim=1).values[candidate.counted].mean()
    recall = cosines.max(dim=0).values[reference.counted].mean()
    return (2 * precision * recall / (precision + recall)).clamp(-1.0, 1.0)
