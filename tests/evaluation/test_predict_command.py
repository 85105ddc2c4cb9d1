"""evaluate predict from the command line: a tiny model, real files, real kills; and a tiny baseline."""

import json
import signal
import subprocess
import sys
import time
import warnings

import pytest

from radvlm_course.cli import main
from radvlm_course.evaluation.predict_command import at_most, model_name
from radvlm_course.evaluation.shards import read_folder
from radvlm_course.records import Example, write_jsonl, write_parquet


@pytest.fixture(scope="session")
def examples_file(tmp_path_factory, grounding_examples):
    path = tmp_path_factory.mktemp("examples") / "test.jsonl"
    write_jsonl(grounding_examples, path)
    return path


def predict(tiny_folder, examples_file, output, *more):
    arguments = ["evaluate", "predict", "--model", str(tiny_folder), "--examples", str(examples_file)]
    arguments += ["--output", str(output), "--batch-size", "4", "--max-new-tokens", "8", "--max-pixels", "4096"]
    return main([*arguments, "--name", "tiny", "--quiet", *more])


def ids(folder):
    return sorted(prediction.example_id for prediction in read_folder(folder))


def test_predictions_lie_beside_the_settings_that_made_them(tiny_folder, examples_file, grounding_examples, tmp_path):
    assert predict(tiny_folder, examples_file, tmp_path, "--seed", "3", "--thinking") == 0
    assert ids(tmp_path) == sorted(example.id for example in grounding_examples)
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["model"]["name"] == "tiny" and len(settings["model"]["fingerprint"]) == 32
    assert settings["examples"]["count"] == 12 and settings["shards"] == 1
    generation = settings["generation"]
    assert (generation["prompt"], generation["seed"], generation["max_new_tokens"]) == ("thinking", 3, 8)
    assert generation["versions"]["transformers"]
    first = next(read_folder(tmp_path))
    assert first.model == "tiny" and first.response is None  # asked to think, and never came to an answer
    assert first.generation == {
        **{"engine": "transformers", "temperature": 0.0, "max_new_tokens": 8, "seed": 3, "dtype": generation["dtype"]},
        **{"max_pixels": 4096, "thinking": True},
    }


@pytest.mark.slow
def test_a_killed_command_resumes_to_the_bytes_of_the_uninterrupted_one(tiny_folder, examples_file, tmp_path):
    options = ["--max-new-tokens", "48", "--batch-size", "1"]
    assert predict(tiny_folder, examples_file, tmp_path / "whole", *options) == 0
    whole = (tmp_path / "whole" / "predictions.jsonl").read_bytes()
    path = tmp_path / "killed" / "predictions.jsonl"
    command = [
        sys.executable,
        "-m",
        "radvlm_course",
        "evaluate",
        "predict",
        "--model",
        str(tiny_folder),
        "--name",
        "tiny",
    ]
    command += [
        "--examples",
        str(examples_file),
        "--output",
        str(path.parent),
        "--max-pixels",
        "4096",
        "--quiet",
        *options,
    ]
    process = subprocess.Popen(command)
    while process.poll() is None and (not path.exists() or path.stat().st_size == 0):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    left = path.read_bytes()
    assert 0 < len(left) < len(whole)
    for cut in (len(left) - 7, len(left) // 2):
        path.write_bytes(left[:cut])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the torn line is reported
            assert predict(tiny_folder, examples_file, path.parent, *options) == 0
        assert path.read_bytes() == whole
    assert (path.parent / "settings.json").read_bytes() == (tmp_path / "whole" / "settings.json").read_bytes()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--max-new-tokens", "9"], "generation.max_new_tokens: 8 there, 9 now"),
        (["--thinking"], "generation.prompt: 'direct' there, 'thinking' now"),
        (["--limit", "3"], "examples.count: 12 there, 3 now"),
        (["--dtype", "bfloat16"], "generation.dtype: 'float32' there, 'bfloat16' now"),
        (["--shard", "0/2"], "shards: 1 there, 2 now"),
        (["--name", "other"], "model.name: 'tiny' there, 'other' now"),
    ],
    ids=["limit of tokens", "thinking", "limit of examples", "dtype", "shards", "name"],
)
def test_a_folder_of_other_settings_is_refused(tiny_folder, examples_file, tmp_path, capsys, more, message):
    predict(tiny_folder, examples_file, tmp_path)
    before = (tmp_path / "predictions.jsonl").read_bytes()
    assert predict(tiny_folder, examples_file, tmp_path, *more) == 1
    assert message in capsys.readouterr().err
    assert (tmp_path / "predictions.jsonl").read_bytes() == before


