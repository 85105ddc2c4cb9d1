"""The taken-apart first layers give the scores of the package's own modules."""

import numpy as np
import pytest
import torch

from radvlm_course.rewards.random_weights import SAMPLE
from radvlm_course.rewards.scorers.dygie import BatchedDygie
from radvlm_course.rewards.scorers.dygie_heads import _unordered_pairs
from radvlm_course.rewards.scorers.radgraph import load_package_model

TEXTS = [["mild", "cardiomegaly", "with", "effusion"], ["no", "effusion"], ["clear"]]


@pytest.fixture
def package(metric_weights):
    return load_package_model("radgraph")


def test_pairs_are_unordered_within_each_text() -> None:
    first, second = _unordered_pairs(np.array([2, 0, 1]))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 1), (2, 2)]


def test_spans_run_by_first_then_last_word_up_to_the_width(package) -> None:
    batched = BatchedDygie(package)
    batched._width = 2
    spans = batched._spans([3, 1, 2])
    pairs = list(zip(spans.start.tolist(), spans.end.tolist(), strict=True))
    assert pairs == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (3, 3), (4, 4), (4, 5), (5, 5)]
    assert spans.first_word.tolist() == [0, 3, 4]
    assert spans.first_span.tolist() == [0, 5, 6]


def test_span_scores_equal_the_packages_modules(package) -> None:
    batched, model = BatchedDygie(package), package.model
    with torch.inference_mode():
        for text in TEXTS:
            words, spans = batched._words(batched._wordpieces([text])), batched._spans([len(text)])
            indices = torch.stack([spans.start, spans.end], dim=1).unsqueeze(0)
            vectors = model._endpoint_span_extractor(words.unsqueeze(0), indices)
            entities, pruning = batched._heads.span_scores(words, spans)
            torch.testing.assert_close(entities, model._ner._ner_scorers["radgraph__ner_labels"](vectors)[0])
            expected = model._relation._mention_pruners["radgraph__relation_labels"]._scorer(vectors)[0, :, 0]
            torch.testing.assert_close(pruning, expected)


def test_pair_scores_equal_the_packages_module_in_both_directions(package) -> None:
    batched, relation = BatchedDygie(package), package.model._relation
    relation._active_namespace = "radgraph__relation_labels"
    text = " ".join(SAMPLE).split()
    with torch.inference_mode():
        words, spans = batched._words(batched._wordpieces([text])), batched._spans([len(text)])
        candidates = batched._heads.candidates(words, spans)
        assert len(candidates.spans) > 1
        scores, first, second = batched._heads.pair_scores(words, spans, candidates)
        chosen = torch.stack([spans.start, spans.end], dim=1)[candidates.spans].unsqueeze(0)
        vectors = package.model._endpoint_span_extractor(words.unsqueeze(0), chosen)
        pairs = relation._compute_span_pair_embeddings(vectors)
        expected = relation._compute_relation_scores(pairs, candidates.mentions.view(1, -1, 1))[0]
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [
        (i, j) for i in range(len(candidates.spans)) for j in range(len(candidates.spans))
    ]
    torch.testing.assert_close(scores, expected[first, second, 1:])
