"""The results table in Markdown, CSV and dicts."""

import csv
import io
import math

import pytest

from radvlm_course.evaluation.score import Scores
from radvlm_course.evaluation.statistics import Interval
from radvlm_course.evaluation.tables import difference_table, label_table, results_table

TASK = "abnormality_grounding"


def scores(model: str, soft_f1: float, map50: float = math.nan) -> Scores:
    metrics = {
        "soft_f1": Interval(soft_f1, soft_f1 - 0.1, soft_f1 + 0.1, 40, 20),
        "map50": Interval(map50, math.nan, math.nan, 40, 20),
    }
    counts = {TASK: {"examples": 40}}
    return Scores(model, (), {TASK: metrics}, {TASK: {"nodule": metrics}}, counts, {}, {})


def test_markdown_has_models_down_metrics_across_and_intervals() -> None:
    assert results_table([scores("prior", 0.3), scores("a|b", 0.5, 0.25)]).to_markdown() == (
        "**abnormality grounding**\n\n"
        "| model | n | mAP@0.5 | soft-F1 |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| prior | 40 | n/a | 0.300 [0.200, 0.400] |\n"
        "| a\\|b | 40 | 0.250 | 0.500 [0.400, 0.600] |\n"
    )


def test_columns_can_be_chosen_and_intervals_left_out() -> None:
    text = results_table({"SFT": scores("x", 0.5, 0.25)}).to_markdown(["soft_f1"], intervals=False)
    assert "| SFT | 40 | 0.500 |" in text
    assert "mAP" not in text


def test_only_the_tasks_asked_are_shown() -> None:
    assert results_table([scores("x", 0.5)], tasks=["report_generation"]).rows == ()


def test_csv_has_one_line_a_number() -> None:
    lines = list(csv.DictReader(io.StringIO(results_table([scores("x", 0.5)]).to_csv())))
    assert lines[0] == {
        "model": "x",
        "task": TASK,
        "metric": "soft_f1",
        "value": "0.5",
        "low": "0.4",
        "high": "0.6",
        "n": "40",
        "patients": "20",
        "level": "0.95",
    }
    assert lines[1]["value"] == ""


def test_dicts_carry_none_for_undefined_numbers() -> None:
    (_, undefined) = results_table([scores("x", 0.5)]).to_dicts()
    assert (undefined["metric"], undefined["value"]) == ("map50", None)


def test_a_label_table_has_labels_down() -> None:
    table = label_table(scores("x", 0.5), TASK)
    assert "| label | n |" in table.to_markdown()
    assert "| nodule | 40 |" in table.to_markdown()
    with pytest.raises(ValueError, match=f"scored: {TASK}"):
        label_table(scores("x", 0.5), "report_generation")


def test_differences_are_signed() -> None:
    table = difference_table({"SFT to GRPO": {TASK: {"soft_f1": Interval(0.05, -0.01, 0.11, 40, 20)}}})
    assert "| SFT to GRPO | 40 | +0.050 [-0.010, +0.110] |" in table.to_markdown()


def test_a_metric_without_a_title_is_shown_last_by_its_key() -> None:
    metrics = {"new_metric": Interval(0.5, 0.4, 0.6, 40, 20), "soft_f1": Interval(0.1, 0.0, 0.2, 40, 20)}
    item = Scores("m", (), {TASK: metrics}, {}, {TASK: {"examples": 40}}, {}, {})
    assert "| model | n | soft-F1 | new_metric |" in results_table([item]).to_markdown()


def test_a_number_that_rests_on_fewer_examples_than_its_line_says_so() -> None:
    item = Scores("m", (), {TASK: {"recall": Interval(0.5, 0.4, 0.6, 7, 5)}}, {}, {TASK: {"examples": 40}}, {}, {})
    assert "| m | 40 | 0.500 [0.400, 0.600] (n = 7) |" in results_table([item]).to_markdown()
