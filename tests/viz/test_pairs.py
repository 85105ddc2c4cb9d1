"""A film beside its text, and tables as Markdown."""

import doctest

import numpy as np
import pytest

from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.viz import pairs
from radvlm_course.viz.pairs import markdown_table, show_pairs, show_report


def example(task: str, question: str, answer: str, film: str = "film.png") -> Example:
    return Example(id=question, task=task, image_path=film, question=question, answer=answer)


def test_pairs_stand_beside_their_film_under_the_name_of_their_task(helpers, wide_film, truth):
    asked = [
        example("report_generation", "Write a report.", "The lungs are clear."),
        example("abnormality_grounding", "Where is the nodule?", "[0.38, 0.47, 0.76, 0.62]"),
        example("abnormality_grounding", "Where is the mass?", "[0.10, 0.10, 0.20, 0.20]"),
    ]
    figure = show_pairs(wide_film, asked, truth, ["nodule"])
    texts = helpers.texts(figure)
    assert texts.count("abnormality grounding") == 1
    assert {"Q: Write a report.", "A: The lungs are clear.", "nodule"} <= set(texts)
    assert helpers.inside(figure)


def test_a_long_answer_is_wrapped_and_makes_the_figure_taller(helpers, wide_film):
    short = show_pairs(wide_film, [example("report_generation", "Q", "word")])
    long = show_pairs(wide_film, [example("report_generation", "Q", "word " * 400)])
    assert long.get_size_inches()[1] > short.get_size_inches()[1]
    assert helpers.inside(long)


def test_pairs_of_several_films_are_refused(wide_film):
    with pytest.raises(ValueError, match=r"a\.png.*b\.png"):
        show_pairs(
            wide_film,
            [example("report_generation", "Q", "A", "a.png"), example("report_generation", "R", "A", "b.png")],
        )
    with pytest.raises(ValueError, match="at least one pair"):
        show_pairs(wide_film, [])


def test_a_report_is_written_one_sentence_a_line(helpers):
    figure = show_report(np.zeros((64, 64), np.uint8), "Large heart. No nodule.", [Box(0.1, 0.1, 0.5, 0.5)], ["heart"])
    assert {"report", "Large heart.", "No nodule.", "heart"} <= set(helpers.texts(figure))
    assert helpers.inside(figure)


def test_numbers_stand_to_the_right_and_pipes_are_escaped():
    table = markdown_table(["a", "b"], [["x|y", 1], ["z", 2.5]])
    assert table.splitlines() == ["| a | b |", "| --- | ---: |", "| x\\|y | 1 |", "| z | 2.5 |"]


def test_rows_must_fit_the_columns():
    with pytest.raises(ValueError, match="2 cells"):
        markdown_table(["a", "b"], [["x"]])


def test_the_documented_example_holds():
    assert doctest.testmod(pairs).failed == 0
