"""Corpus BLEU from counts: sacrebleu's number, COCO's formula by hand, sums."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from radvlm_course.evaluation.corpus_bleu import corpus_bleu, corpus_bleu_paper, ngram_counts

texts = st.lists(st.sampled_from(["no", "effusion", "heart", "is", "normal", "."]), max_size=9)


def counts(pairs: list[tuple[list[str], list[str]]]) -> np.ndarray:
    return np.array([ngram_counts(*pair) for pair in pairs], dtype=float)


def test_counts_by_hand() -> None:
    found = ngram_counts(["no", "no", "effusion", "."], ["no", "effusion", ".", "clear"])
    assert found == [3, 2, 1, 0, 4, 3, 2, 1, 4, 4]


@given(st.lists(st.tuples(texts, texts.filter(bool)), min_size=1, max_size=5))
def test_equals_sacrebleu(pairs: list[tuple[list[str], list[str]]]) -> None:
    responses, references = ([" ".join(pair[side]) for pair in pairs] for side in (0, 1))
    expected = BLEU().corpus_score(responses, [references]).score / 100
    assert float(corpus_bleu(counts(pairs).sum(axis=0))) == pytest.approx(expected, abs=1e-9)


def test_the_papers_value_is_a_geometric_mean_times_the_brevity_penalty() -> None:
    text = "no large effusion is seen in the left lung"
    reference = text.split()
    response = [*reference[:5], "here"]
    precisions = [5 / 6, 4 / 5, 3 / 4, 2 / 3]
    expected = math.prod(precisions) ** 0.25 * math.exp(1 - 9 / 6)
    assert float(corpus_bleu_paper(counts([(response, reference)]).sum(axis=0))) == pytest.approx(expected, abs=1e-6)


def test_a_comma_of_its_own_costs_only_the_papers_value() -> None:
    pair = (["no", "effusion", ",", "clear"], ["no", "effusion,", "clear"])
    assert corpus_bleu_paper(counts([pair]).sum(axis=0)) < 0.01
    assert counts([pair])[0].tolist()[:4] == [2, 0, 0, 0]


@pytest.mark.parametrize("function", [corpus_bleu, corpus_bleu_paper])
def test_many_sums_at_once_and_empty_answers(function) -> None:  # type: ignore[no-untyped-def]
    same = counts([(["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "e"])]).sum(axis=0)
    empty = counts([([], ["a"])]).sum(axis=0)
    assert function(np.stack([same, empty, 3 * same])) == pytest.approx([1.0, 0.0, 1.0], abs=1e-6)
