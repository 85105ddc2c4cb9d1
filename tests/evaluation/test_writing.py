"""Completions become lines: in a fixed order, resumed after a kill at any byte, refused when there are too few."""

import random
import signal
import subprocess
import sys
import time
import warnings

import pytest

from radvlm_course.evaluation.predictions import PredictionError, read_predictions
from radvlm_course.evaluation.shards import Shard, read_folder
from radvlm_course.evaluation.writing import as_written, batches, write_predictions
from radvlm_course.records import Example

TASKS = ("report_generation", "phrase_grounding", "anatomical_grounding")
COUNT = 90


def examples(count=COUNT):
    return [Example(f"e{n}", TASKS[n % 3], f"{n}.png", "What?", "That.") for n in range(count)]


def completer(todo, pause=0.0):
    for example in todo:
        time.sleep(pause)
        yield f"answer to {example.id}: é" + "x" * (len(example.id) * 37), "stop"


def write(path, asked=None, complete=completer):
    write_predictions(complete, asked or examples(), path, "m", as_written("m", {"seed": 0}), progress=False)


# A process that answers slowly, so that it can be killed on the way.
SLOWLY = f"""
import sys
sys.path.insert(0, {__file__.rpartition("/")[0]!r})
import test_writing as here
from radvlm_course.evaluation.shards import Shard
folder, shard = sys.argv[1], Shard.parse(sys.argv[2])
mine = [example for example in here.examples() if shard.holds(example.id)]
here.write(folder + "/" + shard.file_name, mine, lambda todo: here.completer(todo, pause=0.003))
"""


def start(folder, shard="0/1"):
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", SLOWLY, str(folder), shard])


def test_lines_stand_in_the_order_of_the_tasks_and_then_of_the_examples(tmp_path):
    write(tmp_path / "p.jsonl", examples(7))
    found = [prediction.example_id for prediction in read_predictions(tmp_path / "p.jsonl")]
    assert found == ["e2", "e5", "e1", "e4", "e0", "e3", "e6"]


def test_a_process_killed_at_random_moments_and_cut_at_random_bytes_ends_with_the_uninterrupted_file(tmp_path):
    write(tmp_path / "whole.jsonl")
    whole = (tmp_path / "whole.jsonl").read_bytes()
    path = tmp_path / "predictions.jsonl"
    draw = random.Random(7)
    killed = 0
    for _ in range(5):
        process = start(tmp_path)
        enough = draw.randrange(len(whole))
        while process.poll() is None and (not path.exists() or path.stat().st_size < enough):
            time.sleep(0.001)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        left = path.read_bytes()
        assert whole.startswith(left[: left.rfind(b"\n") + 1])
        path.write_bytes(left[: draw.randrange(len(left) + 1)])
    assert killed >= 2
    assert start(tmp_path).wait() == 0
    assert path.read_bytes() == whole


def test_processes_at_the_same_time_write_shards_that_together_answer_everything_once(tmp_path):
    processes = [start(tmp_path, f"{index}/3") for index in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    found = [prediction.example_id for prediction in read_folder(tmp_path, {e.id for e in examples()})]
    assert sorted(found) == sorted(example.id for example in examples())
    assert len({path.name for path in tmp_path.glob("*.jsonl")}) == 3


@pytest.mark.parametrize("cut", [0, 1, 57, 58, 200, 1000, -1, -2])
def test_a_file_cut_at_any_byte_is_completed_to_the_same_bytes(tmp_path, cut):
    path = tmp_path / "p.jsonl"
    write(path, examples(9))
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(path, examples(9))
    assert path.read_bytes() == whole


def test_only_what_is_missing_is_asked_and_nothing_if_nothing_is(tmp_path):
    asked = []

    def noting(todo):
        asked.append([example.id for example in todo])
        yield from completer(todo)

    write(tmp_path / "p.jsonl", examples(4), noting)
    write(tmp_path / "p.jsonl", examples(6), noting)
    write(tmp_path / "p.jsonl", examples(6), noting)
    assert asked == [["e2", "e1", "e0", "e3"], ["e5", "e4"]]


def test_too_few_and_too_many_completions_are_errors_that_keep_the_lines_before(tmp_path):
    with pytest.raises(PredictionError, match=r"m gave no completion for example 'e4'.*each of the 6 examples"):
        write(tmp_path / "few.jsonl", examples(6), lambda todo: list(completer(todo))[:3])
    assert len(list(read_predictions(tmp_path / "few.jsonl"))) == 3
    with pytest.raises(PredictionError, match="more completions than the 2 examples"):
        write(tmp_path / "many.jsonl", examples(2), lambda todo: [("a", "stop")] * 3)


def test_examples_that_share_an_id_and_files_of_other_examples_are_refused(tmp_path):
    with pytest.raises(PredictionError, match="1 of 3 examples repeat an id"):
        write(tmp_path / "p.jsonl", [*examples(2), examples(1)[0]])
    write(tmp_path / "p.jsonl", examples(4))
    with pytest.raises(PredictionError, match=r"line 1: example 'e2' is not among the 2 examples asked"):
        write(tmp_path / "p.jsonl", examples(2))


def test_a_line_holds_the_settings_and_the_response_after_the_thought():
    to_prediction = as_written("m", {"seed": 3}, thinking=True)
    example = examples(1)[0]
    done, cut_off = (
        to_prediction(example, answer) for answer in [("<think>a</think> b", "stop"), ("<think>a", "length")]
    )
    assert (done.response, done.generation, done.finish_reason, done.model) == ("b", {"seed": 3}, "stop", "m")
    assert (cut_off.response, cut_off.completion) == (None, "<think>a")


def test_batches_are_consecutive_and_the_last_one_may_be_short():
    assert [[e.id for e in batch] for batch in batches(examples(5), 2)] == [["e0", "e1"], ["e2", "e3"], ["e4"]]
    assert Shard().holds("anything")
