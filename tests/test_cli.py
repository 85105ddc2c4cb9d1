import subprocess
import sys

import pytest

from radvlm_course.cli import STAGE_HELP, build_parser, main


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_help_lists_every_stage(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in [*STAGE_HELP, "run", "doctor"])


def test_help_and_the_package_import_no_torch():
    code = (
        "import sys, radvlm_course, radvlm_course.cli as cli, radvlm_course.stages, radvlm_course.instructions, "
        "radvlm_course.sources, radvlm_course.rewards\n"
        "cli.build_parser()\n"
        "sys.exit('torch' in sys.modules)"
    )
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_an_unknown_profile_ends_with_a_reason_not_a_traceback(capsys, tmp_path):
    assert main(["curate", "--profile", "no-such-profile", "--runs-root", str(tmp_path)]) == 1
    assert "no-such-profile" in capsys.readouterr().err


def test_an_unknown_setting_ends_with_its_name(capsys, tmp_path):
    assert main(["sft", "--set", "sft.trainer.lerning_rate=1", "--runs-root", str(tmp_path)]) == 1
    assert "lerning_rate" in capsys.readouterr().err


def test_another_source_needs_its_root(capsys, tmp_path):
    assert main(["run", "--source", "nih_chestxray14", "--runs-root", str(tmp_path)]) == 1
    assert "--root" in capsys.readouterr().err


