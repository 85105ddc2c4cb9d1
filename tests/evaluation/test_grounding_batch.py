"""The batch against the definitions, on answers of every kind; long answers; speed."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.boxes import Box, format_boxes, iou_matrix, scan_boxes
from radvlm_course.evaluation import grounding_batch
from radvlm_course.evaluation.box_matching import (
    SIZES,
    average_precision_of_sample,
    matched_pairs,
    partner_ious,
    size_of,
    true_positives,
)
from radvlm_course.evaluation.grounding_batch import columns_of, read_answers
from radvlm_course.evaluation.paper_boxes import paper_boxes, paper_ious
from radvlm_course.rewards.soft_f1 import claims_nothing, soft_f1

corner = st.integers(0, 19).flatmap(lambda low: st.tuples(st.just(low), st.integers(low + 1, 20)))
boxes = st.builds(lambda x, y: Box(x[0] / 20, y[0] / 20, x[1] / 20, y[1] / 20), corner, corner)
pieces = st.one_of(
    st.lists(boxes, min_size=1, max_size=5).map(format_boxes),
    st.sampled_from(
        [
            "[0.1, 0.1, 0.4]",
            "[0.4, 0.4, 0.1, 0.1]",
            "[0.1, 0.4, 0.4, 0.1]",
            "[0.1, 1.2.3, 0.4, 0.5]",
            "[12, 30, 400, 500]",
            "[-0.005, 0.1, 1.005, 0.4]",
            "[1e-1, .2, 0.3, 0.4]",
            "[ 0.1,0.2 ,0.3,0.4 ]",
            "[0.10000000000000001, 0.2, 0.3, 0.4]",
            "[00.1, 0.2, 0.3, 0.4]",
            "[1, 0, 1.0, 1]",
            "[0, 0, 1, 1.0]",
            "[none]",
            "[[0.1, 0.2, 0.3, 0.4]]",
            "[0.1, 0.2, 0.3, 0.4",
            "nothing",
            "",
        ]
    ),
)
answers = st.lists(pieces, max_size=3).map(" ".join)


def check(texts: list[str], truths: list[tuple[Box, ...]]) -> None:
    """Every column against its definition."""
    columns = columns_of(texts, truths)
    for index, (text, true) in enumerate(zip(texts, truths, strict=True)):
        predicted, malformed = scan_boxes(text)
        ious = iou_matrix(predicted, true)
        row = {name: column[index] for name, column in vars(columns).items()}
        nothing = not predicted and not true
        assert row["n_predicted"] == len(predicted)
        assert row["n_malformed"] == len(malformed)
        assert row["true_positives"] == true_positives(ious)
        assert row["matched_iou"] == pytest.approx(partner_ious(ious), abs=1e-12)
        assert row["soft_f1"] == (float(claims_nothing(text)) if nothing else soft_f1(predicted, true))
        found = matched_pairs(ious)[1] if ious.size else []
        by_size = [[size_of(box) for box in some] for some in (true, [true[place] for place in found])]
        assert row["true_by_size"].tolist() == [by_size[0].count(size) for size in SIZES]
        assert row["found_by_size"].sum() == len(by_size[1])
        paper = paper_boxes(text)
        matrix = None if paper is None else paper_ious(paper, true)
        assert row["paper_reader_stops"] == (matrix is None)
        if matrix is not None:
            assert row["average_precision_of_sample"] == pytest.approx(average_precision_of_sample(matrix))
            assert row["iou_sum_paper"] == pytest.approx(matrix.sum())
            assert row["iou_pairs_paper"] == matrix.size


@given(st.lists(st.tuples(answers, st.lists(boxes, max_size=4).map(tuple)), max_size=6))
def test_every_column_equals_its_definition(samples: list[tuple[str, tuple[Box, ...]]]) -> None:
    check([text for text, _ in samples], [true for _, true in samples])


@given(st.lists(answers, max_size=5))
def test_boxes_are_read_as_the_two_readers_read_them(texts: list[str]) -> None:
    read = read_answers(texts)
    for index, text in enumerate(texts):
        for mine, reader in ((read.boxes, scan_boxes(text)[0]), (read.paper, paper_boxes(text))):
            start = mine.starts[index]
            corners = mine.corners[start : start + mine.counts[index]].tolist()
            theirs = [] if reader is None else [b.to_list() if isinstance(b, Box) else b.tolist() for b in reader]
            assert corners == theirs


def test_long_answers_go_through_the_hungarian_algorithm_and_agree() -> None:
    rng = random.Random(0)

    def some(count: int) -> tuple[Box, ...]:
        places = [(rng.uniform(0, 0.7), rng.uniform(0, 0.7)) for _ in range(count)]
        return tuple(Box(round(x, 2), round(y, 2), round(x + 0.25, 2), round(y + 0.25, 2)) for x, y in places)

    truths = [some(count) for count in (6, 2, 9, 1, 40)]
    check([format_boxes(some(count)) for count in (7, 60, 5, 300, 40)], truths)


def test_small_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    truths = [tuple(Box(0.1 * k, 0.1, 0.1 * k + 0.2, 0.3) for k in range(rng.randint(0, 4))) for _ in range(60)]
    texts = [format_boxes(true[: rng.randint(1, 4)]) if true else "None." for true in truths]
    before = columns_of(texts, truths)
    monkeypatch.setattr(grounding_batch, "_CELLS", 10)
    after = columns_of(texts, truths)
    for name, column in vars(before).items():
        assert np.array_equal(column, getattr(after, name)), name


def test_nothing_to_score_gives_empty_columns() -> None:
    assert all(len(column) == 0 for column in vars(columns_of([], [])).values())
