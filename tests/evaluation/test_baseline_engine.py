"""A baseline under evaluate predict: its words, its format, its name; resumed and refused like any other model."""

import pytest

from radvlm_course.cli import main
from radvlm_course.evaluation.baseline_engine import open_baseline
from radvlm_course.evaluation.baselines.base import Completion
from radvlm_course.evaluation.provenance import read_settings
from radvlm_course.evaluation.shards import read_folder
from radvlm_course.records import Example, write_jsonl


def opened(tiny_folder, name="radvlm", variant="corrected", **more):
    options = {"batch_size": 5, "seed": 0, "dtype": "auto", "max_new_tokens": 8, "options": {}} | more
    return open_baseline(name, variant, str(tiny_folder), **options)


def predict(tiny_folder, examples, output, *more):
    write_jsonl(examples, output.parent / "test.jsonl")
    arguments = ["evaluate", "predict", "--baseline", "radvlm", "--model", str(tiny_folder), "--quiet", *more]
    return main([*arguments, "--examples", str(output.parent / "test.jsonl"), "--output", str(output)])


def test_the_command_writes_the_baselines_own_reading_under_its_name(tiny_folder, grounding_examples, tmp_path):
    assert predict(tiny_folder, grounding_examples, tmp_path / "out", "--max-new-tokens", "8", "--batch-size", "5") == 0
    found = {item.example_id: item for item in read_folder(tmp_path / "out")}
    engine = opened(tiny_folder)
    answers = list(engine.complete(grounding_examples))
    line = engine.to_prediction("radvlm (corrected)")
    assert found == {e.id: line(e, answer) for e, answer in zip(grounding_examples, answers, strict=True)}
    settings = read_settings(tmp_path / "out")
    assert settings["model"]["name"] == "radvlm (corrected)" and settings["model"]["fingerprint"]
    assert settings["generation"]["tasks"]["abnormality_grounding"]["max_new_tokens"] == 8
    assert settings["generation"]["variant"] == "corrected"


def test_the_answer_is_read_in_the_baselines_format(tiny_folder, grounding_examples):
    engine = opened(tiny_folder, "maira_2")
    written = "<obj> nodule <box><x10><y20><x30><y40></box></obj>"
    line = engine.to_prediction("maira_2 (corrected)")(grounding_examples[0], (written, "stop"))
    own = engine.baseline.prediction(grounding_examples[0], Completion(written, "stop"))
    assert (line.completion, line.response, line.model) == (written, own.response, "maira_2 (corrected)")
    assert line.response != written and line.generation["variant"] == "corrected"


def test_a_task_that_it_does_not_do_is_refused_before_the_weights_are_loaded(grounding_examples):
    engine = open_baseline("medgemma_4b_pt", "paper", "/nowhere", 1, 0, "auto", None, {})
    with pytest.raises(ValueError, match=r"MedGemma-4B-pt answers report_generation; example 'e0' is"):
        list(engine.complete(grounding_examples))


def test_examples_of_several_tasks_are_answered_in_their_order(tiny_folder, grounding_examples):
    film = grounding_examples[0].image_path
    report = Example("r", "report_generation", film, "Write a report.", "Clear.")
    engine = opened(tiny_folder)
    assert len(list(engine.complete([*grounding_examples[:3], report]))) == 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--thinking"], "--thinking: the baseline radvlm decides that itself: leave it out"),
        (
            ["--set", "tensor_parallel_size=2"],
            "loading radvlm has the options device, dtype, revision, download, trust_remote_code, max_pixels",
        ),
        (["--baseline", "gpt"], "unknown baseline 'gpt'"),
    ],
    ids=["thinking", "unknown option", "unknown baseline"],
)
def test_options_that_a_baseline_has_not_are_refused(tiny_folder, grounding_examples, tmp_path, capsys, more, message):
    assert predict(tiny_folder, grounding_examples, tmp_path / "out", *more) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_baseline_that_is_on_no_hub_needs_a_folder_and_nothing_is_downloaded_unasked(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"RadVLM is on no hub .*: expected --model FOLDER"):
        open_baseline("radvlm", "paper", None, 1, 0, "auto", None, {}).identity()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="found 'microsoft/maira-2'"):
        open_baseline("maira_2", "paper", None, 1, 0, "auto", None, {}).identity()


def test_without_a_model_or_a_baseline_the_command_says_what_it_needs(grounding_examples, tmp_path, capsys):
    write_jsonl(grounding_examples, tmp_path / "test.jsonl")
    arguments = ["--examples", str(tmp_path / "test.jsonl"), "--output", str(tmp_path / "out")]
    assert main(["evaluate", "predict", *arguments]) == 1
    assert "expected --model, a folder or a hub name, or --baseline NAME" in capsys.readouterr().err
