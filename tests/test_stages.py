"""The whole method in small: every stage on a few phantoms, by the code that every tier runs."""

import json

import pytest

from radvlm_course.runs import RunError, read_metrics, read_rollouts
from radvlm_course.stages import STAGE_ORDER, Course, open_course


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_course):
    folder = tmp_path_factory.mktemp("course")
    overrides = {**small_course, "curate.root": str(folder / "data")}
    course = open_course("laptop", "small", overrides, root=folder / "runs", progress=False)
    course.check()
    course.ensure("evaluate")
    return course


def test_every_stage_finishes_and_leaves_its_folder(finished):
    for stage in STAGE_ORDER:
        assert finished.run.is_finished(stage), stage
        assert (finished.run.folder / stage / "config.yaml").exists(), stage
        assert finished.run.summary(stage)["seconds"] >= 0


def test_trained_stages_leave_metrics_rollouts_and_a_model(finished):
    folder = finished.run.folder
    for stage in ("base", "sft", "cold_start", "grpo_grounding", "grpo_reports"):
        assert read_metrics(folder / stage)
        assert (folder / stage / "model" / "model.safetensors").exists()
    for stage in ("grpo_grounding", "grpo_reports"):
        asked = {example.id for example in finished.examples("train")}
        assert {rollout.example_id for rollout in read_rollouts(folder / stage)} <= asked


def test_grpo_starts_from_the_early_checkpoint_of_sft_or_from_its_end(finished):
    from safetensors.torch import load_file

    folder = finished.run.folder
    assert finished.run.summary("grpo_reports")["start"] == str(folder / "sft_early" / "model")
    early = load_file(folder / "sft_early" / "model" / "model.safetensors")
    checkpoint = load_file(folder / "sft" / "checkpoint-3" / "model.safetensors")
    last = load_file(folder / "sft" / "model" / "model.safetensors")
    assert all(early[name].equal(checkpoint[name]) for name in early)
    assert not all(early[name].equal(last[name]) for name in early)
    without = open_course("laptop", "without", {"sft.early_step": None}, root=folder.parent)
    assert without.grpo_start() == "sft"


def test_evaluation_scores_every_model_and_the_priors_on_the_same_examples(finished):
    folder = finished.run.folder / "evaluate"
    models = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("scores/*/scores.json")}
    assert {"sft", "sft_early", "grpo_grounding", "grpo_reports", "prior_mean_box", "prior_constant_report"} <= set(
        models
    )
    counts = {name: scores["counts"] for name, scores in models.items()}
    assert counts["sft"]["abnormality_grounding"]["examples"] == 6
    assert counts["prior_mean_box"]["abnormality_grounding"]["examples"] == 6
    assert {path.name for path in (folder / "pictures").iterdir()} >= {"grounding.png", "films.png"}
    assert "Paired differences" in (folder / "results.md").read_text()


def test_a_finished_stage_is_not_repeated(finished, monkeypatch):
    import radvlm_course.stages as stages

    monkeypatch.setitem(stages.STAGE_WORK, "sft", lambda course: pytest.fail("ran again"))
    assert finished.ensure("sft") == finished.run.folder / "sft"


def test_a_stage_that_does_not_exist_is_refused_with_the_list(finished):
    with pytest.raises(ValueError, match="curate, base, sft"):
        finished.ensure("warm_start")


def test_the_cold_start_mixes_thoughts_with_direct_answers_and_keeps_its_traces(finished):
    from radvlm_course.records import Example, read_jsonl

    folder = finished.run.folder
    traces = list(read_jsonl(folder / "cold_start" / "traces.jsonl", Example))
    asked = finished.examples("train", "report_generation") + finished.examples("train", "abnormality_grounding")
    assert {trace.id for trace in traces} == {example.id for example in asked}
    assert all(trace.thought for trace in traces)
    summary = finished.run.summary("cold_start")
    assert summary["start"] == str(folder / "sft_early" / "model")
    share = finished.profile.cold_start.direct_share
    direct = min(round(len(traces) * share / (1 - share)), len(finished.examples("train")))
    assert (summary["traces"], summary["examples"]) == (len(traces), len(traces) + direct)


