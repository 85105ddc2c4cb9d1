"""Steps of one answer as pictures: every number and every reading is written, inside the canvas."""

import pytest

from radvlm_course.evaluation.steps import COCO, CORRECTED, PAPER, Step, read_groups
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.viz.steps import draw_reading, draw_steps, draw_subsequence


def test_every_metric_stands_with_its_sum_and_value(helpers):
    steps = [
        Step("soft-F1", "", "2 · (1.00) / (1 written + 2 true)", 2 / 3),
        Step("mAP@0.5", PAPER, "a long sum " * 12, 0.5),
        Step("mAP@0.5", CORRECTED, "precision · recall", 0.25),
        Step("AR", COCO, "recall", 1.0),
    ]
    figure = draw_steps(steps, "A title")
    texts = helpers.texts(figure)
    assert {"A title", "0.667", "0.500", "0.250", "1.000", "paper", "corrected", "COCO"} <= set(texts)
    assert sum("long sum" in text for text in texts) > 1
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="at least one metric"):
        draw_steps([])


def test_the_two_readers_stand_side_by_side(helpers):
    text = "At [0.1, 0.1, 0.4, 0.4], [0.4, 0.4, 0.1, 0.1], [see above], [0.1, 0.1, 0.4, 4e-1], [0.1, 0.1, 0.4, 1.2.3]."
    figure = draw_reading(text, read_groups(text))
    texts = helpers.texts(figure)
    assert [texts.count(words) for words in ("a box", "malformed, counted", "words")] == [3, 2, 1]
    assert [texts.count(words) for words in ("taken for a box", "not seen", "stops with an error")] == [1, 2, 1]
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="bracketed group"):
        draw_reading("Nothing is seen.", [])


def test_the_written_rouge_is_that_of_the_reward(helpers):
    response, reference = (
        "No effusion. The heart is enlarged; x-ray of 1.5 cm.",
        "The hearts are large. No effusions, x ray.",
    )
    figure = draw_subsequence(response, reference)
    example = Example("r", "report_generation", "", "Write.", reference)
    rouge = get_reward("rouge_l")([response], [example])[0]
    assert any(text.endswith(f"= {rouge:.3f}") for text in helpers.texts(figure))
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="without any"):
        draw_subsequence("...", reference)
