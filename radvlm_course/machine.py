"""What this machine has: memory, disk, GPUs, and which packages are installed and really import.

Every package is tried in a separate Python process, so that one that is absent, broken, or ends the
process on import becomes a fact and not a crash. Versions come from the installed metadata, and what is
wanted from this package's own, so nothing is listed twice. Unsloth is never imported: it changes other
libraries for the rest of the process.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "DISTRIBUTION",
    "Gpu",
    "Machine",
    "Package",
    "inspect_machine",
    "inspect_packages",
    "installed_version",
    "quick_look",
]

DISTRIBUTION = "radvlm-course"
GIBIBYTE = 2**30
DRIVER_FILES = ("/proc/driver/nvidia/version", "/dev/kfd")  # NVIDIA, AMD
# What must work of each package: vision models are what a wrong torchvision breaks.
STATEMENTS = {
    "torch": "import torch",
    "transformers": "from transformers import Qwen3VLForConditionalGeneration",
    "trl": "from trl import GRPOTrainer, SFTTrainer",
    "peft": "import peft",
    "accelerate": "import accelerate",
    "datasets": "import datasets",
    "jupyterlab": "import jupyterlab",
    "bitsandbytes": "import bitsandbytes",
    "torchvision": "import torchvision",
    "unsloth": "",
}
# Runs in its own process: one JSON line before and one after each statement.
_PROBE = """
import json, sys, warnings
warnings.simplefilter("ignore")
def say(**line):
    sys.__stdout__.write(json.dumps(line) + "\\n")
    sys.__stdout__.flush()
for name, statement in json.loads(sys.argv[1]).items():
    say(name=name, error="Python ended while importing it")
    try:
        exec(statement, {})
        say(name=name, error=None)
    except BaseException as error:
        say(name=name, error=f"{type(error).__name__}: {error}")
    if name == "torch" and "torch" in sys.modules:
        try:
            torch = sys.modules["torch"]
            cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
            gpus = [[card.name, card.total_memory / 2**30, card.major] for card in cards]
            say(name="", cuda=torch.version.cuda, gpus=gpus, mps=torch.backends.mps.is_available())
        except Exception as error:
            say(name="", failure=f"{type(error).__name__}: {error}")
"""


@dataclass(frozen=True)
class Gpu:
    """One card.

    Attributes:
        memory_gb: in GB of 2**30 bytes.
        usable: the installed torch can use it.
        has_bfloat16: it computes in bfloat16; cards before NVIDIA's Ampere (compute capability 8) emulate it.
    """

    name: str
    memory_gb: float
    usable: bool = True
    has_bfloat16: bool = True


@dataclass(frozen=True)
class Machine:
    """Sizes in GB of 2**30 bytes; ``disk_gb`` is what is free where the course is."""

    memory_gb: float
    disk_gb: float
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True)
class Package:
    """A package: installed ``version`` or None, the ``wanted`` versions, and the ``error`` of importing it."""

    name: str
    version: str | None
    wanted: str = ""
    error: str | None = None

    @property
    def is_wanted_version(self) -> bool:
        if self.version is None or not self.wanted:
            return True
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(self.wanted).contains(self.version, prereleases=True)


def inspect_packages(
    names: Sequence[str] = tuple(STATEMENTS), timeout: float = 300
) -> tuple[list[Package], dict[str, Any]]:
    """Try the packages in a separate process.

    Returns:
        The packages in the given order, and what torch said of itself (``cuda``, ``gpus``, ``mps``), or nothing.
    """
    versions = {name: installed_version(name) for name in names}
    installed = {name: STATEMENTS[name] for name in names if versions[name] is not None}
    errors, torch_facts = _probe(installed, timeout)
    wanted = _wanted_versions()
    return [Package(name, versions[name], wanted.get(name, ""), errors.get(name)) for name in names], torch_facts


def inspect_machine(folder: str | os.PathLike[str] = ".", torch_facts: Mapping[str, Any] | None = None) -> Machine:
    """Memory, free disk at ``folder``, and the GPUs that torch or, failing that, the driver's tool reports."""
    gpus = tuple(Gpu(name, size, True, major >= 8) for name, size, major in (torch_facts or {}).get("gpus", ()))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIBIBYTE
    disk = shutil.disk_usage(folder).free / GIBIBYTE
    return Machine(memory, disk, gpus or _gpus_of_the_driver())


def quick_look(folder: str | os.PathLike[str] = ".") -> Machine:
    """As :func:`inspect_machine`, in this process: torch is imported only where there is a GPU's driver to ask."""
    facts: dict[str, Any] = {}
    if shutil.which("nvidia-smi") or any(os.path.exists(path) for path in DRIVER_FILES):
        import torch

        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        facts["gpus"] = [[card.name, card.total_memory / GIBIBYTE, card.major] for card in cards]
    return inspect_machine(folder, facts)


def installed_version(name: str) -> str | None:
    """The version that is installed, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _wanted_versions() -> dict[str, str]:
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    from packaging.requirements import Requirement

    requirements = [Requirement(line) for line in lines]
    return {requirement.name: str(requirement.specifier) for requirement in requirements}


def _probe(statements: Mapping[str, str], timeout: float) -> tuple[dict[str, str | None], dict[str, Any]]:
    command = [sys.executable, "-c", _PROBE, json.dumps(dict(statements))]
    try:
        output = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        ).stdout
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith('{"name"')]
    errors = {line["name"]: line["error"] for line in lines if line["name"]}
    facts: dict[str, Any] = next((line for line in lines if not line["name"]), {})
    untried = {name: "not tried: importing the packages before it ended Python or took too long" for name in statements}
    return {**untried, **errors}, {key: value for key, value in facts.items() if key != "name"}


def _gpus_of_the_driver() -> tuple[Gpu, ...]:
    if not (tool := shutil.which("nvidia-smi")):
        return ()
    command = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        rows = [line.rsplit(",", 1) for line in output.splitlines() if "," in line]
        return tuple(Gpu(name.strip(), float(memory) / 1024, usable=False) for name, memory in rows)
    except (subprocess.SubprocessError, OSError, ValueError):
        return ()
