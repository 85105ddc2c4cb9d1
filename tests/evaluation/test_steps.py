"""One answer step by step: the values are those of the metrics, the sums beside them come to these values."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.evaluation.reports import phantom_labeller
from radvlm_course.evaluation.steps import (
    COCO,
    CORRECTED,
    PAPER,
    common_subsequence,
    grounding_steps,
    read_groups,
    report_steps,
    rouge_tokens,
)
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward

LEFT, RIGHT, WRONG = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.1, 0.9, 0.4), Box(0.45, 0.05, 0.55, 0.15)
ASKED = Example("e", "abnormality_grounding", "", "Where?", "There.", (LEFT, RIGHT), ("nodule",))


def values(steps):
    return {(step.metric, step.reading): step.value for step in steps}


def sums(steps):
    return {(step.metric, step.reading): step.sum for step in steps}


def test_a_grounding_answer_by_hand():
    steps = grounding_steps(format_boxes([LEFT, WRONG, RIGHT]), ASKED)
    found = values(steps)
    assert found["soft-F1", ""] == pytest.approx(4 / 5)
    assert (found["recall@0.5", ""], found["precision@0.5", ""]) == (1.0, pytest.approx(2 / 3))
    assert found["IoU", PAPER] == pytest.approx(2 / 6)
    assert found["IoU", CORRECTED] == pytest.approx(1.0)
    assert found["mAP@0.5", PAPER] == pytest.approx((1 + 2 / 3) / 2)
    assert found["mAP@0.5", CORRECTED] == pytest.approx(2 / 3)
    assert found["AR", COCO] == pytest.approx(1.0)
    said = sums(steps)
    assert said["soft-F1", ""] == "2 · (1.00 + 1.00) / (3 written + 2 true)"
    assert said["mAP@0.5", PAPER] == "in the order right, wrong, right: (1/1 + 2/3) / 2"
    assert said["mAP@0.5", CORRECTED] == "precision · recall = 2/3 · 2/2"


def test_cocos_three_rankings_of_the_same_boxes():
    steps = grounding_steps(format_boxes([LEFT, WRONG, RIGHT]), ASKED)
    found = {step.sum.split(";")[0]: step.value for step in steps if step.metric == "AP@0.5"}
    assert found["wrong boxes first"] == pytest.approx(2 / 3)
    assert found["right boxes first"] == pytest.approx(1.0)
    assert found["wrong boxes first"] < found["ranked as written"] < found["right boxes first"]


boxes = st.sampled_from([LEFT, RIGHT, WRONG, Box(0.12, 0.1, 0.4, 0.4), Box(0.5, 0.1, 0.9, 0.4)])


@given(st.lists(boxes, min_size=1, max_size=5), st.lists(boxes, min_size=1, max_size=3, unique=True))
def test_the_papers_sum_comes_to_its_value(written, true):
    example = Example("e", "abnormality_grounding", "", "Where?", "There.", tuple(true), ("nodule",))
    steps = grounding_steps(format_boxes(written), example)
    (step,) = (step for step in steps if (step.metric, step.reading) == ("mAP@0.5", PAPER))
    ratios = re.search(r"\((.*)\) / (\d+)", step.sum)
    total = sum(int(top) / int(bottom) for top, bottom in re.findall(r"(\d+)/(\d+)", ratios[1]))
    assert total / int(ratios[2]) == pytest.approx(step.value)


def test_where_the_papers_reader_stops_the_sum_says_so():
    steps = grounding_steps(f"{format_boxes([LEFT])} [0.1, 0.1, 0.4, 1.2.3]", ASKED)
    assert sums(steps)["mAP@0.5", PAPER] == "its reader stops"
    unseen = grounding_steps("[0.1, 0.1, 0.4, 4e-1]", ASKED)
    assert sums(unseen)["mAP@0.5", PAPER] == "its reader sees no box"
    assert values(unseen)["recall@0.5", ""] == 0.5


def test_nothing_to_match_is_an_error():
    with pytest.raises(ValueError, match="found 0 written and 2 true"):
        grounding_steps("Nothing is seen.", ASKED)


def test_two_readers_of_the_same_groups():
    text = "[0.1, 0.1, 0.4, 0.4] [0.4, 0.4, 0.1, 0.1] [1, 2] [see above] [0.1, 0.1, 0.4, 4e-1] [0.1, 0.1, 0.4, 1.2.3]"
    found = [(group.ours is not None, group.malformed, group.paper) for group in read_groups(text)]
    assert found == [
        (True, False, (0.1, 0.1, 0.4, 0.4)),
        (False, True, (0.4, 0.4, 0.1, 0.1)),
        (False, True, ()),
        (False, False, ()),
        (True, False, ()),
        (False, True, None),
    ]


REFERENCE = "Small left pleural effusion. Mild cardiomegaly. No pneumothorax."


def test_a_report_by_hand():
    example = Example("r", "report_generation", "", "Write.", REFERENCE)
    steps = report_steps("Small right pleural effusion.", example, phantom_labeller())
    found, said = values(steps), sums(steps)
    # Of 5 tokens 4 are shared; of 4, 3 and 2 longer runs: "pleural effusion", "effusion .", "pleural effusion ."
    assert said["GLEU", ""] == "7 shared runs; the smaller of 7/14 and 7/38"
    assert found["GLEU", ""] == pytest.approx(7 / 38)
    assert said["ROUGE-L", ""] == "3 words in common order: 2 · 3 / (4 + 8)"
    assert found["ROUGE-L", ""] == pytest.approx(0.5)
    assert said["BLEU", CORRECTED] == "punctuation apart: 4th root of 4/5 · 2/4 · 1/3 · 0/2, times e^(1 - 11/5) (short)"
    assert said["BLEU", PAPER] == "words split at spaces: 4th root of 3/4 · 1/3 · 0/2 · 0/1, times e^(1 - 8/4) (short)"
    assert said["finding F1", ""] == "2 · 1 matched / (1 + 2) of findings"
    assert found["finding F1", ""] == pytest.approx(2 / 3)
    assert found["finding and side F1", ""] == 0.0
    smoothed = (4 / 5 * 2 / 4 * 1 / 3 * 1 / (2 * 2)) ** 0.25 * math.exp(1 - 11 / 5)
    assert found["BLEU", CORRECTED] == pytest.approx(smoothed)


def test_a_blank_report_is_refused():
    with pytest.raises(ValueError, match="blank"):
        report_steps(" ", Example("r", "report_generation", "", "Write.", REFERENCE), phantom_labeller())


words = st.lists(st.sampled_from(["no", "left", "effusions", "effusion", "small"]), min_size=1, max_size=9)


@given(words, words)
def test_the_common_subsequence_is_in_order_and_gives_rouge(response, reference):
    ours, theirs = (rouge_tokens(" ".join(text)) for text in (response, reference))
    pairs = common_subsequence(ours, theirs)
    assert all(ours[i] == theirs[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(pairs))
    example = Example("r", "report_generation", "", "Write.", " ".join(reference))
    rouge = get_reward("rouge_l")([" ".join(response)], [example])[0]
    assert 2 * len(pairs) / (len(ours) + len(theirs)) == pytest.approx(rouge)