def test_a_run_folder_of_other_settings_is_refused(capsys, tmp_path):
    from radvlm_course.stages import open_course

    open_course("laptop", "mine", root=tmp_path)
    assert main(["curate", "--run", "mine", "--seed", "77", "--runs-root", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "other settings" in message
    assert "seed" in message


def test_ctrl_c_says_that_the_same_command_goes_on(capsys, tmp_path, monkeypatch):
    import radvlm_course.stages as stages

    def interrupted(course):
        raise KeyboardInterrupt

    monkeypatch.setitem(stages.STAGE_WORK, "curate", interrupted)
    assert main(["curate", "--runs-root", str(tmp_path)]) == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_ctrl_c_ends_the_reward_service_without_naming_a_run(monkeypatch, capsys):
    from radvlm_course.rewards.service import command

    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    assert main(["serve-rewards", "--rewards", "gleu"]) == 130
    assert "no training run was touched" in capsys.readouterr().err


def test_evaluate_is_a_stage_and_has_commands_of_its_own(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--run RUN" in text and "predict | score | table" in text
    options = build_parser().parse_args(["evaluate", "--run", "mine", "--set", "a=1"])
    assert (options.command, options.evaluate_command, options.run, options.set) == ("evaluate", None, "mine", ["a=1"])
    options = build_parser().parse_args(["evaluate", "table", "--table", "1"])
    assert (options.evaluate_command, options.table, options.run) == ("table", 1, "course")


def test_options_of_the_stage_before_a_command_of_evaluate_are_refused(capsys):
    assert main(["evaluate", "--profile", "mine", "--seed", "1", "table", "--table", "1"]) == 1
    message = "--profile mine --seed 1: an option of the stage evaluate: options of evaluate table stand after table"
    assert message in capsys.readouterr().err


def test_every_stage_keeps_its_defaults(capsys):
    for name in [*STAGE_HELP, "run"]:
        options = build_parser().parse_args([name])
        found = (options.profile, options.run, options.runs_root, options.seed, options.set, options.quiet)
        assert found == ("laptop", "course", "runs", None, [], False)


def test_ctrl_c_in_a_command_of_evaluate_names_no_run(monkeypatch, capsys):
    from radvlm_course.evaluation import command

    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    assert main(["evaluate", "table", "--table", "1"]) == 130
    message = capsys.readouterr().err
    assert "the same command goes on from there" in message and "run " not in message


def test_the_profiles_are_shown_side_by_side_and_one_with_its_reasons(capsys):
    assert main(["profiles"]) == 0
    table = capsys.readouterr().out
    assert [line.split("|")[1].strip(" `") for line in table.splitlines()[2:] if line] == [
        "laptop",
        "gpu-12gb",
        "gpu-16gb",
        "gpu-24gb",
        "gpu-80gb",
        "multi-gpu",
        "paper",
    ]
    assert main(["profiles", "gpu-24gb"]) == 0
    assert "| grpo_*.trainer.learning_rate | 1e-05 | 1e-06 | an adapter wants" in capsys.readouterr().out
    assert main(["profiles", "nothing"]) == 1


def test_a_profile_that_cannot_run_here_is_refused_before_a_run_folder_is_made(capsys, tmp_path, monkeypatch):
    from radvlm_course.machine import Machine

    monkeypatch.delenv("RADVLM_COURSE_DOWNLOAD", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("radvlm_course.readiness.quick_look", lambda: Machine(7.6, 50))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--profile", "gpu-24gb", "--runs-root", "runs"]) == 1
    message = capsys.readouterr().err
    assert "it needs 1 GPU of 24 GB, and this machine has none" in message
    assert "the weights of Qwen/Qwen3-VL-8B-Instruct (17.5 GB) are not on this machine" in message
    assert "the mixture 'open_data' needs a folder with each of its datasets" in message
    assert not (tmp_path / "runs").exists()


def test_merge_writes_a_plain_model_and_refuses_what_is_no_adapter(tiny_folder, adapter_settings, tmp_path, capsys):
    from radvlm_course.models.adapters import save_trained
    from radvlm_course.models.loading import load_for_training

    loaded = load_for_training(tiny_folder, adapter_settings(tiny_folder))
    save_trained(loaded.model, tmp_path / "adapter")
    arguments = ["merge", "--output", str(tmp_path / "merged"), "--model"]
    assert main([*arguments, str(tmp_path / "adapter")]) == 0
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    assert main([*arguments, str(tiny_folder)]) == 1
    assert "holds no adapter" in capsys.readouterr().err


def settings(overrides):
    return [word for key, value in overrides.items() for word in ("--set", f"{key}={value}".replace("None", "null"))]


@pytest.fixture(scope="module")
def launched(several, small_course, tmp_path_factory):
    """The whole method in two processes: (the run's folder, what it printed, the words of the command)."""
    root = tmp_path_factory.mktemp("launched")
    changes = {**small_course, "curate.root": str(root / "data"), "side_by_side": True}
    changes |= {"sft.trainer.per_device_train_batch_size": 2, "cold_start.trainer.per_device_train_batch_size": 2}
    words = ["run", "--profile", "laptop", "--run", "two", "--runs-root", root / "runs", "--quiet", *settings(changes)]
    done = several.launch("-m", "radvlm_course", *words)
    assert done.status == 0, done.errors[-3000:]
    return root / "runs" / "two", done.output, words


@pytest.mark.slow
def test_two_processes_run_the_whole_method_and_one_of_them_writes_and_prints(launched):
    from radvlm_course.models.loading import load_model
    from radvlm_course.runs import read_metrics, read_rollouts

    folder, output, _ = launched
    for stage, steps in {"sft": 6, "cold_start": 3, "grpo_grounding": 2, "grpo_reports": 2}.items():
        assert (folder / stage / "done.json").exists()
        assert [row["step"] for row in read_metrics(folder / stage)] == list(range(1, steps + 1))
        assert len((folder / stage / "metrics.jsonl").read_text().splitlines()) == steps
        assert load_model(folder / stage / "model").model.num_parameters() > 0
        assert output.count(f"\n{stage:<15} ") == 1
    assert len(read_rollouts(folder / "grpo_reports")) == 2 * 2 * 2  # of both processes
    assert (folder / "sft_early" / "done.json").exists()
    assert not list(folder.glob("*/output.log"))  # no stage in a process beside
    assert output.count("Paired differences") == 1


@pytest.mark.slow
def test_a_finished_run_is_not_repeated_by_several_processes(launched, several):
    folder, _, words = launched
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = several.launch("-m", "radvlm_course", *words)
    assert again.status == 0 and again.output.count("Paired differences") == 1
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_refusal_is_said_once_and_ends_all_processes(launched, several):
    refused = several.launch("-m", "radvlm_course", *launched[2], "--seed", "7")
    assert refused.status != 0
    assert refused.errors.count("made with other settings (seed: 0 there, 7 now)") == 1


def test_what_is_no_stage_is_refused_under_a_launcher(capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert main(["merge", "--model", "a", "--output", "b"]) == 1
    assert "merge runs in one process: start it without a launcher" in capsys.readouterr().err
    assert main(["evaluate", "table", "--table", "1"]) == 1
    monkeypatch.setenv("RANK", "1")
    assert main(["doctor"]) == 1
    assert "doctor" not in capsys.readouterr().err
