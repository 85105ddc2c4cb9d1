"""soft_f1 against the paper's figure, a table of hand-computed cases, brute force and its own properties."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.boxes import Box, format_boxes, iou_matrix
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.soft_f1 import candidates, soft_f1, soft_f1_from_ious

PREDICTED = Box(0.35, 0.51, 0.75, 0.64)  # the pair of the paper's figure
TRUE = Box(0.38, 0.47, 0.76, 0.62)
FAR = Box(0.01, 0.01, 0.1, 0.1)
FAR_TRUE = Box(0.85, 0.85, 0.95, 0.95)

# (low, high) in hundredths, low < high
sides = st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda s: (s[0], s[0] + 1 + s[1] % (100 - s[0])))
boxes = st.tuples(sides, sides).map(lambda s: Box(s[0][0] / 100, s[1][0] / 100, s[0][1] / 100, s[1][1] / 100))
some_boxes = st.lists(boxes, max_size=5)


def example(*true: Box, identifier: str = "e1") -> Example:
    return Example(identifier, "abnormality_grounding", "film.png", "Where?", "There.", tuple(true))


def reward(text: str, *true: Box, variant: str = "paper") -> float:
    return get_reward("soft_f1", variant=variant)([text], [example(*true)])[0]


@pytest.mark.parametrize(
    ("predicted", "true", "paper", "published"),
    [
        ([PREDICTED], [TRUE], 0.596, 0.747),
        ([FAR], [TRUE], 0.0, 0.0),
        ([TRUE], [TRUE], 1.0, 1.0),
        ([PREDICTED, FAR], [TRUE], 0.397, 0.459),
        ([PREDICTED], [TRUE, FAR_TRUE], 0.397, 0.459),
        ([TRUE, TRUE], [TRUE], 0.667, 0.667),
        ([TRUE, FAR_TRUE], [FAR_TRUE, TRUE], 1.0, 1.0),
        ([], [TRUE], 0.0, 0.0),
        ([TRUE], [], 0.0, 0.0),
        ([], [], 1.0, 0.0),
    ],
)
def test_table_of_cases(predicted: list[Box], true: list[Box], paper: float, published: float) -> None:
    assert soft_f1(predicted, true) == pytest.approx(paper, abs=5e-4)
    assert soft_f1(predicted, true, "published") == pytest.approx(published, abs=5e-4)


def test_the_figure_pair_by_hand() -> None:
    overlap = 0.37 * 0.11  # x 0.38 to 0.75, y 0.51 to 0.62
    union = 0.40 * 0.13 + 0.38 * 0.15 - overlap
    assert soft_f1([PREDICTED], [TRUE]) == pytest.approx(overlap / union)


def test_matching_is_globally_best_not_greedy() -> None:
    ious = np.array([[0.9, 0.8], [0.8, 0.0]])  # greedy takes 0.9 + 0.0, the best matching 0.8 + 0.8
    assert soft_f1_from_ious(ious) == pytest.approx(0.8)


@given(some_boxes, some_boxes, st.randoms(use_true_random=False))
def test_order_of_boxes_does_not_change_a_bit(predicted: list[Box], true: list[Box], rng) -> None:  # type: ignore[no-untyped-def]
    shuffled = [rng.sample(side, len(side)) for side in (predicted, true)]
    for variant in ("paper", "published"):
        assert soft_f1(*shuffled, variant) == soft_f1(predicted, true, variant)  # type: ignore[arg-type]


@given(some_boxes, some_boxes)
def test_value_is_between_zero_and_one_and_symmetric(predicted: list[Box], true: list[Box]) -> None:
    value = soft_f1(predicted, true)
    assert 0.0 <= value <= 1.0
    assert value == pytest.approx(soft_f1(true, predicted))
    assert 0.0 <= soft_f1(predicted, true, "published") <= 1.0


@given(some_boxes)
def test_equal_boxes_score_one_and_a_stray_box_less(true: list[Box]) -> None:
    assert soft_f1(list(reversed(true)), true) == pytest.approx(1.0, abs=1e-12)
    assert soft_f1([*true, FAR], true) < 1.0


@given(some_boxes, some_boxes)
@settings(max_examples=50)
def test_equals_the_best_of_all_matchings(predicted: list[Box], true: list[Box]) -> None:
    few, many = sorted([predicted, true], key=len)
    ious = iou_matrix(few, many)
    best = max(
        sum(ious[row, column] for row, column in enumerate(chosen))
        for chosen in itertools.permutations(range(len(many)), len(few))
    )
    expected = 2 * best / (len(few) + len(many)) if many else 1.0
    assert soft_f1(predicted, true) == pytest.approx(expected, abs=1e-12)


@given(st.lists(boxes, min_size=1, max_size=40), st.lists(boxes, min_size=1, max_size=4))
def test_leaving_hopeless_predictions_out_does_not_change_the_matching(predicted: list[Box], true: list[Box]) -> None:
    from scipy.optimize import linear_sum_assignment

    ious = iou_matrix(predicted, true)
    kept = ious[candidates(ious)]
    full, few = (matrix[linear_sum_assignment(matrix, maximize=True)].sum() for matrix in (ious, kept))
    assert few == pytest.approx(full, abs=1e-12)
    assert len(kept) <= max(len(true) ** 2, 1) or len(kept) == len(predicted)


@given(st.lists(st.tuples(some_boxes, some_boxes), min_size=1, max_size=6))
@settings(max_examples=50)
def test_batch_gives_what_each_pair_gives_alone(pairs: list[tuple[list[Box], list[Box]]]) -> None:
    texts = [f"At {format_boxes(predicted)}." if predicted else "Nothing." for predicted, _ in pairs]
    examples = [example(*true, identifier=str(index)) for index, (_, true) in enumerate(pairs)]
    score = get_reward("soft_f1")
    together = score(texts, examples)
    alone = [score([text], [item])[0] for text, item in zip(texts, examples, strict=True)]
    assert together == alone
    assert score(texts[::-1], examples[::-1]) == together[::-1]


def test_the_reward_reads_boxes_from_prose() -> None:
    assert reward("The opacity is at [0.35, 0.51, 0.75, 0.64].", TRUE) == pytest.approx(0.596, abs=5e-4)
    assert reward("At [0.35,0.51,0.75,0.64] and [0.01, 0.01, 0.1, 0.1]", TRUE) == pytest.approx(0.397, abs=5e-4)


def test_ground_truth_is_not_rounded_to_two_decimals() -> None:
    fine = Box(0.381, 0.472, 0.758, 0.619)
    assert reward("[0.38, 0.47, 0.76, 0.62]", fine) == pytest.approx(Box(0.38, 0.47, 0.76, 0.62).iou(fine))


@pytest.mark.parametrize(
    ("text", "with_truth", "without_truth"),
    [
        ("[0.1, nan, 0.3, 0.4]", 0.0, 0.0),
        ("[0.1, 0.2, 0.3, 0.4, 0.5]", 0.0, 0.0),
        ("[0.8, 0.2, 0.3, 0.4]", 0.0, 0.0),
        ("[100, 200, 300, 400]", 0.0, 0.0),
        ("[0.1, 0.2, 0.", 0.0, 0.0),
        ("[" * 10_000, 0.0, 0.0),
        ("[]" * 10_000, 0.0, 0.0),
        ("[0, 0, 1e-300, 1e-300]", 0.0, 0.0),
        ("No nodule is seen.", 0.0, 1.0),
        ("  \n", 0.0, 0.0),
        ("[0.38, 0.47, 0.76, 0.62] [0.1, nan, 0.3, 0.4]", 1.0, 0.0),
    ],
)
def test_malformed_and_missing_boxes_have_defined_values(text: str, with_truth: float, without_truth: float) -> None:
    assert reward(text, TRUE) == pytest.approx(with_truth)
    assert reward(text) == without_truth


def test_saying_nothing_where_nothing_is_earns_nothing_in_the_published_variant() -> None:
    assert reward("No nodule is seen.", variant="published") == 0.0


def test_ten_thousand_boxes_are_all_counted_and_fast() -> None:
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 0.5, (10_000, 2))
    many = [Box(*row) for row in np.concatenate([low, low + generator.uniform(0.1, 0.5, (10_000, 2))], axis=1)]
    true = [TRUE, FAR_TRUE, PREDICTED]
    start = time.perf_counter()
    value = soft_f1([*many, *true], true)
    assert time.perf_counter() - start < 2
    assert value == pytest.approx(2 * 3 / (10_003 + 3))


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="'paper' or 'published'"):
        get_reward("soft_f1", variant="figure")


@given(boxes, boxes)
def test_the_short_cut_for_one_pair_gives_the_same_float_as_the_matrix(first: Box, second: Box) -> None:
    ious = iou_matrix([first], [second])
    assert first.iou(second) == ious[0, 0]
    for variant in ("paper", "published"):
        assert soft_f1([first], [second], variant) == pytest.approx(soft_f1_from_ious(ious, variant), abs=1e-15)  # type: ignore[arg-type]
