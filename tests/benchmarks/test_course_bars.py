"""The bars of the course, on a run made by hand: each claim is measured as it says, and a missed one fails."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from radvlm_course.boxes import Box
from radvlm_course.evaluation.predictions import Prediction, PredictionWriter, read_predictions
from radvlm_course.evaluation.score import score
from radvlm_course.records import Example

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "course_bars.py"
EXACT, FAR = "[0.20, 0.20, 0.60, 0.60]", "[0.70, 0.70, 0.90, 0.90]"
REPORT, OTHER = "Severe cardiomegaly. The lungs are clear.", "The heart size is normal. Small right pneumothorax."
BOX = Box(0.2, 0.2, 0.6, 0.6)
EXAMPLES = [
    Example(f"g{n}", "abnormality_grounding", "a.png", "Where?", EXACT, (BOX,), ("nodule",), "phantom", f"p{n}")
    for n in range(10)
] + [Example(f"r{n}", "report_generation", "a.png", "?", REPORT, (), (), "phantom", f"p{n}") for n in range(10)]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("course_bars", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["course_bars"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def write_model(run: Path, name: str, right: int, thinking: bool = False, tagged: int = 0) -> None:
    """A model that answers the first ``right`` examples of each task rightly; ``tagged`` of its answers have tags."""
    file = run / "evaluate" / "predictions" / f"{name}.jsonl"
    file.unlink(missing_ok=True)
    with PredictionWriter(file) as writer:
        for number, example in enumerate(EXAMPLES):
            good = int(example.id[1:]) < right
            answer = (EXACT if good else FAR) if example.id[0] == "g" else (REPORT if good else OTHER)
            text = f"<think>Look.</think> {answer}" if number < tagged else answer
            writer.write(Prediction.from_completion(example.id, text, name, thinking=thinking))
    score(EXAMPLES, read_predictions(file), resamples=50).write(run / "evaluate" / "scores" / name)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name, right in (("prior_mean_box", 1), ("prior_commonest_side", 2), ("sft_early", 5), ("sft", 10)):
        write_model(tmp_path, name, right)
    for name in ("grpo_grounding", "grpo_reports"):
        write_model(tmp_path, name, 9)
    write_model(tmp_path, "cold_start", 5)
    write_model(tmp_path, "cold_start_thinking", 5, thinking=True, tagged=20)
    return tmp_path


def test_every_claim_is_measured_from_what_the_run_left(script: ModuleType, run: Path) -> None:
    found = {bar.claim: bar for bar in script.bars(run)}
    above = found["SFT: mAP@0.5 above the stronger prior"].measured
    assert above == pytest.approx(1 - 0.2 * 0.2)  # of ten boxes two are right: precision times recall
    assert found["SFT: finding F1 of reports"].measured == pytest.approx(1.0)
    assert found["cold_start_thinking: answers that keep to the mode (n = 20)"].measured == 1.0
    assert found["cold_start: answers that keep to the mode (n = 20)"].measured == 1.0
    assert found["cold_start, asked directly: change of soft_f1"].measured == 0.0
    assert found["grpo_grounding: lower end of the gain in soft_f1"].measured > 0
    assert all(bar.met for bar in found.values())


def test_a_missed_claim_fails_and_is_named(
    script: ModuleType, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(run, "cold_start_thinking", 5, thinking=True, tagged=18)
    monkeypatch.setattr(sys, "argv", ["course_bars.py", str(run)])
    with pytest.raises(SystemExit, match=r"1 of the required claims are not met: cold_start_thinking: answers"):
        script.main()
    assert "MISSED +0.900 (at least +0.950)  cold_start_thinking" in capsys.readouterr().out


def test_a_gain_of_grpo_that_is_not_shown_is_told_but_does_not_fail(
    script: ModuleType, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(run, "grpo_reports", 4)
    monkeypatch.setattr(sys, "argv", ["course_bars.py", str(run)])
    script.main()
    assert "MISSED" in capsys.readouterr().out
