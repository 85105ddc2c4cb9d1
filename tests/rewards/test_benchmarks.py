"""The scripts that measure rewards run, on little, and print what their documentation says."""

import importlib.util
import sys
from pathlib import Path

import pytest

from radvlm_course.rewards import get_reward
from radvlm_course.runs import append_jsonl

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(name: str):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]


def test_a_batch_is_groups_of_reports_of_the_length_asked_for() -> None:
    completions, examples = script("reward_throughput").make_batch(6, 8, 85)
    assert [example.id for example in examples] == [f"e{number}" for number in range(6) for _ in range(8)]
    assert all(50 < len(text.split()) < 130 for text in completions)
    assert len(set(completions)) > 40


def test_plain_ours_and_the_limit_are_timed_for_every_reward(metric_weights_folder, tmp_path, capsys) -> None:
    (tmp_path / "tiny").symlink_to(metric_weights_folder)
    size = ["--references", "2", "--rollouts", "3", "--words", "20", "--plain-pairs", "2"]
    script("reward_throughput").main(
        ["--regimes", "tiny", "--weights", str(tmp_path), "--dtype", "bfloat16", "--clock", "cpu", *size]
    )
    head, *table = rows(capsys.readouterr().out)
    names = ["radgraph", "chexbert", "bertscore", "radcliq"]
    assert [row[0] for row in table] == [*names, "reward", *names]
    for row in table[:4]:
        plain, ours, times, limit = map(float, row[1:5])
        assert times == pytest.approx(ours / plain, rel=0.2, abs=0.02)
        assert float(row[5].removesuffix("%")) == pytest.approx(100 * times / limit, rel=0.05, abs=1)
    assert head[-1] == "share of the limit"
    errors = {name: (float(mean), float(most)) for name, mean, most in table[5:]}
    assert all(0 <= mean <= most for mean, most in errors.values())
    assert 0 < errors["bertscore"][1] < 0.1


def test_the_reward_of_a_step_is_timed_beside_the_steps_of_a_run(tmp_path, capsys) -> None:
    for stage in ("grpo_reports", "grpo_grounding"):
        (tmp_path / stage).mkdir()
        append_jsonl(tmp_path / stage / "metrics.jsonl", [{"step": n, "step_time": 2.0} for n in (1, 2, 3)])
    script("reward_step").main(["--steps", "1", "--run", str(tmp_path)])
    table = rows(capsys.readouterr().out)[1:]
    assert [row[:3] for row in table][::4] == [["grpo_reports", "gleu", "128"], ["grpo_grounding", "soft_f1", "128"]]
    for row in table:
        assert float(row[5].strip("%")) == pytest.approx(100 * float(row[3]) / 2000, abs=0.02)


@pytest.mark.parametrize("stage", ["grpo_reports", "grpo_grounding"])
def test_a_step_has_groups_about_one_example_each_that_differ(stage) -> None:
    completions, examples = script("reward_step").step_of(stage, 1, prompts=4, group=8)
    assert [example.id for example in examples[::8]] == list(dict.fromkeys(example.id for example in examples))
    assert len(completions) == len(examples) == 32 and len(set(completions)) > 8
    reward = get_reward("gleu" if stage == "grpo_reports" else "soft_f1")
    assert len(set(reward(completions, examples))) > 4


def test_a_run_without_steps_is_named(tmp_path) -> None:
    (tmp_path / "grpo_reports").mkdir()
    append_jsonl(tmp_path / "grpo_reports" / "metrics.jsonl", [{"step": 1}])
    with pytest.raises(SystemExit, match=r"step_time in .*metrics\.jsonl, found none"):
        script("reward_step").seconds_of_a_step(tmp_path, "grpo_reports")
