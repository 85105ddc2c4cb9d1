"""DyGIE++'s scorers of spans and of pairs on flat lists; see :mod:`radvlm_course.rewards.scorers.dygie`.

A span is represented as [first word; last word; width], a pair as [span; span; product of both]. Each scorer is a
feed-forward network on that. Its first layer is applied to the parts and the parts are added up, which gives the
same numbers but for the order of the additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["DygieHeads", "Facts", "Spans"]

PAIRS_AT_ONCE = 8192


@dataclass(frozen=True)
class Facts:
    """What the model finds in one text.

    Attributes:
        entities: (first word, last word, label), in the order of the text.
        relations: (index of the entity it starts from, of the entity it points to, label), sorted.
    """

    entities: list[tuple[int, int, str]]
    relations: list[tuple[int, int, str]]


@dataclass(frozen=True)
class Spans:
    """The spans of a batch of texts.

    Attributes:
        start, end: first and last word of each span, counted over the whole batch, shape (spans,).
        words: words of each text, shape (texts,).
        first_word, first_span: where each text's words and spans begin, shape (texts,).
    """

    start: torch.Tensor
    end: torch.Tensor
    words: np.ndarray
    first_word: np.ndarray
    first_span: np.ndarray


@dataclass(frozen=True)
class Candidates:
    """The spans of a batch that are entities and survive pruning, so that they may take part in a relation.

    Attributes:
        spans: their indices, shape (candidates,).
        mentions: their pruning scores, shape (candidates,).
        counts: how many each text has.
        labels: entity label of every span, 0 for none, shape (spans,).
    """

    spans: torch.Tensor
    mentions: torch.Tensor
    counts: np.ndarray
    labels: np.ndarray


class DygieHeads:
    """Entities and relations from word vectors.

    Args:
        model: the ``DyGIE`` module of a RadGraph.
        dataset: the name that its label vocabularies carry, RadGraph's ``model_type``.
    """

    def __init__(self, model: Any, dataset: str) -> None:
        relation, vocabulary = model._relation, model.vocab
        self._widths = model._endpoint_span_extractor._span_width_embedding.weight
        self._ner = _Scorer.of_sequence(model._ner._ner_scorers[f"{dataset}__ner_labels"])
        namespace = f"{dataset}__relation_labels"
        self._pruner = _Scorer.of_sequence(relation._mention_pruners[namespace]._scorer)
        self._pair = _Scorer(relation._relation_feedforwards[namespace], relation._relation_scorers[namespace])
        self._spans_per_word = relation._spans_per_word
        self._entity_names = _names(vocabulary, f"{dataset}__ner_labels")
        self._relation_names = _names(vocabulary, namespace)

    def facts(self, words: torch.Tensor, spans: Spans) -> list[Facts]:
        """The facts of each text of a batch.

        Args:
            words: vectors, shape (words of the batch, hidden).
        """
        candidates = self.candidates(words, spans)
        scores, first, second = self.pair_scores(words, spans, candidates)
        return self._decoded(spans, candidates, scores, first, second)

    def span_scores(self, words: torch.Tensor, spans: Spans) -> tuple[torch.Tensor, torch.Tensor]:
        """Entity scores, shape (spans, labels but "none"), and pruning scores, shape (spans,)."""
        import torch

        hidden, count = words.shape[1], len(self._ner.first.weight)
        weight = torch.cat([self._ner.first.weight, self._pruner.first.weight])
        bias = torch.cat([self._ner.first.bias, self._pruner.first.bias])
        by_start, by_end = words @ weight[:, :hidden].T, words @ weight[:, hidden : 2 * hidden].T
        by_width = self._widths @ weight[:, 2 * hidden :].T + bias
        summed = by_start[spans.start] + by_end[spans.end] + by_width[spans.end - spans.start]
        return self._ner.rest(summed[:, :count]), self._pruner.rest(summed[:, count:]).squeeze(1)

    def candidates(self, words: torch.Tensor, spans: Spans) -> Candidates:
        """The entities among the best-scored half (or whatever the model's share is) of each text's spans."""
        import torch

        scores, mentions = self.span_scores(words, spans)
        labels = _with_none(scores).max(dim=1).indices.cpu()
        pruning, entities = mentions.cpu(), labels != 0
        keep = torch.ceil(torch.from_numpy(spans.words).float() * self._spans_per_word).long().tolist()
        chosen, counts = [], []
        ends = [*spans.first_span[1:].tolist(), len(labels)]
        for start, end, count in zip(spans.first_span.tolist(), ends, keep, strict=True):
            best = pruning[start:end].topk(max(count, 1)).indices.sort().values + start
            best = best[entities[best]]
            chosen.append(best)
            counts.append(len(best))
        indices = torch.cat(chosen).to(mentions.device)
        return Candidates(indices, mentions[indices], np.array(counts), labels.numpy())

    def pair_scores(
        self, words: torch.Tensor, spans: Spans, candidates: Candidates
    ) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
        """Scores of all ordered pairs of candidates within a text.

        Returns:
            Scores, shape (pairs, relations but "none"), and for each pair the candidate it starts from and the
            one it points to.
        """
        import torch

        first, second = _unordered_pairs(candidates.counts)
        start, end = spans.start[candidates.spans], spans.end[candidates.spans]
        vectors = torch.cat([words[start], words[end], self._widths[end - start]], dim=1)
        size = vectors.shape[1]
        weight = self._pair.first.weight
        ahead, behind = vectors @ weight[:, :size].T + self._pair.first.bias, vectors @ weight[:, size : 2 * size].T
        scores = []
        for begin in range(0, len(first), PAIRS_AT_ONCE):
            chosen = slice(begin, begin + PAIRS_AT_ONCE)
            i, j = (torch.from_numpy(array[chosen]).to(words.device) for array in (first, second))
            product = (vectors[i] * vectors[j]) @ weight[:, 2 * size :].T
            mentions = (candidates.mentions[i] + candidates.mentions[j]).unsqueeze(1)
            one_way = self._pair.rest(ahead[i] + behind[j] + product) + mentions
            other_way = self._pair.rest(ahead[j] + behind[i] + product) + mentions
            scores.append(torch.stack([one_way, other_way]))
        if not scores:
            return words.new_zeros((0, len(self._relation_names))), first, second
        both = torch.cat(scores, dim=1)
        apart = first != second  # a span paired with itself has one direction
        back = both[1][torch.from_numpy(apart).to(words.device)]
        return torch.cat([both[0], back]), np.append(first, second[apart]), np.append(second, first[apart])

    def _decoded(
        self, spans: Spans, candidates: Candidates, scores: torch.Tensor, first: np.ndarray, second: np.ndarray
    ) -> list[Facts]:
        labels = _with_none(scores).max(dim=1).indices.cpu().numpy()
        related = np.flatnonzero(labels)
        entities = np.flatnonzero(candidates.labels)  # spans that are entities, over the batch
        text_of_entity = np.searchsorted(spans.first_span, entities, side="right") - 1
        first_entity = np.searchsorted(entities, spans.first_span)
        number = np.searchsorted(entities, candidates.spans.cpu().numpy())  # entity of each candidate, over the batch
        start, end = (
            side.cpu().numpy()[entities] - spans.first_word[text_of_entity] for side in (spans.start, spans.end)
        )
        results = [Facts([], []) for _ in spans.words]
        names = candidates.labels[entities]
        for text, begin, stop, name in zip(*(a.tolist() for a in (text_of_entity, start, end, names)), strict=True):
            results[text].entities.append((begin, stop, self._entity_names[name]))
        source, target = number[first[related]], number[second[related]]
        order = np.lexsort((target, source))
        source, target, names = source[order], target[order], labels[related][order]
        texts = text_of_entity[source]
        source, target = source - first_entity[texts], target - first_entity[texts]
        for text, begin, stop, name in zip(*(a.tolist() for a in (texts, source, target, names)), strict=True):
            results[text].relations.append((begin, stop, self._relation_names[name - 1]))
        return results


class _Scorer:
    """A feed-forward network and the linear layer behind it, with the network's first layer apart."""

    def __init__(self, feedforward: Any, last: Any) -> None:
        self._feedforward, self._last = feedforward, last
        self.first = feedforward._linear_layers[0]

    @classmethod
    def of_sequence(cls, modules: Sequence[Any]) -> _Scorer:
        """From the package's pair of TimeDistributed modules."""
        return cls(modules[0]._module, modules[1]._module)

    def rest(self, first_layer: torch.Tensor) -> torch.Tensor:
        """The scores, given the first layer's output before its activation. Dropout is off in evaluation."""
        activations = self._feedforward._activations
        hidden = activations[0](first_layer)
        for layer, activation in zip(self._feedforward._linear_layers[1:], activations[1:], strict=True):
            hidden = activation(layer(hidden))
        scores: torch.Tensor = self._last(hidden)
        return scores


def _with_none(scores: torch.Tensor) -> torch.Tensor:
    """Scores with the label "none" in front, whose score is 0."""
    import torch

    return torch.cat([scores.new_zeros((len(scores), 1)), scores], dim=1)


def _names(vocabulary: Any, namespace: str) -> list[str]:
    return [vocabulary.get_token_from_index(i, namespace) for i in range(vocabulary.get_vocab_size(namespace))]


def _unordered_pairs(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All (i, j) with i <= j within each text; indices over all texts."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    corners = [np.triu_indices(count) for count in counts]
    first = np.concatenate([rows + start for (rows, _), start in zip(corners, starts, strict=True)])
    second = np.concatenate([columns + start for (_, columns), start in zip(corners, starts, strict=True)])
    return first, second
