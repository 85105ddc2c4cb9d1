"""Models against one: differences, corrected p-values, the family, the file."""

import json
from pathlib import Path

import pytest

from radvlm_course.boxes import Box, format_box
from radvlm_course.evaluation.comparison import compare_models, write_comparisons
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.score import Scores, compare, score
from radvlm_course.records import Example

BOX, FAR = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.6, 0.9, 0.9)
EXAMPLES = [Example(f"g{i}", "phrase_grounding", "a.png", "q", "a", (BOX,), patient_id=f"p{i // 2}") for i in range(40)]


def run(name: str, right: int) -> Scores:
    boxes = [BOX if index < right else FAR for index in range(len(EXAMPLES))]
    texts = [format_box(box) for box in boxes]
    given = [Prediction(e.id, text, text, name) for e, text in zip(EXAMPLES, texts, strict=True)]
    return score(EXAMPLES, given, resamples=50)


SCORES = {"base": run("base", 10), "better": run("better", 36), "same": run("same", 11)}
CHOSEN = ("soft_f1", "recall50")


def test_each_other_model_is_compared_with_the_reference_and_corrected_together() -> None:
    found = compare_models(SCORES, "base", CHOSEN, resamples=100, swaps=999)
    assert [(item.model, item.metric) for item in found] == [(m, name) for m in ("better", "same") for name in CHOSEN]
    better, same = found[0], found[2]
    expected = compare(SCORES["base"], SCORES["better"], resamples=100)["phrase_grounding"]["soft_f1"]
    assert better.difference == expected
    assert (better.p_value, better.p_corrected, better.family) == (0.001, 0.004, 4)
    assert same.p_corrected > 0.5
    assert (better.difference.n, better.difference.patients) == (40, 20)


def test_more_tests_make_each_harder_to_show() -> None:
    few = compare_models(SCORES, "base", ("soft_f1",), resamples=50, swaps=500)
    many = compare_models(SCORES, "base", resamples=50, swaps=500)
    value = {item.metric: item.p_corrected for item in many if item.model == "better"}["soft_f1"]
    assert value > few[0].p_corrected


def test_the_file_is_json_without_nan(tmp_path: Path) -> None:
    empty = [Example("h", "phrase_grounding", "a.png", "q", "a", ())]
    runs = {name: score(empty, [Prediction("h", "None.", "None.", name)], resamples=5) for name in ("a", "b")}
    write_comparisons(compare_models(runs, "a", resamples=5, swaps=5), tmp_path / "c.json")
    written = json.loads((tmp_path / "c.json").read_text())
    recall = next(item for item in written if item["metric"] == "recall50")
    assert (recall["value"], recall["p_value"], recall["p_corrected"], recall["n"]) == (None, None, None, 1)


def test_a_reference_that_was_not_scored_is_refused() -> None:
    with pytest.raises(KeyError, match="expected the reference among base, better, same"):
        compare_models(SCORES, "sft")
