"""The tables that the benchmark of the readers writes are read to the last row."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "reading.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reading_benchmark", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reading_benchmark"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "films"), [("mimic_cxr", 754), ("chest_imagenome", 24), ("chexpert", 449), ("chexpert_plus", 447)]
)
def test_every_row_of_a_dataset_is_read_and_none_left_out(
    benchmark: ModuleType, tmp_path: Path, name: str, films: int
) -> None:
    write, _ = benchmark.DATASETS[name]
    write(tmp_path, 0.002)
    found = benchmark.read_all(name, str(tmp_path))
    assert (found.films, found.left_out) == (films, 0)
    assert found.seconds > 0 and found.cpu_seconds > 0 and found.peak_memory > 1e6


def test_the_command_prints_a_row_for_a_dataset() -> None:
    command = [sys.executable, str(SCRIPT), "--scale", "0.001", "--datasets", "chexpert"]
    here = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=here).stdout
    assert "| chexpert | 225 | 0 | " in shown
