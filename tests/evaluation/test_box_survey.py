"""Box answers under rewards and mAP: values by hand, and which measure pays for guesses."""

import pytest

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.evaluation.box_survey import CORRECTED, PAPER, score_box_candidates, survey_box_strategies
from radvlm_course.records import Example
from radvlm_course.rewards.lab.boxes import box_strategies, make_box_candidates, phantom_box_examples

TRUTH = (Box(0.20, 0.40, 0.40, 0.60), Box(0.60, 0.50, 0.80, 0.70))


def asked(boxes=TRUTH, label="nodule") -> Example:
    return Example("e1", "abnormality_grounding", "", "Where?", format_boxes(boxes), boxes, (label,))


def test_one_film_by_hand():
    table = score_box_candidates(make_box_candidates(TRUTH), asked())
    assert table["exact"] == {"soft_f1": 1, "soft_f1_published": 1, PAPER: 1, CORRECTED: 1}
    strays = table["exact, then four strays"]
    assert strays["soft_f1"] == pytest.approx(2 * 2 / (6 + 2))
    assert strays[PAPER] == 1 and strays[CORRECTED] == pytest.approx(2 / 6)  # precision 2/6, recall 1
    assert table["four strays, then exact"][PAPER] == pytest.approx((2 / 6 + 2 / 6) / 2)  # hits at 5 and 6
    assert table["half off"]["soft_f1"] == pytest.approx(1 / 3) and table["half off"][PAPER] == 0
    assert set(table["in thousandths"].values()) == {0}


def test_means_and_pooled_map_over_examples():
    two = [asked(TRUTH[:1]), asked(TRUTH[1:])]
    answers = {"first only": [format_boxes(TRUTH[:1])] * 2}
    found = survey_box_strategies(answers, two)["first only"]
    assert found["soft_f1"] == 0.5 and found[PAPER] == 0.5
    assert found[CORRECTED] == 0.25  # one label: precision 1/2 x recall 1/2


def test_guesses_after_the_answer_pay_under_the_papers_map_and_nowhere_else():
    examples, others = phantom_box_examples(range(40)), phantom_box_examples(range(500, 540))
    found = survey_box_strategies(box_strategies(examples, others), examples)
    honest, padded = found["honest"], found["honest, then guesses"]
    assert padded[PAPER] > honest[PAPER]
    for measure in ("soft_f1", "soft_f1_published", CORRECTED):
        assert padded[measure] < 0.5 * honest[measure]
        assert max(found[blind][measure] for blind in ("mean box", "whole film", "words only")) < honest[measure]


def test_answers_must_fit_the_examples():
    with pytest.raises(ValueError, match="one: expected 1 answers, one an example, found 2"):
        survey_box_strategies({"one": ["a", "b"]}, [asked()])
