from pathlib import Path

import pytest

from radvlm_course.evaluation.baselines import BASELINES
from radvlm_course.evaluation.baselines.tables import PARTS, settings_table, supports_table

DOCUMENT = Path(__file__).parents[3] / "docs" / "baselines.md"


def test_the_table_of_who_supports_what_comes_from_the_modules():
    table = supports_table()
    assert list(table) == list(BASELINES)
    assert table["llava_rad"] == {task: "paper" if task == "report_generation" else "" for task in table["llava_rad"]}
    assert table["maira_2"]["abnormality_detection"] == "here"
    assert table["chexagent_2"]["abnormality_grounding"] == "here"
    assert table["qwen3_vl_thinking"]["anatomical_grounding"] == "paper"


def test_the_settings_of_both_variants_stand_side_by_side():
    assert "| `medgemma_4b_pt` | all | greedy, 100 tokens | greedy, 512 tokens |" in settings_table()
    assert "| `qwen3_vl_thinking` | all | temperature 1, 4,096 tokens | greedy, 4,096 tokens |" in settings_table()


@pytest.mark.parametrize("part", list(PARTS))
def test_every_line_of_a_table_has_as_many_cells_as_its_head(part):
    lines = PARTS[part]().replace("\\|", "").splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) > 3


@pytest.mark.parametrize("part", list(PARTS))
def test_the_document_holds_what_the_command_prints(part):
    assert PARTS[part]() in DOCUMENT.read_text(encoding="utf-8")
