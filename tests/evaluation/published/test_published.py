"""The paper's tables as data: every row counted, check values and bold numbers as printed."""

import pytest

from radvlm_course.evaluation.published import TABLES, load_table
from radvlm_course.rewards.lab.published import PublishedTraining


def row(number, name):
    return next(item for item in load_table(number).rows if item.name == name)


def test_the_tables_have_the_papers_rows_and_columns():
    sizes = {number: (len(load_table(number).rows), len(load_table(number).columns)) for number in TABLES}
    assert sizes == {1: (13, 8), 2: (8, 4), 3: (5, 8)}
    assert [load_table(number).first_column for number in TABLES] == ["model", "model", "reward"]
    assert all("2512.10691" in load_table(n).citation and f"table {n}" in load_table(n).citation for n in TABLES)


def test_values_stand_as_printed():
    assert list(row(1, "RadVLM+RL").values.values()) == [8, 29.9, 59.2, 57.0, 33.4, 25.8, 32.7, 0.86]
    assert list(row(1, "CheXagent-2").values.values()) == [3, 22.5, 37.4, 54.5, 38.7, 20.1, 29.9, 1.45]
    assert list(row(2, "Qwen3-VL-Thinking").values.values()) == [8.7, 1.2, 14.6, 10.7]
    assert list(row(3, "RadGraph-F1 complete").values.values()) == [22.8, 48.8, 34.1, 18.4, 20.1, 23.5, 1.20, 93]
    assert load_table(3).columns["radcliq"].text(1.2) == "1.20"
    assert load_table(3).columns["mean_characters"].text(93.0) == "93"


def test_sums_of_columns_leave_no_number_unchecked():
    # Added up from another transcript of the printed tables.
    sums = {
        number: {
            key: round(sum(item.values[key] for item in load_table(number).rows), 2)
            for key in load_table(number).columns
        }
        for number in TABLES
    }
    assert sums[1] == {
        **{"size_b": 111, "rouge_l": 284.2, "bertscore": 632.1, "chexbert_micro": 628.9, "chexbert_macro": 387.1},
        **{"radgraph_f1": 231.6, "green": 340.6, "radcliq": 16.94},
    }
    assert sums[2] == {
        **{"anatomy_map50": 438.9, "abnormality_map50": 215.2, "phrase_ms_map50": 528.1, "phrase_pad_map50": 340.0}
    }
    assert sums[3] == {
        **{"rouge_l": 137.5, "bertscore": 282.1, "chexbert_micro": 252.6, "chexbert_macro": 152.5},
        **{"radgraph_f1": 114.1, "green": 152.1, "radcliq": 5.05, "mean_characters": 886},
    }


def test_the_best_of_each_column_is_what_the_paper_prints_bold():
    best = {number: {key: load_table(number).best(key) for key in load_table(number).columns} for number in TABLES}
    rl, thinking = ("RadVLM+RL",), ("RadVLM-Thinking+RL",)
    assert best[1] == {
        **{"size_b": (), "rouge_l": thinking, "bertscore": rl, "chexbert_micro": rl, "chexbert_macro": ("LLaVA-Rad",)},
        **{"radgraph_f1": rl, "green": thinking, "radcliq": rl},
    }
    assert best[2] == {
        **{"anatomy_map50": thinking, "abnormality_map50": rl, "phrase_ms_map50": rl, "phrase_pad_map50": rl}
    }
    assert best[3] == {
        **{"rouge_l": ("RadCliQ",), "bertscore": ("BERTScore",), "chexbert_micro": ("RadCliQ",)},
        **{"chexbert_macro": ("BERTScore", "GLEU"), "radgraph_f1": ("RadCliQ",), "green": ("GLEU",)},
        **{"radcliq": ("RadCliQ",), "mean_characters": ()},
    }


def test_columns_say_what_they_mean_and_where_ours_stands():
    radcliq = load_table(1).columns["radcliq"]
    assert (radcliq.better, radcliq.unit, radcliq.scale, radcliq.task) == ("lower", "score", 1, "report_generation")
    phrase = load_table(2).columns["phrase_ms_map50"]
    assert (phrase.metric, phrase.source, phrase.scale, phrase.paper_n) == ("map50_paper", "ms_cxr", 100, 189)
    assert load_table(2).columns["phrase_pad_map50"].paper_n is None
    assert all(column.meaning and column.title for number in TABLES for column in load_table(number).columns.values())
    directions = {key: column.better for number in TABLES for key, column in load_table(number).columns.items()}
    assert {key for key, better in directions.items() if better != "higher"} == {"size_b", "radcliq", "mean_characters"}


def test_the_metric_that_was_the_reward_is_marked():
    marks = {item.name: item.trained_on for item in load_table(3).rows if item.trained_on}
    assert marks == {"RadCliQ": "radcliq", "BERTScore": "bertscore", "RadGraph-F1 complete": "radgraph_f1"}
    assert not any(item.trained_on for number in (1, 2) for item in load_table(number).rows)


def test_the_lab_of_rewards_shows_the_same_numbers():
    keys = {
        "ROUGE-L": "rouge_l",
        "BERTScore": "bertscore",
        "CheXbert micro": "chexbert_micro",
        "RadGraph": "radgraph_f1",
    }
    keys |= {"GREEN": "green", "RadCliQ": "radcliq", "characters": "mean_characters"}
    for run, item in zip(PublishedTraining.load().runs, load_table(3).rows, strict=True):
        assert {name: run[name] for name in keys} == {name: item.values[key] for name, key in keys.items()}


def test_another_table_does_not_exist():
    with pytest.raises(ValueError, match="expected one of 1, 2, 3, found 4"):
        load_table(4)
