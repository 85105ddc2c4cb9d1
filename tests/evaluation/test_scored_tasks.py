"""The table of tasks and metrics: what is scored, what is not, judgements that do not fit."""

import pytest

from radvlm_course.evaluation.reports import ReportScorer
from radvlm_course.evaluation.scored_tasks import TaskScorer, counts_of, ordered, part_statistics, task_statistics
from radvlm_course.records import TASKS, Example

TALK = [Example(f"c{i}", "conversation", "a.png", "Hello?", "Hello.") for i in range(2)]


def test_every_task_but_conversations_has_a_metric_of_its_own() -> None:
    scorer = TaskScorer(ReportScorer())
    without = [task for task in TASKS if not scorer.is_scored(task, [])]
    assert without == ["conversation", "grounded_conversation"]
    assert TaskScorer(ReportScorer(), {"judge": {"c0": 1.0}}).is_scored("conversation", TALK)


def test_a_judgement_may_not_take_the_name_of_a_column() -> None:
    scorer = TaskScorer(ReportScorer(), {"words": {"c0": 1.0, "c1": 2.0}})
    with pytest.raises(ValueError, match="'words' has the name of another column"):
        scorer.rows("conversation", ["a", "b"], TALK)


def test_a_judgement_of_another_set_is_left_alone() -> None:
    rows = TaskScorer(ReportScorer(), {"green": {"r0": 1.0}}).rows("conversation", ["Hi.", None], TALK)
    assert rows == [{"characters": 3, "words": 1}, {"characters": 0, "words": 0}]
    assert set(task_statistics("conversation", rows)) == {"characters", "words"}
    assert part_statistics("conversation", rows) == {"labels": {}, "sizes": {}}


def test_counts_without_boxes_have_no_box_cases() -> None:
    base = {"patient_id": "p", "answered": True, "finish_reason": "length"}
    assert counts_of([base, {**base, "answered": False}]) == {
        "examples": 2,
        "patients": 1,
        "without_response": 1,
        "cut_off_at_length": 2,
    }


def test_tasks_come_in_the_order_of_tables() -> None:
    assert ordered(["conversation", "report_generation", "phrase_grounding", "report_generation"]) == [
        "phrase_grounding",
        "report_generation",
        "conversation",
    ]
