import os
import time
from pathlib import Path

import pytest

from radvlm_course.runs import RunError
from radvlm_course.side_by_side import ensure_side_by_side
from radvlm_course.stages import open_course


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)  # handed on to spawned processes
    from told_stages import Told

    opened = open_course("laptop", "told", root=tmp_path, progress=False)
    return Told(opened.profile, opened.run, progress=False)


def test_stages_run_at_the_same_time_in_processes_of_their_own(course):
    ensure_side_by_side(course, ["meets_a", "meets_b"])
    processes = {(course.run.folder / name / "process").read_text() for name in ("meets_a", "meets_b")}
    assert len(processes) == 2
    assert str(os.getpid()) in processes
    assert course.run.is_finished("meets_a") and course.run.is_finished("meets_b")
    assert (course.run.folder / "meets_b" / "output.log").read_text() == "meets_b begins\n"


def test_finished_stages_are_not_repeated_and_a_single_one_runs_here(course):
    course.run.finish("first", {})
    ensure_side_by_side(course, ["first", "second"])
    assert not (course.run.folder / "first" / "process").exists()
    assert (course.run.folder / "second" / "process").read_text() == str(os.getpid())


def test_a_failure_in_another_process_is_an_error_here_with_its_reason_and_log(course):
    with pytest.raises(RunError, match=r"stage 'fails' failed: ValueError: no films .*output\.log"):
        ensure_side_by_side(course, ["works", "fails"])
    assert course.run.is_finished("works")
    assert not course.run.is_finished("fails")


def test_a_failure_here_ends_the_other_process(course):
    started = time.monotonic()
    with pytest.raises(ValueError, match="no films"):
        ensure_side_by_side(course, ["fails", "waits"])
    assert time.monotonic() - started < 50
    assert not course.run.is_finished("waits")


def test_threads_are_given_back_afterwards(course):
    import torch

    before = torch.get_num_threads()
    ensure_side_by_side(course, ["works", "works_too"])
    assert torch.get_num_threads() == before


def test_under_a_launcher_of_several_processes_one_stage_runs_after_the_other(course, monkeypatch):
    import radvlm_course.side_by_side as side_by_side

    monkeypatch.setattr(side_by_side, "process_count", lambda: 2)
    ensure_side_by_side(course, ["works", "works_too"])
    assert {(course.run.folder / name / "process").read_text() for name in ("works", "works_too")} == {str(os.getpid())}
