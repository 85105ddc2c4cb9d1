"""The whole method in small: every stage on a few phantoms, by the code that every tier runs."""

import json

import pytest

from radvlm_course.runs import RunError, read_metrics, read_rollouts
from radvlm_course.stages import STAGE_ORDER, open_course

OVERRIDES = {
    "model.image_size": 40,
    "model.max_pixels": 1600,
    "model.tiny.patch_size": 10,
    "model.tiny.vision_hidden_size": 32,
    "model.tiny.text_hidden_size": 32,
    "model.tiny.vision_heads": 2,
    "curate.patients": {"train": 14, "validation": 2, "test": 4},
    "curate.image_size": 40,
    "curate.workers": 1,
    "vision_pretraining.steps": 4,
    "vision_pretraining.batch_size": 4,
    "sft.trainer.max_steps": 6,
    "sft.trainer.save_steps": 3,
    "sft.early_step": 3,
    "sft.trainer.logging_steps": 1,
    "sft.trainer.per_device_train_batch_size": 4,
    "evaluate.max_new_tokens": 12,
    "evaluate.max_examples": 6,
} | {
    f"{stage}.{key}": value
    for stage in ("grpo_grounding", "grpo_reports")
    for key, value in {
        "prompts_per_step": 2,
        "trainer.num_generations": 2,
        "trainer.max_steps": 2,
        "trainer.max_completion_length": 12,
    }.items()
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    overrides = {**OVERRIDES, "curate.root": str(folder / "data")}
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
    for stage in ("base", "sft", "grpo_grounding", "grpo_reports"):
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

    monkeypatch.setitem(stages._STAGES, "sft", lambda course: pytest.fail("ran again"))
    assert finished.ensure("sft") == finished.run.folder / "sft"


def test_a_stage_that_does_not_exist_is_refused_with_the_list(finished):
    with pytest.raises(ValueError, match="curate, base, sft"):
        finished.ensure("cold_start")


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
