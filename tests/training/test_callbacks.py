from types import SimpleNamespace

from radvlm_course.runs import read_metrics
from radvlm_course.training.callbacks import MetricsFile


def log(callback, step, logs, main=True):
    callback.on_log(None, SimpleNamespace(global_step=step, is_world_process_zero=main), None, logs=logs)


def test_logged_steps_are_appended_and_the_closing_summary_is_not(tmp_path):
    callback = MetricsFile(tmp_path)
    log(callback, 1, {"loss": 2.0})
    log(callback, 2, {"loss": 1.0})
    log(callback, 2, {"train_runtime": 9.0, "train_loss": 1.5})
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]


def test_only_the_main_process_writes(tmp_path):
    log(MetricsFile(tmp_path), 1, {"loss": 2.0}, main=False)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_training_prints_no_line_for_each_step_and_no_bar_when_disabled(loaded, grounding_examples, tmp_path, capfd):
    from radvlm_course.training.sft import run_sft

    options = {"max_steps": 2, "logging_steps": 1, "save_strategy": "no", "use_cpu": True, "bf16": False}
    options |= {"gradient_checkpointing": False, "per_device_train_batch_size": 2, "disable_tqdm": True}
    capfd.readouterr()
    run_sft(*loaded, grounding_examples, tmp_path, options, seed=0)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "it/s" not in captured.err


def test_the_bar_shows_the_latest_loss(loaded, grounding_examples, tmp_path, capfd):
    from radvlm_course.training.sft import run_sft

    options = {"max_steps": 2, "logging_steps": 1, "save_strategy": "no", "use_cpu": True, "bf16": False}
    options |= {"gradient_checkpointing": False, "per_device_train_batch_size": 2, "disable_tqdm": False}
    capfd.readouterr()
    run_sft(*loaded, grounding_examples, tmp_path, options, seed=0)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "loss=" in captured.err
