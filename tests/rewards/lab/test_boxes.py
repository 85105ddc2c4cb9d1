"""Box answers are what their names promise, inside the film and as a model would write them."""

import numpy as np
import pytest

from radvlm_course.boxes import Box, parse_boxes
from radvlm_course.rewards.lab.boxes import (
    BOX_KINDS,
    BOX_STRATEGIES,
    GUESSES,
    BoxReader,
    box_strategies,
    make_box_candidates,
    phantom_box_examples,
)

TRUTH = [Box(0.20, 0.40, 0.40, 0.60), Box(0.60, 0.50, 0.80, 0.70)]


def test_each_answer_is_what_it_is_called():
    made = make_box_candidates(TRUTH)
    read = {kind: parse_boxes(text) for kind, text in made.items()}
    assert list(made) == list(BOX_KINDS)
    assert read["exact"] == TRUTH and read["exact, twice"] == TRUTH * 2 and read["one of two"] == TRUTH[:1]
    assert read["half off"] == [Box(0.30, 0.40, 0.50, 0.60), Box(0.50, 0.50, 0.70, 0.70)]
    assert read["whole film"] == [Box(0, 0, 1, 1)]
    assert read["in thousandths"] == read["words only"] == []
    assert sorted(read["exact, then four strays"]) == sorted(read["four strays, then exact"])
    assert read["four strays, then exact"][-2:] == TRUTH
    assert read["three times too large"][0].area == pytest.approx(3 * TRUTH[0].area, rel=0.05)


def test_one_box_has_no_half_answer():
    assert "one of two" not in make_box_candidates(TRUTH[:1])
    with pytest.raises(ValueError, match="at least one true box"):
        make_box_candidates([])


@pytest.mark.parametrize("box", [Box(0, 0, 0.1, 0.1), Box(0.9, 0.9, 1, 1), Box(0, 0, 1, 1)])
def test_boxes_at_the_border_stay_inside(box):
    for kind, text in make_box_candidates([box]).items():
        assert parse_boxes(text) or kind in ("in thousandths", "words only")


def test_a_perfect_reader_repeats_the_truth_and_one_who_errs_stays_inside():
    rng = np.random.default_rng(0)
    perfect = BoxReader(shift=0, scale=0, wrong_place=0)
    assert perfect.box(TRUTH[0], rng).iou(TRUTH[0]) == pytest.approx(1)
    wild = BoxReader(shift=3, scale=1, wrong_place=0.5)
    assert all(wild.box(TRUTH[0], rng).area > 0 for _ in range(200))


def test_looking_on_the_wrong_side_mirrors_the_box():
    mirrored = BoxReader(shift=0, scale=0, wrong_place=1).box(Box(0.1, 0.4, 0.3, 0.6), np.random.default_rng(0))
    assert mirrored.to_list() == pytest.approx([0.7, 0.4, 0.9, 0.6])


@pytest.fixture(scope="module")
def asked():
    return phantom_box_examples(range(12))


def test_there_is_a_question_for_each_finding_of_each_phantom(asked):
    assert len({example.id for example in asked}) == len(asked)
    assert all(example.boxes and example.labels[0] in example.question for example in asked)


def test_strategies_answer_every_question_and_blind_ones_never_see_the_truth(asked):
    answers = box_strategies(asked, phantom_box_examples(range(100, 160)))
    assert list(answers) == list(BOX_STRATEGIES)
    assert {len(texts) for texts in answers.values()} == {len(asked)}
    means: dict[str, set[str]] = {}
    for example, text in zip(asked, answers["mean box"], strict=True):
        means.setdefault(example.labels[0], set()).add(text)
    assert all(len(texts) == 1 for texts in means.values())
    for honest, padded, guesses in zip(
        answers["honest"], answers["honest, then guesses"], answers["guesses only"], strict=True
    ):
        boxes = parse_boxes(padded)
        assert parse_boxes(honest) + parse_boxes(guesses) == boxes
        assert len(parse_boxes(guesses)) <= GUESSES


def test_a_finding_that_no_other_film_has_is_named(asked):
    with pytest.raises(ValueError, match=r"expected boxes of .* among the other films"):
        box_strategies(asked, [])
