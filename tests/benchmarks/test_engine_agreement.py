"""Agreement of two folders of predictions, counted by hand."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from radvlm_course.evaluation.predictions import Prediction, PredictionWriter

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "engine_agreement.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("engine_agreement", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def folder(path: Path, texts: dict[str, str], **settings: object) -> Path:
    with PredictionWriter(path / "predictions.jsonl") as writer:
        for name, text in texts.items():
            writer.write(Prediction(name, text, text, "m", {}, "stop" if text else "length"))
    (path / "settings.json").write_text(
        json.dumps({"generation": settings, "changeable": {"batch_size": len(path.name)}})
    )
    return path


def test_equal_answers_and_the_settings_that_differ_are_counted(script: ModuleType, tmp_path: Path) -> None:
    one = folder(tmp_path / "one", {"a": "abcd", "b": "xy", "c": "", "d": "same"}, engine="transformers", seed=0)
    other = folder(tmp_path / "other", {"d": "same", "a": "abxx", "b": "xyz", "c": ""}, engine="vllm", seed=0)
    # a agrees on 2 of 4 characters, b on 2 of 3, c and d wholly: (1/2 + 2/3 + 1 + 1) / 4
    assert script.agreement(one, other) == (
        "| | |\n| --- | ---: |\n| examples | 4 |\n| equal: completion | 2 |\n| equal: response | 2 |\n"
        "| equal: finish_reason | 4 |\n| mean share of equal characters before the first other one | 0.792 |\n\n"
        "- generation.engine: transformers | vllm"
    )


def test_folders_of_other_examples_are_refused(script: ModuleType, tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one", {"a": ""}), folder(tmp_path / "other", {"b": ""})
    with pytest.raises(ValueError, match="2 are in one of the folders only"):
        script.agreement(one, other)


def test_the_command_prints_the_table(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = folder(tmp_path / "one", {"a": "x"}), folder(tmp_path / "two", {"a": "x"})
    monkeypatch.setattr(sys, "argv", ["engine_agreement.py", str(one), str(other)])
    script.main()
    assert "| equal: completion | 1 |" in capsys.readouterr().out