def test_the_cold_starts_model_is_evaluated_in_both_modes(finished):
    from radvlm_course.evaluation.predictions import read_predictions

    folder = finished.run.folder / "evaluate" / "predictions"
    for name, thinking, limit in (("cold_start", False, 12), ("cold_start_thinking", True, 14)):
        for prediction in read_predictions(folder / f"{name}.jsonl"):
            assert prediction.generation["thinking"] == thinking
            assert prediction.generation["max_new_tokens"] == limit


def test_a_profile_without_a_cold_start_has_no_such_stage(finished):
    without = open_course("laptop", "no_cold_start", {"cold_start": None}, root=finished.run.folder.parent)
    assert "cold_start" not in without.stages()
    with pytest.raises(ValueError, match="no section cold_start"):
        without.ensure("cold_start")


def test_grpo_with_thoughts_starts_from_the_cold_starts_model_and_asks_for_thoughts(finished, small_course):
    from radvlm_course.stages import Course

    overrides = {**small_course, "curate.root": finished.profile.curate.root, "grpo_reports.thinking": True}
    overrides["grpo_reports.reward"] = {"gleu": 1.0, "thinking_format": 0.1}
    thinking = open_course("laptop", "thinking", overrides, root=finished.run.folder.parent, progress=False)
    for stage in ("curate", "base", "sft", "sft_early", "cold_start"):  # all that comes before is the same
        (thinking.run.folder / stage).symlink_to(finished.run.folder / stage, target_is_directory=True)
    folder = Course.ensure(thinking, "grpo_reports")
    assert thinking.run.summary("grpo_reports")["start"] == str(thinking.run.folder / "cold_start" / "model")
    rollouts = read_rollouts(folder)
    assert {"gleu", "thinking_format"} <= set(rollouts[0].rewards)
    assert all(rollout.rewards["gleu"] == 0 for rollout in rollouts if "</think>" not in rollout.completion)
    assert any("/think" in row for row in pq_prompts(folder))


def test_grpo_starts_where_its_settings_say_on_the_tasks_they_name(finished, small_course):
    both = ["abnormality_grounding", "report_generation"]
    overrides = {
        **small_course,
        "curate.root": finished.profile.curate.root,
        "grpo_grounding.start": "base",
        "grpo_grounding.tasks": both,
        "grpo_grounding.reward": {"soft_f1": 1.0, "gleu": 1.0},
        "grpo_reports.start": str(finished.run.folder / "sft" / "model"),
    }
    elsewhere = open_course("laptop", "elsewhere", overrides, root=finished.run.folder.parent, progress=False)
    for stage in ("curate", "base"):
        (elsewhere.run.folder / stage).symlink_to(finished.run.folder / stage, target_is_directory=True)
    elsewhere.ensure("grpo_grounding")
    elsewhere.ensure("grpo_reports")
    assert not elsewhere.run.is_finished("sft")
    summaries = {stage: elsewhere.run.summary(stage) for stage in ("grpo_grounding", "grpo_reports")}
    assert summaries["grpo_grounding"]["start"] == str(elsewhere.run.folder / "base" / "model")
    assert summaries["grpo_reports"]["start"] == str(finished.run.folder / "sft" / "model")
    counts = {task: len(finished.examples("train", task)) for task in both}
    assert summaries["grpo_grounding"]["prompts"] == sum(counts.values())
    assert summaries["grpo_reports"]["prompts"] == counts["report_generation"]


def test_the_base_of_a_pretrained_model_is_that_model():
    from radvlm_course.profiles import load_profile
    from radvlm_course.stages import Course

    paper = Course(load_profile("paper", {"grpo_reports.start": "base"}), run=None)
    assert paper.start_of("grpo_reports") == "Qwen/Qwen3-VL-8B-Instruct"
    assert paper.start_of("grpo_grounding") == "sft"


