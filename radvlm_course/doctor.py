"""The doctor: what this machine has, what each tier needs, what is missing and the command that adds it.

Not covered: whether a training run would fit; the tiers' numbers say what they are based on.
"""

from __future__ import annotations

import itertools
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from radvlm_course.choice import choose_profile, lacking
from radvlm_course.machine import DISTRIBUTION, Machine, Package, inspect_machine, inspect_packages, installed_version
from radvlm_course.profiles import Requirements
from radvlm_course.settings import build_settings, load_yaml

__all__ = ["Tier", "advise", "launch_command", "load_tiers", "report", "shortfalls"]

# Packages that the laptop tier does without, and the extra that brings each.
OPTIONAL = {"jupyterlab": "notebooks", "bitsandbytes": "gpu", "unsloth": "unsloth"}
INSTALL = 'python -m pip install -c constraints/{constraints}.txt -e ".[{extras}]"'


@dataclass(frozen=True)
class Tier:
    """What a tier needs; ``software``: packages beyond the base."""

    name: str
    model: str
    data: str
    time: str
    requires: Requirements
    software: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _TierFile:
    tiers: list[Tier]


def load_tiers() -> list[Tier]:
    """All tiers, smallest first, from ``configs/tiers.yaml``."""
    path = Path(str(resources.files("radvlm_course") / "configs" / "tiers.yaml"))
    return build_settings(_TierFile, load_yaml(path), path.name).tiers


def shortfalls(tier: Tier, machine: Machine) -> list[str]:
    """What the machine lacks for a tier, in words; empty if it fits."""
    return lacking(tier.requires, machine)


def report(folder: str | os.PathLike[str] = ".") -> str:
    """The whole examination as text, ready to print; takes some ten seconds, most of it imports."""
    packages, torch_facts = inspect_packages()
    machine = inspect_machine(folder, torch_facts)
    advice = advise(packages, machine, torch_facts)
    sections = {
        "This machine": _machine_lines(machine, torch_facts),
        "Packages": [_package_line(package) for package in packages],
        "Tiers": _tier_lines(machine, packages),
        "What to do": [f"- {line}" for line in advice] or ["nothing: everything that the laptop tier needs is here"],
    }
    return "\n\n".join("\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in sections.items())


def launch_command(profile: str) -> str:
    """The command at the top of a profile's file, on one line."""
    path = Path(str(resources.files("radvlm_course") / "configs" / "profiles" / f"{profile}.yaml"))
    comments = itertools.takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    indented = [line[6:] for line in comments if line.startswith("#     ")]
    end = next(n for n, line in enumerate(indented) if not line.endswith("\\"))
    return " ".join(line.rstrip("\\").strip() for line in indented[: end + 1])


def _machine_lines(machine: Machine, torch_facts: Mapping[str, Any]) -> list[str]:
    build = f"CUDA {torch_facts['cuda']}" if torch_facts.get("cuda") else "CPU build"
    gpus = [
        f"{gpu.name}, {gpu.memory_gb:.0f} GB{'' if gpu.usable else ' (torch cannot use it)'}" for gpu in machine.gpus
    ]
    if torch_facts.get("mps"):
        gpus.append("Apple GPU (not used by the course)")
    if torch_facts.get("failure"):
        gpus.append(f"torch failed to look: {torch_facts['failure']}")
    return [
        f"Python     {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"torch      {build if torch_facts else 'not usable, see below'}",
        f"CPU        {os.cpu_count()} cores",
        f"memory     {machine.memory_gb:.1f} GB",
        f"free disk  {machine.disk_gb:.0f} GB",
        f"GPU        {'; '.join(gpus) or 'none'}",
    ]


def _package_line(package: Package) -> str:
    wanted = package.wanted or "any"
    if package.version is None:
        state = "not installed"
        if package.name in OPTIONAL:
            state += f" (optional: the extra {OPTIONAL[package.name]!r})"
        elif package.name == "torchvision":
            wanted, state = "absent", "ok: the CPU build of torch must be without it"
    elif package.error:
        state = "broken: " + _one_line(package.error)
    else:
        state = "ok" if package.is_wanted_version else "another version than the course was tested with"
    return f"{package.name:<14}{package.version or '-':<16}{wanted:<16}{state}"


def _tier_lines(machine: Machine, packages: Sequence[Package]) -> list[str]:
    working = {package.name for package in packages if package.version and not package.error}
    lines = [f"{'tier':<11}{'model':<28}{'memory':>7}{'disk':>8}{'GPUs':>12}  here"]
    for tier in load_tiers():
        needs = tier.requires
        gpus = f"{needs.gpus} x {needs.gpu_memory_gb:g} GB" if needs.gpus else "none"
        missing = shortfalls(tier, machine) + [name for name in tier.software if name not in working]
        if needs.gpus and machine.gpus and not any(gpu.usable for gpu in machine.gpus):
            missing.append("a torch that can use the GPU")
        verdict = f"needs {', '.join(missing)}" if missing else "fits"
        lines.append(
            f"{tier.name:<11}{tier.model:<28}{needs.memory_gb:>4g} GB{needs.disk_gb:>5g} GB{gpus:>12}  {verdict}"
        )
    return [*lines, "", *_choice_lines(machine)]


def _choice_lines(machine: Machine) -> Iterator[str]:
    choice = choose_profile(machine)
    yield f"For this machine: {choice.profile} ({choice.because})"
    yield from (f"  note: {warning}" for warning in choice.warnings)
    yield f"  make course PROFILE={choice.profile}        or, without the notebooks,"
    yield f"  {launch_command(choice.profile)}"
    yield "  what it changes of the paper, and why: python -m radvlm_course profiles " + choice.profile


def advise(packages: Sequence[Package], machine: Machine, torch_facts: Mapping[str, Any]) -> list[str]:
    """What is missing or broken, each with the command that mends it; empty if all is well."""
    has_cuda = bool(torch_facts.get("cuda"))
    versions = {package.name: package.version for package in packages}
    advice = []
    if versions.get("torchvision") and not has_cuda:
        advice.append(
            "torchvision breaks the import of vision models beside a CPU build of torch, and nothing here needs it: "
            "python -m pip uninstall -y torchvision"
        )
    for package in packages:
        if package.name != "torchvision":
            advice.extend(_advice_for(package, bool(machine.gpus)))
    if any(not gpu.usable for gpu in machine.gpus):
        advice.append(
            "there is a GPU that torch cannot use: update its driver, or replace the CPU build of torch "
            "by a CUDA build: python -m pip install --force-reinstall torch==2.13.0"
        )
    if installed_version(DISTRIBUTION) is None:
        advice.append("this package itself is not installed: make setup")
    return advice


def _advice_for(package: Package, has_gpu: bool) -> Iterator[str]:
    name = package.name
    base = INSTALL.format(constraints="gpu" if has_gpu else "cpu", extras="notebooks,dev,metrics,data")
    if package.version is None:
        if name not in OPTIONAL:
            yield f"{name} is missing: {base}"
        elif name == "jupyterlab" or has_gpu:
            constraints = "cpu" if name == "jupyterlab" else "gpu"
            yield f"{name} is missing: {INSTALL.format(constraints=constraints, extras=OPTIONAL[name])}"
    elif package.error:
        yield f"{name} does not import ({_one_line(package.error)}); to install afresh: rm -rf .venv && make setup"
    elif not package.is_wanted_version:
        yield f"{name} {package.version} was not tested with the course, which wants {package.wanted}: {base}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
