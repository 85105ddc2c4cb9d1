"""Real processes that talk through a real store, on this machine."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from radvlm_course.processes import from_main, main_process, process_count, process_index, sharding, wait_for_all

ROOT = Path(__file__).parents[1]

TOGETHER = """
import json, os, sys, time
from pathlib import Path
from radvlm_course import processes
from radvlm_course.processes import from_main, main_process, process_index, wait_for_all

processes._CONNECT_SECONDS = 20
folder = Path(os.environ["FOLDER"])

def decide():
    (folder / f"decided by {process_index()}").touch()
    wait_for_all("nobody, inside of the main process")
    return {"finished": from_main("inside", lambda: ["sft"]), "seconds": 1.5, "nothing": None}

first = from_main("a decision", decide)
second = from_main("another", lambda: process_index())
if not main_process():
    time.sleep(1.0)
    (folder / "late").touch()
wait_for_all("the late one")
print(json.dumps([first, second, (folder / "late").exists()]))
wait_for_all("the end")
"""


def test_the_main_process_decides_once_for_all_and_nobody_passes_before_the_last(several, tmp_path):
    done = several.run_processes(TOGETHER, count=3, FOLDER=str(tmp_path))
    assert [process.status for process in done] == [0, 0, 0], done[0].errors + done[1].errors
    told = [json.loads(process.output) for process in done]
    assert told == [[{"finished": ["sft"], "seconds": 1.5, "nothing": None}, 0, True]] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decided by 0", "late"]


FAILS = """
import os, time
from radvlm_course.processes import OtherProcessFailed, from_main, main_process

if not main_process():
    time.sleep(float(os.environ["LATE"]))

def fail():
    raise ValueError("no films")

try:
    from_main("stage curate", fail)
except OtherProcessFailed as error:
    print(error)
    raise SystemExit(3)
"""


@pytest.mark.parametrize("late", [0.0, 3.0], ids=["at once", "late"])
def test_if_the_main_process_fails_the_others_end_with_its_reason(several, late):
    """Also those that come when it has failed already: it keeps the store for them."""
    main, other = several.run_processes(FAILS, LATE=str(late))
    assert main.status == 1 and "ValueError: no films" in main.errors
    assert other.status == 3
    assert "process 0 failed (stage curate): ValueError: no films" in other.output


ANOTHER_FAILS = """
from radvlm_course.processes import OtherProcessFailed, main_process, report_failure, wait_for_all

if main_process():
    try:
        wait_for_all("the end of stage sft")
    except OtherProcessFailed as error:
        print(error)
        raise SystemExit(3)
report_failure(RuntimeError("out of memory"), "stage sft")
raise SystemExit(1)
"""


def test_if_another_process_fails_the_main_one_waits_no_longer(several):
    main, other = several.run_processes(ANOTHER_FAILS)
    assert (main.status, other.status) == (3, 1)
    assert "waited for the end of stage sft, and process 1 failed (stage sft): RuntimeError: out of memory" in (
        main.output
    )


KILLED = """
import os, signal, time
from radvlm_course.processes import OtherProcessFailed, from_main, main_process, wait_for_all

def be_killed():
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)

wait_for_all("the beginning")
try:
    from_main("stage evaluate", be_killed)
except OtherProcessFailed as error:
    print(error)
    raise SystemExit(3)
"""


def test_if_the_main_process_is_killed_the_others_end_too(several):
    main, other = several.run_processes(KILLED)
    assert main.status == -9
    assert other.status == 3
    assert "waited for stage evaluate, and the store of the run is gone" in other.output


LONG = """
import time
from radvlm_course import processes
from radvlm_course.processes import from_main, wait_for_all

processes._CONNECT_SECONDS = 2  # of the store: here shorter than the stage takes
wait_for_all("the beginning")
print(from_main("a long stage", lambda: time.sleep(5) or "done"))
wait_for_all("the end")
"""


def test_waiting_outlasts_the_time_limit_of_the_store(several):
    assert [process.output for process in several.run_processes(LONG)] == ["done\n"] * 2


APART = """
from radvlm_course.processes import OutOfStep, from_main, main_process, wait_for_all

try:
    from_main("the stage sft" if main_process() else "the stage curate", lambda: 1)
except OutOfStep as error:
    print(error)
wait_for_all("the end")
"""


def test_processes_that_wait_for_different_things_are_told_so(several):
    main, other = several.run_processes(APART)
    assert (main.status, other.status) == (0, 0)
    assert "waits for 'the stage curate' and the main process did 'the stage sft'" in other.output


def test_processes_that_no_launcher_started_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(RuntimeError, match=r"MASTER_ADDR, MASTER_PORT.* not set: expected processes started by"):
        wait_for_all("the others")


def test_one_process_does_everything_on_the_spot_without_torch(several):
    code = (
        "import sys\nfrom radvlm_course.processes import from_main, wait_for_all\n"
        "value = from_main('a decision', lambda: 7)\nwait_for_all('nobody')\n"
        "sys.exit(value if 'torch' not in sys.modules else 1)"
    )
    alone = several.environment()
    alone.pop("WORLD_SIZE", None)
    assert subprocess.run([sys.executable, "-c", code], env=alone, check=False).returncode == 7


def test_alone_this_is_the_main_process_whatever_rank_is_left_in_the_environment(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("RANK", "3")
    assert (process_count(), process_index(), main_process()) == (1, 0, True)
    marked = time.monotonic()
    assert from_main("a value", lambda: marked) == marked
    wait_for_all("nobody")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "none"),
        ({"ACCELERATE_USE_FSDP": "true"}, "fsdp"),
        ({"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}, "zero3"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "zero2"),
        ({"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": "zero2.json"}, "zero2"),
        ({"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": "zero3.json"}, "zero3"),
    ],
)
def test_what_is_shared_out_is_read_from_the_launcher(variables, expected, monkeypatch):
    for name in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_DEEPSPEED_ZERO_STAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(ROOT / "radvlm_course" / "configs" / "deepspeed")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert sharding() == expected
