"""The evaluation stage's own files; whole runs are in tests/test_stages.py."""

import json

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.evaluation.run import _write_results, prior_scores
from radvlm_course.evaluation.score import load_scores
from radvlm_course.records import Example

LEFT, RIGHT = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.1, 0.9, 0.4)


def grounding(name, box):
    answer, labels = format_boxes([box]), ("nodule",)
    return Example(name, "abnormality_grounding", "", "Where?", answer, (box,), labels, "phantom", patient_id=name)


def test_priors_of_boxes_are_scored_with_cocos_tool_and_stand_in_the_results(tmp_path):
    train = [grounding(f"t{index}", LEFT) for index in range(3)]
    test = [grounding("a", LEFT), grounding("b", RIGHT)]
    scores = prior_scores(train, test, tmp_path, seed=0)
    assert set(scores) == {"prior: mean box", "prior: commonest side"}
    table = load_scores(tmp_path / "scores" / "prior_mean_box").coco["abnormality_grounding"]
    # One of two true boxes is found by one of two boxes: recall 1/2, precision 1/2 or, at best, 1.
    assert [round(table[ranking]["map50"], 2) for ranking in ("worst", "best")] == [0.25, 0.5]
    _write_results(scores, {}, tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "| prior: mean box | 0." in text and "COCO's tool" in text and "Empty cases" in text
    assert json.loads((tmp_path / "differences.json").read_text()) == {}
