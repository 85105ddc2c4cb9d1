import json

import pytest

from radvlm_course.evaluation.differences import read_differences
from radvlm_course.evaluation.statistics import Interval

INTERVAL = Interval(0.05, 0.02, 0.08, 40, 20)


@pytest.fixture
def folder(tmp_path):
    by_task = {"report_generation": {"gleu": INTERVAL.to_dict()}}
    values = {"grpo_reports - sft": by_task, "grpo_grounding - sft": by_task}
    (tmp_path / "differences.json").write_text(json.dumps(values), encoding="utf-8")
    return tmp_path


def test_differences_come_back_as_intervals(folder):
    found = read_differences(folder)
    assert list(found) == ["grpo_reports - sft", "grpo_grounding - sft"]
    assert found["grpo_reports - sft"]["report_generation"]["gleu"] == INTERVAL


def test_one_model_can_be_chosen(folder):
    assert list(read_differences(folder, "grpo_grounding")) == ["grpo_grounding - sft"]


def test_an_unknown_model_is_named_with_what_there_is(folder):
    with pytest.raises(ValueError, match="no comparison of 'sft'"):
        read_differences(folder, "sft")


def test_a_stage_that_has_not_run_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="evaluate"):
        read_differences(tmp_path)
