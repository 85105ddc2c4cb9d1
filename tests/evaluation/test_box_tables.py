"""Tables about boxes: what COCO's tool said, recall by size, and the empty cases, each with its numbers."""

import pytest

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.evaluation.box_tables import (
    COCO_NOTE,
    box_tables,
    coco_table_markdown,
    empty_cases_markdown,
    size_table_markdown,
)
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.score import score
from radvlm_course.records import Example

LARGE, SMALL, WRONG = Box(0.1, 0.1, 0.5, 0.5), Box(0.6, 0.6, 0.65, 0.65), Box(0.7, 0.1, 0.9, 0.3)


def example(name, *boxes):
    return Example(name, "abnormality_grounding", "", "Where?", "There.", boxes, ("nodule",), patient_id=name)


EXAMPLES = [example("a", LARGE), example("b", SMALL), example("c")]


def scored(model, answers, coco=True):
    given = [Prediction(e.id, text, text, model) for e, text in zip(EXAMPLES, answers, strict=True)]
    return score(EXAMPLES, given, coco=coco, resamples=20)


SCORES = {
    "sft": scored("sft", [format_boxes([WRONG, LARGE]), "Nothing.", "Nothing."]),
    "a|b": scored("other", ["", "[0.1, 0.1]", format_boxes([WRONG])]),
}


def test_cocos_numbers_with_the_range_of_rankings_and_sizes():
    lines = coco_table_markdown(SCORES).splitlines()
    assert lines[0] == "**abnormality grounding**"
    assert lines[2].startswith("| model | AP@0.5 [worst, best ranking] | AP@0.5:0.95 | AR | AP@0.5 small |")
    # Of two true boxes one is found by the second of two boxes: 51 of 101 recalls, at precision 1/2 or at best 1. The
    # wrong box is of medium size: among the large ones it does not count.
    assert lines[4] == (
        "| sft | 0.252 [0.252, 0.505] | 0.252 | 0.500 | 0.000 | n/a | 1.000 | 0.000 | n/a | 1.000 | 3 | 2 |"
    )
    assert lines[5].startswith("| a\\|b | 0.000 [0.000, 0.000] |")
    assert lines[-1] == COCO_NOTE


def test_recall_of_each_size_has_its_own_n():
    text = size_table_markdown(SCORES)
    assert "| sft | 0.000 [0.000, 0.000] (n = 1) |" in text
    assert "(n = 0) |" in text
    assert "below 1% of the film's area; large: from 9%" in text


def test_every_empty_case_is_counted():
    lines = empty_cases_markdown(SCORES).splitlines()
    assert lines[2] == (
        "| model | n | nothing to find | ... and said so | ... but boxes written | boxes to find, none written "
        "| no response | cut off | malformed boxes |"
    )
    assert lines[4] == "| sft | 3 | 1 | 1 | 0 | 1 | 0 | 0 | 0 |"
    assert lines[5] == "| a\\|b | 3 | 1 | 0 | 1 | 2 | 1 | 0 | 1 |"


def test_scores_without_the_tool_or_without_boxes_leave_a_table_out():
    without = {"sft": scored("sft", ["", "", ""], coco=False)}
    assert coco_table_markdown(without) == ""
    assert "COCO" not in box_tables(without)
    assert box_tables(SCORES).count("**abnormality grounding**") == 3
    assert coco_table_markdown(SCORES, "anatomical_grounding") == ""
    assert box_tables({}) == ""


@pytest.mark.parametrize("heading", ["COCO's tool", "Recall at IoU 0.5 by size", "Empty cases of grounding"])
def test_all_of_them_stand_under_a_heading(heading):
    assert heading in box_tables(SCORES)
