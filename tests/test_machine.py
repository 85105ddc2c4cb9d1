"""Examining the machine: packages that are absent, broken, slow or deadly become facts, not crashes."""

import sys
from pathlib import Path

import pytest

from radvlm_course import machine
from radvlm_course.machine import Gpu, Machine, Package, inspect_machine, inspect_packages


def fake_package(folder: Path, name: str, code: str) -> None:
    """A package that pip would list as version 9.9 and whose import runs ``code``."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    information = folder / f"{name}-9.9.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose packages hide the installed ones, here and in the processes started from here."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_broken_package_gives_the_text_of_its_error(folder: Path) -> None:
    fake_package(folder, "peft", "raise ImportError('lib.so: undefined symbol')")
    fake_package(folder, "accelerate", "")
    packages, facts = inspect_packages(["peft", "accelerate"])
    assert [(package.name, package.version, package.error) for package in packages] == [
        ("peft", "9.9", "ImportError: lib.so: undefined symbol"),
        ("accelerate", "9.9", None),
    ]
    assert facts == {}


def test_a_package_that_ends_python_is_named_and_the_rest_is_said_to_be_untried(folder: Path) -> None:
    fake_package(folder, "peft", "import os; os._exit(11)")
    fake_package(folder, "accelerate", "")
    packages, _ = inspect_packages(["peft", "accelerate"])
    assert packages[0].error == "Python ended while importing it"
    assert "not tried" in str(packages[1].error)


def test_a_package_that_never_returns_is_given_up(folder: Path) -> None:
    fake_package(folder, "peft", "import time; time.sleep(60)")
    (package,), _ = inspect_packages(["peft"], timeout=2)
    assert package.error is not None


def test_noise_on_standard_output_does_not_hide_the_answer(folder: Path) -> None:
    fake_package(folder, "peft", "print('hello {'); raise SystemExit(1)")
    (package,), _ = inspect_packages(["peft"])
    assert package.error == "SystemExit: 1"


def test_an_absent_package_is_not_tried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine.STATEMENTS, "no_such_package", "raise RuntimeError('must not run')")
    packages, _ = inspect_packages(["no_such_package"])
    assert packages == [Package("no_such_package", None)]


def test_what_torch_says_of_itself_is_passed_on(folder: Path) -> None:
    code = """
class version: cuda = "13.0"
class cuda:
    device_count = staticmethod(lambda: 1)
    card = type("Card", (), {"name": "A card", "total_memory": 2**34, "major": 7})
    get_device_properties = staticmethod(lambda index: cuda.card)
class backends:
    class mps: is_available = staticmethod(lambda: False)
"""
    fake_package(folder, "torch", code)
    packages, facts = inspect_packages(["torch"])
    assert facts == {"cuda": "13.0", "gpus": [["A card", 16.0, 7]], "mps": False}
    assert packages[0].error is None
    assert not packages[0].is_wanted_version
    assert inspect_machine(folder, facts).gpus == (Gpu("A card", 16.0, has_bfloat16=False),)


def test_a_torch_that_fails_to_look_for_gpus_is_still_reported(folder: Path) -> None:
    fake_package(folder, "torch", "")
    _, facts = inspect_packages(["torch"])
    assert facts["failure"].startswith("AttributeError")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'Some Card, 24564'; echo 'Other, Card, 8192'", [("Some Card", 23.99), ("Other, Card", 8.0)]),
        ("exit 9", []),
        ("echo 'No devices were found'", []),
        ("echo 'Some Card, [N/A]'", []),
    ],
)
def test_the_drivers_tool_is_asked_where_torch_sees_nothing(
    script: str, expected: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = inspect_machine(tmp_path).gpus
    assert [(gpu.name, round(gpu.memory_gb, 2), gpu.usable) for gpu in found] == [(*row, False) for row in expected]


def test_a_quick_look_imports_torch_only_where_there_is_a_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    code = "import sys; from radvlm_course.machine import quick_look; quick_look(); sys.exit('torch' in sys.modules)"
    monkeypatch.setattr(machine, "DRIVER_FILES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.quick_look(tmp_path).gpus == ()
    if not any(Path(path).exists() for path in ("/proc/driver/nvidia/version", "/dev/kfd")):
        environment = {"PATH": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
        assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_a_quick_look_asks_torch_for_the_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    driver = tmp_path / "driver"
    driver.touch()
    monkeypatch.setattr(machine, "DRIVER_FILES", (str(driver),))
    card = type("Card", (), {"name": "A card", "total_memory": 24 * 2**30, "major": 8})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    assert machine.quick_look(tmp_path).gpus == (Gpu("A card", 24.0),)


def test_this_machine_has_memory_and_disk(tmp_path: Path) -> None:
    here = inspect_machine(tmp_path)
    assert isinstance(here, Machine)
    assert here.memory_gb > 0.5
    assert here.disk_gb > 0


def test_version_bounds_are_understood() -> None:
    assert Package("torch", "2.13.0+cpu", ">=2.13,<2.14").is_wanted_version
    assert not Package("trl", "1.15.0", "==1.14.2").is_wanted_version
    assert Package("trl", None, "==1.14.2").is_wanted_version


def test_importing_the_module_imports_no_torch() -> None:
    import subprocess

    code = "import sys, radvlm_course.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
