"""The doctor: verdicts on made-up machines, advice with commands, and a real report."""

import dataclasses

import pytest

from radvlm_course.doctor import _tier_lines, advise, launch_command, load_tiers, report, shortfalls
from radvlm_course.machine import Gpu, Machine, Package
from radvlm_course.profiles import available_profiles, load_profile

LAPTOP = Machine(memory_gb=7.6, disk_gb=50)
CPU_TORCH = {"cuda": None, "gpus": [], "mps": False}
CUDA_TORCH = {"cuda": "13.0", "gpus": [["A card", 23.6]], "mps": False}


def fitting(machine: Machine) -> list[str]:
    return [tier.name for tier in load_tiers() if not shortfalls(tier, machine)]


def test_the_tiers_are_those_of_the_course() -> None:
    names = [tier.name for tier in load_tiers()]
    assert names == ["laptop", "gpu-12gb", "gpu-16gb", "gpu-24gb", "gpu-80gb", "multi-gpu", "paper"]


@pytest.mark.parametrize("name", available_profiles())
def test_a_profile_and_its_tier_need_the_same(name: str) -> None:
    (tier,) = [tier for tier in load_tiers() if tier.name == name]
    assert tier.requires == load_profile(name).requires


def test_a_laptop_fits_the_laptop_tier_alone() -> None:
    assert fitting(LAPTOP) == ["laptop"]


def test_a_card_that_shows_a_little_less_than_its_name_fits() -> None:
    machine = Machine(memory_gb=62, disk_gb=500, gpus=(Gpu("A card", 23.6),))
    assert fitting(machine) == ["laptop", "gpu-12gb", "gpu-16gb", "gpu-24gb"]


def test_a_tier_of_many_cards_counts_them() -> None:
    machine = Machine(memory_gb=2000, disk_gb=9000, gpus=(Gpu("A card", 79.2),) * 8)
    assert fitting(machine)[-1] == "multi-gpu"
    (paper,) = [tier for tier in load_tiers() if tier.name == "paper"]
    assert shortfalls(paper, machine) == ["32 GPUs of 96 GB"]


def test_everything_that_is_lacking_is_named() -> None:
    tier = load_tiers()[1]
    assert shortfalls(tier, Machine(memory_gb=4, disk_gb=1)) == [
        "12 GB of memory",
        "60 GB of free disk",
        "1 GPU of 12 GB",
    ]


def test_a_machine_in_order_needs_no_advice() -> None:
    packages = [Package("torch", "2.13.0+cpu", "<2.14,>=2.13"), Package("torchvision", None), Package("unsloth", None)]
    assert advise(packages, LAPTOP, CPU_TORCH) == []


def test_torchvision_beside_a_cpu_torch_is_named_with_the_command_that_removes_it() -> None:
    package = Package("torchvision", "0.28.0", "==0.28.0", "RuntimeError: operator torchvision::nms does not exist")
    (line,) = advise([package], LAPTOP, CPU_TORCH)
    assert "python -m pip uninstall -y torchvision" in line
    assert advise([dataclasses.replace(package, error=None)], LAPTOP, CUDA_TORCH) == []


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        (Package("trl", None, "==1.14.2"), "trl is missing: python -m pip install -c constraints/cpu.txt"),
        (Package("trl", "1.15.0", "==1.14.2"), "trl 1.15.0 was not tested with the course, which wants ==1.14.2"),
        (
            Package("torch", "2.13.0", "", "OSError: libgomp.so.1:\n not found"),
            "torch does not import (OSError: libgomp",
        ),
        (Package("jupyterlab", None, ">=4.4"), '-e ".[notebooks]"'),
    ],
)
def test_what_is_missing_broken_or_of_another_version_comes_with_a_command(package: Package, expected: str) -> None:
    (line,) = advise([package], LAPTOP, CPU_TORCH)
    assert expected in line
    assert "\n" not in line


def test_gpu_packages_are_advised_only_where_there_is_a_gpu() -> None:
    package = Package("bitsandbytes", None, "==0.50.2")
    assert advise([package], LAPTOP, CPU_TORCH) == []
    machine = dataclasses.replace(LAPTOP, gpus=(Gpu("A card", 24),))
    (line,) = advise([package], machine, CUDA_TORCH)
    assert '-e ".[gpu]"' in line


def test_a_gpu_that_torch_cannot_use_is_pointed_out() -> None:
    machine = dataclasses.replace(LAPTOP, gpus=(Gpu("A card", 24, usable=False),))
    (line,) = advise([], machine, CPU_TORCH)
    assert "torch cannot use" in line


def test_every_tier_has_a_profile_and_a_launch_command_that_the_command_line_reads() -> None:
    from radvlm_course.cli import build_parser

    assert sorted(tier.name for tier in load_tiers()) == available_profiles()
    for tier in load_tiers():
        program, found, arguments = launch_command(tier.name).partition("-m radvlm_course ")
        assert found
        assert program.startswith("accelerate launch" if tier.requires.gpus > 1 else "python")
        options = build_parser().parse_args(arguments.split())
        assert (options.command, options.profile) == ("run", tier.name)


@pytest.mark.parametrize(
    ("machine", "profile"),
    [(LAPTOP, "laptop"), (Machine(64, 500, (Gpu("A card", 23.6),)), "gpu-24gb")],
)
def test_the_doctor_names_the_profile_that_fits_and_its_command(machine: Machine, profile: str) -> None:
    text = "\n".join(_tier_lines(machine, []))
    assert f"For this machine: {profile} (" in text
    assert f"make course PROFILE={profile}" in text
    assert f"python -m radvlm_course run --profile {profile}" in text


@pytest.mark.slow
def test_the_report_covers_machine_packages_tiers_and_advice(tmp_path) -> None:
    text = report(tmp_path)
    for part in ("Python ", "free disk", "torchvision", "unsloth", "bitsandbytes", "gpu-80gb", "What to do"):
        assert part in text
    assert "\nTiers\n" in text
    assert "For this machine: " in text