def test_another_batch_size_goes_on(tiny_folder, examples_file, tmp_path):
    predict(tiny_folder, examples_file, tmp_path)
    assert predict(tiny_folder, examples_file, tmp_path, "--batch-size", "3") == 0


def test_shards_together_are_the_whole(tiny_folder, examples_file, tmp_path):
    predict(tiny_folder, examples_file, tmp_path / "whole")
    for index in range(3):
        assert predict(tiny_folder, examples_file, tmp_path / "parts", "--shard", f"{index}/3") == 0
    assert ids(tmp_path / "parts") == ids(tmp_path / "whole")
    whole, parts = ({item.example_id: item for item in read_folder(tmp_path / name)} for name in ("whole", "parts"))
    assert parts == whole


def test_examples_come_from_parquet_as_well_and_can_be_limited(tiny_folder, grounding_examples, tmp_path):
    write_parquet(grounding_examples, tmp_path / "test.parquet")
    predict(tiny_folder, tmp_path / "test.parquet", tmp_path / "out", "--limit", "5")
    assert ids(tmp_path / "out") == [f"e{index}" for index in range(5)]


def test_the_first_examples_of_each_task_are_kept():
    examples = [
        Example(f"{n}", task, "a.png", "q", "a") for n, task in enumerate(["conversation", "phrase_grounding"] * 3)
    ]
    assert [example.id for example in at_most(examples, None, 2)] == ["0", "1", "2", "3"]
    assert [example.id for example in at_most(examples, ["phrase_grounding"], 2)] == ["1", "3"]
    assert at_most(examples, None, None) == examples
    with pytest.raises(ValueError, match=r"expected examples of report_generation; there are: .*'conversation': 3"):
        at_most(examples, ["report_generation"], None)


def test_what_cannot_be_read_ends_with_a_reason(tiny_folder, examples_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert predict(tmp_path / "no" / "model", examples_file, tmp_path / "out") == 1
    assert "expected a model folder" in capsys.readouterr().err
    assert predict(tiny_folder, tmp_path / "gone.jsonl", tmp_path / "out") == 1
    assert "gone.jsonl" in capsys.readouterr().err
    (tmp_path / "empty.jsonl").write_text("")
    assert predict(tiny_folder, tmp_path / "empty.jsonl", tmp_path / "out") == 1
    assert "expected examples of any task; there are: none" in capsys.readouterr().err
    assert predict(tiny_folder, examples_file, tmp_path / "out", "--shard", "3/3") == 1
    assert "expected 0/3 to 2/3" in capsys.readouterr().err
    assert predict(tiny_folder, examples_file, tmp_path / "out", "--limit", "0") == 1
    assert "--limit: expected at least 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Qwen/Qwen3-VL-8B-Instruct", "Qwen3-VL-8B-Instruct"),
        ("runs/course/sft/model", "sft"),
        ("runs/course/sft/checkpoint-500/", "sft-checkpoint-500"),
        ("/model", "model"),
        ("./tiny", "tiny"),
    ],
)
def test_a_model_is_named_by_the_part_of_its_path_that_tells_it_from_others(path, name):
    assert model_name(path) == name
