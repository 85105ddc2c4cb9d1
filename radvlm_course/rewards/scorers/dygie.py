"""Many reports at once through DyGIE++, the model inside RadGraph.

The package sends one document at a time, as one sentence. Several reports as the sentences of one document are not
the way out: nothing crosses sentences in the trained model (coreference is off), but its decoding does. It pads the
pruned spans of all sentences to the longest and masks the second span of each pair only, so a shorter report gets
relations that start from padding.

Here the model's own layers run on flat lists: all words of the batch, all spans, all pairs, with no padding behind
the encoder. Three things make it cheap, none of which changes an annotation:

- a layer on [start; end; width] is a sum of three smaller ones, and the first two are computed once a word instead
  of once a span;
- a relation is written down only if both of its spans are entities, so only pairs of entities are scored;
- the third part of a pair's features, the product of both spans, is the same for (i, j) and (j, i).

Texts beyond the encoder's 512 tokens are cut into segments as the package does, each a row of the batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from radvlm_course.rewards.base import RewardError
from radvlm_course.rewards.scorers.batching import batches_by_length, encoded, max_tokens_for
from radvlm_course.rewards.scorers.dygie_heads import DygieHeads, Facts, Spans

if TYPE_CHECKING:
    import torch

__all__ = ["BatchedDygie", "Facts"]

WORDS_REMEMBERED = 50_000


class BatchedDygie:
    """The annotations of ``radgraph.RadGraph``, of many texts at once.

    Args:
        package: a loaded ``radgraph.RadGraph``; its layers are used, not copied.

    Raises:
        RewardError: the model uses parts of DyGIE++ that cross sentences (coreference, events).
    """

    def __init__(self, package: Any) -> None:
        model = package.model
        if any(model._loss_weights[task] > 0 for task in ("coref", "events")) or model._coref.coref_prop > 0:
            raise RewardError(
                f"the RadGraph model {package.model_type!r} uses coreference or events, which are not batched: "
                "build the scorer with batched=False"
            )
        embedder = model._embedder.token_embedder_bert._matched_embedder
        if embedder._scalar_mix is not None:
            raise RewardError(f"{package.model_type!r} mixes layers, which is not batched: use batched=False")
        indexer = package.reader._token_indexers["bert"]._matched_indexer
        self._device = package.device
        self._encoder = embedder.transformer_model
        self._tokenizer = indexer._tokenizer
        self._segment = indexer._effective_max_length if indexer._max_length is not None else None
        self._ahead = indexer._num_added_start_tokens
        self._width = package.reader._max_span_width
        self._heads = DygieHeads(model, package.model_type)
        self._pieces: dict[str, list[int]] = {}

    def __call__(self, texts: Sequence[Sequence[str]]) -> list[Facts]:
        """Annotate texts, each given as its words; a text without a word has no facts."""
        import torch

        results = [Facts([], []) for _ in texts]
        pieces = self._wordpieces(texts)
        lengths = [sum(map(len, text)) for text in pieces]
        with torch.inference_mode():
            for batch in batches_by_length(lengths, max_tokens_for(self._device)):
                batch = [index for index in batch if texts[index]]
                if batch:
                    words = self._words([pieces[index] for index in batch])
                    spans = self._spans([len(texts[index]) for index in batch])
                    for index, facts in zip(batch, self._heads.facts(words, spans), strict=True):
                        results[index] = facts
        return results

    def forget(self) -> None:
        """Empty the memory of words that have been cut into wordpieces."""
        self._pieces.clear()

    def ner_scores(self, texts: Sequence[Sequence[str]]) -> torch.Tensor:
        """Scores of every span for every entity label but "none", shape (spans, labels)."""
        words, spans = self._words(self._wordpieces(texts)), self._spans([len(text) for text in texts])
        return self._heads.span_scores(words, spans)[0]

    def relation_scores(self, texts: Sequence[Sequence[str]]) -> torch.Tensor:
        """Scores of every pair of entities for every relation but "none", shape (pairs, labels)."""
        words, spans = self._words(self._wordpieces(texts)), self._spans([len(text) for text in texts])
        return self._heads.pair_scores(words, spans, self._heads.candidates(words, spans))[0]

    def _wordpieces(self, texts: Sequence[Sequence[str]]) -> list[list[list[int]]]:
        """Wordpiece ids of each word of each text; the package tokenizes word by word as well."""
        known = self._pieces
        if len(known) > WORDS_REMEMBERED:
            known.clear()
        new = [word for word in dict.fromkeys(itertools.chain.from_iterable(texts)) if word not in known]
        if new:
            plain = [word[1:] if word in ("/.", "/?") else word for word in new]
            known.update(zip(new, self._tokenizer(plain, add_special_tokens=False)["input_ids"], strict=True))
        return [[known[word] for word in text] for text in texts]

    def _words(self, texts: Sequence[Sequence[Sequence[int]]]) -> torch.Tensor:
        """The mean of each word's wordpiece vectors, shape (words of the batch, hidden); zero for a word without."""
        import torch
        from torch.nn import functional

        rows, places = [], []
        for text in texts:
            flat = [piece for word in text for piece in word]
            size = self._segment or len(flat)
            for start in range(0, len(flat), size):
                rows.append(self._tokenizer.build_inputs_with_special_tokens(flat[start : start + size]))
                places.append(min(size, len(flat) - start))
        if not rows:  # words of control characters only
            return torch.zeros((sum(map(len, texts)), self._encoder.config.hidden_size), device=self._device)
        hidden = encoded(self._encoder, rows, self._tokenizer.pad_token_id or 0, self._device)
        longest = hidden.shape[1]
        index = np.concatenate([np.arange(count) + row * longest + self._ahead for row, count in enumerate(places)])
        counts = np.fromiter((len(word) for text in texts for word in text), dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
        pieces, bags = (torch.from_numpy(array).to(self._device) for array in (index, offsets))
        return functional.embedding_bag(pieces, hidden.flatten(0, 1), bags, mode="mean")

    def _spans(self, lengths: Sequence[int]) -> Spans:
        """All spans of up to the model's width, text by text, by first and then by last word."""
        import torch

        words = np.asarray(lengths)
        first_word = np.concatenate([[0], np.cumsum(words)[:-1]])
        left = np.concatenate([np.arange(count, 0, -1) for count in words])  # words up to the end of the text
        counts = np.minimum(left, self._width)
        ends = np.cumsum(counts)
        start = np.repeat(np.arange(len(left)), counts)
        end = start + np.arange(len(start)) - np.repeat(ends - counts, counts)
        first_span = np.concatenate([[0], ends[np.cumsum(words)[:-1] - 1]])
        first, last = (torch.from_numpy(array).to(self._device) for array in (start, end))
        return Spans(first, last, words, first_word, first_span)
