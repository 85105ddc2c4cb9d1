import json

import pytest

from radvlm_course.runs import Rollout, Run, RunError, append_jsonl, read_metrics, read_rollouts


def write_completions(folder, step, rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "completions").mkdir(exist_ok=True)
    table = [{"step": step, "prompt": "p", **row} for row in rows]
    pq.write_table(pa.Table.from_pylist(table), folder / "completions" / f"completions_{step:05d}.parquet")


def test_a_run_folder_opened_again_with_the_same_settings_is_the_same_run(tmp_path):
    Run("a", {"name": "laptop", "seed": 0}, tmp_path).finish("sft", {"loss": 1.0})
    again = Run("a", {"name": "laptop", "seed": 0}, tmp_path)
    assert again.is_finished("sft")
    assert again.summary("sft") == {"loss": 1.0}


def test_a_run_folder_of_another_profile_is_refused_naming_what_differs(tmp_path):
    Run("a", {"name": "laptop", "sft": {"steps": 5}}, tmp_path)
    with pytest.raises(RunError, match=r"name: 'laptop' there, 'gpu-24gb' now; sft\.steps: 5 there, 9 now"):
        Run("a", {"name": "gpu-24gb", "sft": {"steps": 9}}, tmp_path)


def test_a_stage_begun_with_other_settings_is_refused(tmp_path):
    run = Run("a", {}, tmp_path)
    run.begin("sft", {"steps": 5, "betas": (0.9, 0.98)})
    run.begin("sft", {"steps": 5, "betas": (0.9, 0.98)})
    with pytest.raises(RunError, match="steps: 5 there, 6 now"):
        run.begin("sft", {"steps": 6, "betas": (0.9, 0.98)})


def test_the_model_of_an_unfinished_stage_is_refused_with_the_command_that_makes_it(tmp_path):
    run = Run("mine", {"name": "laptop"}, tmp_path)
    run.begin("sft", {})
    with pytest.raises(RunError, match="python -m radvlm_course sft --profile laptop --run mine"):
        run.model_folder("sft")


def test_a_step_logged_again_after_a_resume_replaces_the_first(tmp_path):
    append_jsonl(tmp_path / "metrics.jsonl", [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}])
    append_jsonl(tmp_path / "metrics.jsonl", [{"step": 2, "loss": 2.5}, {"step": 3, "loss": 1.0}])
    assert [row["loss"] for row in read_metrics(tmp_path)] == [3.0, 2.5, 1.0]


def test_a_broken_metrics_line_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1}) + "\n{oops\n")
    with pytest.raises(RunError, match="line 2"):
        read_metrics(tmp_path)


def test_rollouts_are_read_step_by_step_with_the_weighted_sum_of_their_rewards(tmp_path):
    row = {"completion": "c", "example_id": "e", "soft_f1": 0.5, "gleu": 0.25, "advantage": -1.0}
    write_completions(tmp_path, 2, [row])
    write_completions(tmp_path, 1, [{**row, "completion": "first"}])
    assert read_rollouts(tmp_path, weights={"gleu": 2.0}) == [
        Rollout(1, "e", "first", {"soft_f1": 0.5, "gleu": 0.25}, 1.0, -1.0),
        Rollout(2, "e", "c", {"soft_f1": 0.5, "gleu": 0.25}, 1.0, -1.0),
    ]


def test_missing_metrics_and_rollouts_say_that_the_stage_has_not_run(tmp_path):
    with pytest.raises(RunError, match="has not been run"):
        read_metrics(tmp_path)
    with pytest.raises(RunError, match="has not been run"):
        read_rollouts(tmp_path)


def test_a_line_cut_short_by_a_kill_is_not_read_and_the_next_append_removes_it(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "lo')
    assert read_metrics(tmp_path) == [{"step": 1}]
    append_jsonl(tmp_path / "metrics.jsonl", [{"step": 2}])
    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize("name", ["", "../elsewhere", "a/b", ".hidden"])
def test_a_run_name_that_is_no_folder_name_is_refused(tmp_path, name):
    with pytest.raises(RunError, match="a run's name"):
        Run(name, {}, tmp_path)


def test_rollouts_written_again_at_the_next_update_of_one_generation_are_given_once(tmp_path):
    row = {"completion": "c", "example_id": "e", "gleu": 0.25, "advantage": 0.5}
    write_completions(tmp_path, 1, [row])
    write_completions(tmp_path, 2, [row])
    write_completions(tmp_path, 3, [{**row, "completion": "d"}])
    assert [rollout.step for rollout in read_rollouts(tmp_path)] == [1, 3]
