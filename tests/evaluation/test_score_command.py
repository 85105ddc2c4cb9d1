"""The command: two models scored, compared and written; wrong input refused with a reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from radvlm_course.boxes import Box, format_box
from radvlm_course.evaluation.score import load_scores
from radvlm_course.evaluation.score_command import main
from radvlm_course.records import Example

BOX, FAR = Box(0.1, 0.1, 0.4, 0.4), Box(0.6, 0.6, 0.9, 0.9)
EXAMPLES = [
    Example(f"g{i}", "phrase_grounding", "a.png", "q", "a", (BOX,), source="phantom", patient_id=f"p{i}")
    for i in range(12)
] + [Example(f"r{i}", "report_generation", "a.png", "q", "No effusion.", patient_id=f"p{i}") for i in range(6)]


def responses(right: int) -> list[str]:
    return [format_box(BOX if i < right else FAR) for i in range(12)] + ["Small effusion."] * 6


def test_two_models_are_scored_compared_and_written(
    written: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples, sft = written(EXAMPLES, responses(2), "sft")
    _, grpo = written(EXAMPLES, responses(12), "grpo")
    options = ["--examples", str(examples), "--predictions", str(sft), str(grpo), "--output", str(tmp_path / "scores")]
    assert main([*options, "--reference", "sft", "--test-metrics", "soft_f1", "gleu", "--resamples", "100"]) == 0
    printed = capsys.readouterr().out
    assert "| grpo | 12 |" in printed
    assert "map50_paper" in printed or "mAP@0.5 (paper-compatible)" in printed
    assert "COCO mAP@0.5 by made-up ranking: as_written 1.000, worst 1.000, best 1.000 (n 12)" in printed
    assert "1 of 4 differences hold after Holm's correction" in printed or "1 of 2 differences hold" in printed
    loaded = load_scores(tmp_path / "scores" / "grpo")
    assert loaded.tasks["phrase_grounding"]["soft_f1"].value == 1.0
    assert loaded.tasks["report_generation"]["observation_f1_micro"].value == 0.0
    compared = json.loads((tmp_path / "scores" / "comparisons.json").read_text())
    soft_f1 = next(item for item in compared if item["metric"] == "soft_f1")
    assert (soft_f1["model"], soft_f1["n"], soft_f1["patients"]) == ("grpo", 12, 12)
    assert soft_f1["value"] == pytest.approx(10 / 12, abs=1e-6)
    assert soft_f1["p_corrected"] < 0.05


def test_scores_are_equal_to_the_byte_from_one_run_to_the_next(written: Any, tmp_path: Path) -> None:
    examples, path = written(EXAMPLES, responses(5))
    for name in ("one", "two"):
        options = ["--examples", str(examples), "--predictions", str(path), "--output", str(tmp_path / name)]
        assert main([*options, "--resamples", "50"]) == 0
    for name in ("scores.json", "per_example.jsonl"):
        assert (tmp_path / "one" / "m" / name).read_bytes() == (tmp_path / "two" / "m" / name).read_bytes()


def test_metrics_with_weights_are_added_where_the_weights_are(
    written: Any, tmp_path: Path, metric_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples, path = written(EXAMPLES, responses(5))
    options = ["--examples", str(examples), "--predictions", str(path), "--output", str(tmp_path / "s"), "--no-coco"]
    assert main([*options, "--report-metrics", "present", "--device", "cpu", "--resamples", "10"]) == 0
    assert "left out" not in capsys.readouterr().out
    metrics = load_scores(tmp_path / "s" / "m").tasks["report_generation"]
    assert {"bertscore", "radcliq", "radcliq_paper", "radgraph_complete", "chexbert_5_macro"} <= set(metrics)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--judgements", "green"], "expected NAME=FILE"),
        (["--reference", "other"], "expected the reference among m"),
        (["--judgements", "green=nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_wrong_options_are_refused(
    written: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    examples, path = written(EXAMPLES, responses(5))
    options = ["--examples", str(examples), "--predictions", str(path), "--output", str(tmp_path / "s"), "--no-coco"]
    assert main([*options, "--resamples", "5", *more]) == 1
    assert message in capsys.readouterr().err


def test_a_broken_line_is_named(written: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples, path = written(EXAMPLES, responses(5))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{}\n", *lines[4:]]))
    assert main(["--examples", str(examples), "--predictions", str(path), "--output", str(tmp_path / "s")]) == 1
    assert "m.jsonl, line 4: expected the fields" in capsys.readouterr().err