def pq_prompts(folder):
    import pyarrow.parquet as pq

    return [str(row) for path in folder.glob("completions/*.parquet") for row in pq.read_table(path)["prompt"]]


def test_the_same_run_under_another_profile_is_refused(finished):
    with pytest.raises(RunError, match="other settings"):
        open_course("laptop", "small", root=finished.run.folder.parent)


def test_a_source_without_reports_has_no_stage_for_reports(finished, monkeypatch):
    import radvlm_course.stages as stages

    examples = [e for e in finished.examples("train") if e.task != "report_generation"]
    monkeypatch.setattr(
        stages.Course, "examples", lambda self, split, task=None: [e for e in examples if task in (None, e.task)]
    )
    assert "grpo_reports" not in finished.stages()
    assert "grpo_grounding" in finished.stages()


def test_the_results_script_makes_its_tables_from_a_finished_run(finished):
    import importlib.util
    from pathlib import Path

    path = Path(__file__).parent.parent / "benchmarks" / "laptop_results.py"
    spec = importlib.util.spec_from_file_location("laptop_results", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = script.collect([finished.run.folder])
    assert "| small: grpo_grounding - sft_early |" in text
    assert "| small: sft - sft_early |" in text
    assert "**Each finding** (run small)" in text
    sft = json.loads((finished.run.folder / "evaluate/scores/sft/scores.json").read_text())
    assert f"{sft['tasks']['report_generation']['gleu']['value']:.3f} [" in text


def test_a_full_gpu_in_a_stage_ends_in_advice(finished, small_course, tmp_path, monkeypatch):
    import torch

    import radvlm_course.training.sft as sft
    from radvlm_course.training.out_of_memory import OutOfMemory

    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(sft, "run_sft", full)
    start = str(finished.run.model_folder("base"))
    changes = {"curate.root": finished.profile.curate.root, "model.name_or_path": start}
    course = open_course("laptop", "full", small_course | changes, root=tmp_path, progress=False)
    with pytest.raises(OutOfMemory, match=r"out of memory in stage sft of profile 'laptop'[\s\S]*visual tokens"):
        course.ensure("sft")
    assert not course.run.is_finished("sft")


def test_a_stage_has_its_own_pixel_limit_where_the_profile_gives_one(finished, small_course, tmp_path, monkeypatch):
    import radvlm_course.models.loading as loading

    limits = []

    def note(model, path, max_pixels, encode_once):
        limits.append(max_pixels)
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "_ready", note)
    start = str(finished.run.model_folder("base"))
    for name, own in (("own", {"sft.max_pixels": 900}), ("shared", {})):
        changes = {"curate.root": finished.profile.curate.root, "model.name_or_path": start, **own}
        with pytest.raises(KeyboardInterrupt):
            open_course("laptop", name, small_course | changes, root=tmp_path, progress=False).ensure("sft")
    assert limits == [900, finished.profile.model.max_pixels]


def test_encode_once_is_a_setting_of_a_grpo_stage_and_on_unless_it_is_switched_off(
    finished, monkeypatch, tmp_path, small_course
):
    import radvlm_course.stage_work as stage_work

    assert finished.profile.grpo_grounding.encode_once
    asked = []

    def load(course, path, encode_once, max_pixels=None):
        asked.append(encode_once)
        raise RunError("far enough")

    monkeypatch.setattr(stage_work, "_load", load)
    changes = {**small_course, "curate.root": finished.profile.curate.root, "grpo_grounding.encode_once": False}
    course = open_course("laptop", "other", changes, root=tmp_path, progress=False)
    course.run.finish("sft_early", {})
    examples = finished.examples("train")
    monkeypatch.setattr(Course, "examples", lambda self, split, task=None: examples)
    for stage in ("grpo_grounding", "grpo_reports"):
        with pytest.raises(RunError, match="far enough"):
            stage_work.STAGE_WORK[stage](course)
    assert asked == [False, True]
