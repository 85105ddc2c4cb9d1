"""Ours beside the paper: the right numbers in the right columns, places only among comparable rows."""

import json

import pytest

from radvlm_course.boxes import Box, format_boxes
from radvlm_course.evaluation.beside_paper import OurScores, beside_paper, our_scores, read_our_scores
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.published import load_table
from radvlm_course.evaluation.score import score
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.records import Example

GROUNDING = ("anatomical_grounding", "abnormality_grounding", "phrase_grounding")


def interval(low, high, n=40):
    return Interval((low + high) / 2, low, high, n, 20)


def ours(model, low, high, source="phantom", ids=("a", "b"), tasks=GROUNDING):
    return OurScores(
        model,
        {task: {"map50_paper": interval(low, high), "map50": interval(0, 0.1)} for task in tasks},
        {task: (source,) for task in tasks},
        {task: frozenset(ids) for task in tasks},
    )


def test_our_paper_compatible_numbers_stand_in_the_papers_units():
    side = beside_paper(load_table(2), [ours("m", 0.4, 0.6)])
    found = side.ours["m"]["anatomy_map50"]
    assert (found.value, found.low, found.high, found.n, found.patients) == (50.0, 40.0, 60.0, 40, 20)
    assert side.data == {"m": "phantom"}
    assert side.level == 0.95


def test_radcliq_and_lengths_are_not_scaled():
    reports = OurScores(
        "m", {"report_generation": {"radcliq_paper": interval(1.0, 1.2), "characters": interval(100, 120)}}
    )
    row = beside_paper(load_table(3), [reports]).ours["m"]
    assert {key: found.value for key, found in row.items()} == {"radcliq": 1.1, "mean_characters": 110}
    assert beside_paper(load_table(3), [reports]).data == {"m": "not said"}


@pytest.mark.parametrize(
    ("source", "column"), [("ms_cxr", "phrase_ms_map50"), ("padchest_gr", "phrase_pad_map50"), ("phantom", None)]
)
def test_phrases_stand_in_the_column_of_their_dataset_alone(source, column):
    side = beside_paper(load_table(2), [ours("m", 0.4, 0.6, source)])
    phrases = [key for key in side.ours["m"] if key.startswith("phrase")]
    assert phrases == ([column] if column else [])
    missing = {"phrase_ms_map50": "padchest_gr", "phrase_pad_map50": "ms_cxr", None: "ms_cxr"}[column]
    assert any(f"phrase grounding is on {source}, expected {missing} alone" in note for note in side.notes)


def test_places_are_those_that_the_intervals_allow():
    side = beside_paper(load_table(2), [ours("a", 0.4, 0.6), ours("b", 0.5, 0.7), ours("c", 0.8, 0.9)])
    found = {name: str(place) for name, place in side.places["anatomy_map50"].items()}
    assert found == {"a": "2-3", "b": "2-3", "c": "1"}


def test_rows_of_different_examples_get_no_place_and_a_note():
    side = beside_paper(load_table(2), [ours("a", 0.1, 0.2), ours("b", 0.8, 0.9, ids=("a", "c"))])
    assert side.places == {}
    assert "No places in column Anatomy: our rows were not scored on the same examples." in side.notes


def test_one_row_alone_and_the_papers_rows_have_no_place():
    assert beside_paper(load_table(2), [ours("a", 0.1, 0.2)]).places == {}
    assert beside_paper(load_table(2), []).ours == {}


def test_two_of_one_name_and_scores_of_another_table_are_refused():
    with pytest.raises(ValueError, match="scores of different models, found a, a"):
        beside_paper(load_table(2), [ours("a", 0, 1), ours("a", 0, 1)])
    with pytest.raises(ValueError, match=r"a has none of the numbers of table 1: expected .*report_generation/rouge_l"):
        beside_paper(load_table(1), [ours("a", 0, 1)])


def test_what_score_wrote_is_read_with_its_examples_and_datasets(tmp_path, grounding_examples):
    predictions = [Prediction(example.id, example.answer, example.answer, "m") for example in grounding_examples]
    score(grounding_examples, predictions, resamples=20).write(tmp_path)
    alone = read_our_scores(tmp_path / "scores.json")
    assert (alone.model, alone.sources) == ("m", {})
    assert alone.example_ids == {"abnormality_grounding": frozenset(example.id for example in grounding_examples)}
    (tmp_path / "about.json").write_text(json.dumps({"sources": {"abnormality_grounding": {"b": 3, "a": 9}}}))
    both = read_our_scores(tmp_path)
    assert both.sources == {"abnormality_grounding": ("a", "b")}
    assert both.tasks["abnormality_grounding"]["map50_paper"].value == 1.0
    (tmp_path / "per_example.jsonl").unlink()
    assert read_our_scores(tmp_path).example_ids == {}


@pytest.mark.parametrize(
    "content", ["", "{}", '{"model": "m", "tasks": {"t": {"x": 1}}}', "[]", '{"model":"m","tasks":[]}']
)
def test_a_file_that_is_no_scores_is_refused_by_name(tmp_path, content):
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(ValueError, match=r"scores\.json: expected the scores that evaluate score writes"):
        read_our_scores(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_our_scores(tmp_path / "gone.json")


def test_scores_in_memory_take_their_datasets_from_the_examples():
    box = Box(0.1, 0.1, 0.4, 0.4)
    asked = [
        Example(name, "phrase_grounding", "", "Where?", "There.", (box,), ("nodule",), source="ms_cxr", patient_id=name)
        for name in "ab"
    ]
    given = [Prediction(e.id, text, text, "m") for e, text in zip(asked, (format_boxes([box]), ""), strict=True)]
    ours_here = our_scores(score(asked, given, resamples=20), asked, "shown")
    assert (ours_here.model, ours_here.sources) == ("shown", {"phrase_grounding": ("ms_cxr",)})
    assert ours_here.example_ids == {"phrase_grounding": frozenset("ab")}
    side = beside_paper(load_table(2), [ours_here])
    assert side.ours["shown"]["phrase_ms_map50"].value == pytest.approx(50.0)
    assert "phrase_pad_map50" not in side.ours["shown"]
    with pytest.raises(KeyError):
        our_scores(score(asked, given, resamples=20), asked[:1])
