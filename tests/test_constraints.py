"""The pinned sets agree with what the package asks for, and with each other. Only an index can say if they resolve."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def pins(name):
    """Package -> version, of a file and of the files that it takes in."""
    found = {}
    for line in (ROOT / "constraints" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-c "):
            found |= pins(line.removeprefix("-c ").strip())
        elif line.strip() and not line.startswith("#"):
            package, version = line.split("==")
            assert canonicalize_name(package) not in found, f"{name}: {package} is pinned twice"
            found[canonicalize_name(package)] = version.strip()
    return found


def wanted(*extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("cpu.txt", ("notebooks", "dev", "metrics", "data", "gpu")),
        ("gpu.txt", ("notebooks", "dev", "metrics", "data", "gpu", "unsloth")),
        ("vllm.txt", ("notebooks", "dev", "metrics", "data", "gpu")),
    ],
)
def test_every_requirement_is_pinned_to_a_version_that_it_allows(name, extras):
    found = pins(name)
    for requirement in wanted(*extras):
        package = canonicalize_name(requirement.name)
        assert package in found, f"{package} is not pinned in {name}"
        assert requirement.specifier.contains(found[package], prereleases=True), f"{package}=={found[package]}"


def test_torchvision_is_in_no_set_for_a_cpu():
    assert "torchvision" not in pins("cpu.txt") | pins("verl.txt")
    assert pins("gpu.txt")["torchvision"].split(".")[1] == "28"  # belongs to torch 2.13
    assert pins("gpu.txt")["torch"] == pins("vllm.txt")["torch"] == pins("cpu.txt")["torch"]


def test_verls_set_pins_everything_that_the_makefile_installs():
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    (wanted_by_checks,) = (line.split(":=")[1].split() for line in lines if line.startswith("VERL_PACKAGES"))
    found = pins("verl.txt")
    assert {canonicalize_name(name) for name in wanted_by_checks} <= set(found)
    assert found["verl"] == "0.9.1" and found["torch"] == pins("cpu.txt")["torch"]
    major, minor = map(int, found["transformers"].split(".")[:2])  # what verl 0.9.1 allows
    assert (5, 5) <= (major, minor) < (5, 11)


def test_vllm_is_one_that_the_pinned_trl_allows():
    from importlib.metadata import requires

    (line,) = [line for line in requires("trl") if line.startswith("vllm") and "'vllm'" in line.replace('"', "'")]
    assert Requirement(line).specifier.contains(pins("vllm.txt")["vllm"])
