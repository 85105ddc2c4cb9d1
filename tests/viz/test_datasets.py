"""Datasets side by side: the numbers drawn are those of the studies and of the mixture's file."""

import pytest

from radvlm_course.boxes import Box
from radvlm_course.instructions import load_mixture
from radvlm_course.records import Study
from radvlm_course.viz.datasets import (
    contents,
    count_matrix,
    in_words,
    label_matrix,
    paper_pairs,
    split_crossing,
    stacked_bars,
)

BOX = Box(0.1, 0.1, 0.2, 0.2)


def study(number: int, patient: str = "a", report: str = "", **findings: int) -> Study:
    name = str(number)
    return Study(f"{name}.png", (8, 8), patient, name, "nih_chestxray14", "train", "PA", report, findings)


def test_contents_count_what_there_is_and_leave_out_what_there_is_not():
    boxed = Study("1.png", (8, 8), "a", "1", "s", "train", findings={"edema": -1}, phrases={"x": (BOX, BOX)})
    assert contents([boxed, study(2, report="Text.", edema=0)]) == {
        "films": 2,
        "patients": 1,
        "reports": 1,
        "labels": 2,
        "labels in doubt": 1,
        "boxes of phrases": 2,
    }
    assert contents([]) == {"films": 0}


def test_a_film_in_words_marks_doubt_and_counts_what_is_absent():
    told = in_words(study(1, report="Mild edema?", nodule=1, edema=-1, fracture=0, mass=0))
    assert told == "nih_chestxray14 | nodule, edema?, 2 absent | Mild edema?"
    assert in_words(study(2)) == "nih_chestxray14 | no labels | no report"


def test_a_matrix_of_counts_leaves_cells_empty_where_there_is_nothing(helpers):
    figure = count_matrix({"one": {"films": 1200, "reports": 0}, "two": {"boxes": 3}}, "counts")
    texts = helpers.texts(figure)
    assert {"1,200", "3", "films", "reports", "boxes", "one", "two", "counts"} == set(texts)
    assert helpers.inside(figure)


def test_columns_of_a_matrix_stand_in_the_order_asked_for(helpers):
    figure = count_matrix({"one": {"b": 1, "a": 2}}, columns=["a", "b"])
    texts = [text for text in figure.axes[0].texts if text.get_text() in "ab"]
    assert [text.get_text() for text in sorted(texts, key=lambda text: text.get_position())] == ["a", "b"]


def test_labels_tell_never_asked_from_absent_and_doubt_from_presence(helpers):
    figure = label_matrix({"asks": [study(1, edema=1), study(2, edema=-1)], "denies": [study(3, edema=0, mass=0)]})
    texts = helpers.texts(figure)
    assert sorted(text for text in texts if text) == ["0", "1+1", "asks", "denies", "edema"]  # no film has a mass
    assert helpers.inside(figure)


def test_bars_write_the_sum_behind_each_row_and_the_count_into_wide_parts(helpers):
    figure = stacked_bars({"first": {"x": 900, "y": 10}, "second": {"y": 300}}, "pairs", "title")
    assert {"910", "900", "300"} <= set(helpers.texts(figure))
    assert "10" not in helpers.texts(figure)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [900, 10, 300]
    assert [bar.get_x() for bar in figure.axes[0].patches] == [0, 900, 0]
    assert helpers.inside(figure)


def test_a_part_has_the_same_colour_in_every_row():
    bars = stacked_bars({"first": {"x": 5, "y": 5}, "second": {"y": 3}}, "pairs").axes[0].patches
    assert bars[1].get_facecolor() == bars[2].get_facecolor() != bars[0].get_facecolor()


def test_more_parts_than_colours_are_an_error():
    with pytest.raises(ValueError, match="at most 8 parts, found 9"):
        stacked_bars({"row": {str(number): 1 for number in range(9)}}, "pairs")


def test_the_papers_counts_sum_to_its_total():
    pairs = paper_pairs(load_mixture("radvlm"), "train")
    assert sum(sum(found.values()) for found in pairs.values()) == 1_115_021
    assert pairs["phrase grounding"] == {"ms_cxr": 3 * 971, "padchest_gr": 2 * 4478}
    assert "padchest_gr" not in paper_pairs(load_mixture("radvlm"), "test")["phrase grounding"]  # nobody counted it


def test_a_mixture_of_one_dataset_has_no_counts_of_a_paper():
    with pytest.raises(ValueError, match="several datasets"):
        paper_pairs(load_mixture("laptop"), "train")


def test_films_in_two_different_splits_are_marked(helpers):
    films = [("train", "test"), ("train", "test"), ("test", "test"), ("train", "train")]
    texts = helpers.texts(split_crossing(films, ("first", "second"), "shared"))
    assert texts.count("2 leak") == 1 and texts.count("1") == 2 and texts.count("0") == 6
    assert "2 of 4 films stand in two different splits" in texts
    assert helpers.inside(split_crossing(films, ("first", "second")))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: count_matrix({}),
        lambda: label_matrix({"one": [study(1, edema=0)]}),
        lambda: stacked_bars({"row": {"x": 0}}, "pairs"),
        lambda: split_crossing([], ("first", "second")),
    ],
)
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(ValueError, match="expected at least one"):
        draw()
