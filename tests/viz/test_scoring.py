"""Pictures of scores say the numbers of the metrics that they picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.boxes import Box, iou_matrix
from radvlm_course.evaluation.grounding import average_precision_of_sample
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.viz.scoring import _envelope, draw_average_precision, draw_matching, draw_ngrams, ngram_counts

HERE, ELSEWHERE, THERE = Box(0.1, 0.1, 0.4, 0.4), Box(0.4, 0.1, 0.6, 0.3), Box(0.6, 0.6, 0.9, 0.9)


def test_the_matching_is_written_out(wide_film, helpers):
    figure = draw_matching(wide_film, [HERE, ELSEWHERE], [HERE])
    texts = helpers.texts(figure)
    assert "= 2 \u00b7 (1.00) / (2 + 1) = 0.667" in texts
    assert "at IoU 0.5: 1 of 1 found, 1 of 2 wrong" in texts
    assert {"T1", "P1", "P2"} <= set(texts)
    assert helpers.inside(figure)


def test_nothing_to_match_is_an_error(wide_film):
    with pytest.raises(ValueError, match="0 predicted and 1 true"):
        draw_matching(wide_film, [], [HERE])


def test_the_published_check_values(helpers):
    cases = {
        "wrong first": iou_matrix([ELSEWHERE, HERE], [HERE]),
        "right first": iou_matrix([HERE, ELSEWHERE], [HERE]),
        "one of two": iou_matrix([HERE], [HERE, THERE]),
    }
    figure = draw_average_precision(cases)
    values = [text for text in helpers.texts(figure) if text.startswith(("paper ", "corrected "))]
    assert values == ["paper 0.50", "corrected 0.50", "paper 1.00", "corrected 0.50", "paper 0.50", "corrected 0.50"]
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="at least one case"):
        draw_average_precision({})


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 10_000))
def test_the_drawn_area_is_the_metric(n_predicted, n_true, seed):
    ious = np.random.default_rng(seed).random((n_predicted, n_true))
    area = sum((end - start) * height for start, end, height in _envelope(ious))
    assert area == pytest.approx(average_precision_of_sample(ious))


def test_shared_runs_by_hand():
    assert ngram_counts("no left effusion", "no effusion") == [(2, 3, 2), (0, 2, 1), (0, 1, 0), (0, 0, 0)]


words = st.lists(st.sampled_from(["no", "left", "effusion", ".", "small"]), min_size=1, max_size=9).map(" ".join)


@settings(deadline=None)
@given(words, words)
def test_the_counts_give_the_gleu_of_the_reward(response, reference):
    counts = ngram_counts(response, reference)
    shared, mine, theirs = (sum(row[place] for row in counts) for place in range(3))
    example = Example("1", "report_generation", "", "Write a report.", reference)
    assert get_reward("gleu")([response], [example])[0] == pytest.approx(shared / max(mine, theirs))


def test_ngrams_are_drawn_inside_and_blank_texts_refused(helpers):
    long = "Small left pleural effusion. No pneumothorax. The heart is normal. " * 3
    figure = draw_ngrams("No pneumothorax. " + long, long)
    assert helpers.inside(figure)
    assert any(text.startswith("GLEU, the smaller of the two: ") for text in helpers.texts(figure))
    with pytest.raises(ValueError, match="blank"):
        draw_ngrams(" ", long)
