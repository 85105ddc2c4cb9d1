"""How much memory does each stage take under each profile, and how long does a step take?

    python benchmarks/memory_table.py                      # computed, on any machine, in seconds
    python benchmarks/memory_table.py --write              # the same, into docs/tiers.md
    python benchmarks/memory_table.py --measure            # on a GPU: with random weights of the real sizes

Computed: `radvlm_course.models.memory`, for films of 2544 x 3056 pixels and answers of the longest length.

Measured: for every profile of one GPU whose card this GPU can stand in for, a checkpoint of random weights is written
(17 GB for the largest), SFT and GRPO run on it for a few steps by the code of `python -m radvlm_course`, with
the allocator held to the size of the profile's card, each in a process of its own, on phantoms that are larger than any
profile lets through. Peak memory is torch's `max_memory_reserved`; seconds a step are the difference of a longer and
a shorter run. Random weights do not end an answer, so that every completion has the longest length.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from radvlm_course.doctor import load_tiers
from radvlm_course.models.architectures import read_architecture
from radvlm_course.models.memory import GIB, LARGE_FILM, PROMPT_TEXT, RESERVED, StageMemory, stage_memory
from radvlm_course.profiles import Profile, load_profile

STAGES = ("sft", "grpo_grounding", "grpo_reports")
STEPS = (2, 5)  # of the shorter and the longer run
FILM_SIDE = 704  # pixels of the films that are measured with: more than any profile lets through
MARKERS = re.compile(r"(<!-- memory: begin -->\n).*?(<!-- memory: end -->)", re.DOTALL)
TRAINED = ("adapter", "reference", "gradients", "optimiser")
COLUMNS = ("profile", "stage", "weights", "trained", "else", "training", "writing", "peak", "card", "measured")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="append", help="of these profiles only")
    parser.add_argument("--write", action="store_true", help="replace the table in docs/tiers.md")
    parser.add_argument("--measure", action="store_true", help="measure on this machine's GPU as well")
    parser.add_argument("--folder", type=Path, help="for checkpoints and runs of --measure (default: a temporary one)")
    parser.add_argument("--one", nargs=3, metavar=("PROFILE", "STAGE", "STEPS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        name, stage, steps = options.one
        print(json.dumps(run_steps(load_profile(name), stage, int(steps), options.folder)))
        return
    names = options.profile or [tier.name for tier in load_tiers() if tier.requires.gpus]
    profiles = [load_profile(name) for name in names]
    measured = measure(profiles, options.folder) if options.measure else {}
    text = table(profiles, measured)
    print(text)
    if options.write:
        path = Path(__file__).parents[1] / "docs" / "tiers.md"
        before = path.read_text(encoding="utf-8")
        path.write_text(MARKERS.sub(lambda match: match[1] + text + match[2], before), encoding="utf-8")


def table(profiles: Sequence[Profile], measured: dict[tuple[str, str], dict[str, float]]) -> str:
    """The Markdown table, with a line that says what it is."""
    width, height = LARGE_FILM
    lines = [
        f"{'Computed, and measured where the last column says so' if measured else 'Computed, not measured'}; GB of "
        f"2**30 bytes on each GPU; films of {width} x {height} pixels, questions of {PROMPT_TEXT} tokens, answers of "
        f"the longest length; {RESERVED / GIB:g} GB is assumed for the CUDA context and the allocator. "
        "Command: `python benchmarks/memory_table.py`",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "| --- | --- |" + " ---: |" * (len(COLUMNS) - 2),
    ]
    for profile in profiles:
        for stage in STAGES:
            cells = _cells(profile, stage_memory(profile, stage), measured.get((profile.name, stage)))
            lines.append(f"| {' | '.join([f'`{profile.name}`', stage, *cells])} |")
    return "\n".join(lines) + "\n"


def _cells(profile: Profile, memory: StageMemory, measured: dict[str, float] | None) -> Iterator[str]:
    fixed = memory.permanent
    yield _gib(fixed["weights"])
    yield _gib(sum(fixed.get(name, 0) for name in TRAINED))
    yield _gib(sum(size for name, size in fixed.items() if name not in ("weights", *TRAINED)))
    for phase in ("training", "writing"):
        yield _gib(sum(memory.phases[phase].values())) if phase in memory.phases else ""
    yield f"**{_gib(memory.peak)}**"
    yield f"{profile.requires.gpu_memory_gb:g}"
    yield f"{measured['peak'] / GIB:.1f}, {measured['seconds']:.1f} s a step" if measured else "no"


def _gib(size: float) -> str:
    return f"{size / GIB:.1f}"


def measure(profiles: Sequence[Profile], folder: Path | None) -> dict[tuple[str, str], dict[str, float]]:
    """(profile, stage) -> peak bytes and seconds a step, of the profiles of one GPU that fit this machine's."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("--measure: expected a GPU that torch can use, found none")
    here = torch.cuda.get_device_properties(0).total_memory / GIB
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        for profile in profiles:
            if profile.requires.gpus != 1 or here < profile.requires.gpu_memory_gb * 0.93:
                print(f"{profile.name}: not measured, needs another machine", file=sys.stderr)
                continue
            place = (folder or Path(temporary)) / profile.name
            for stage in STAGES:
                short, long = (_in_a_process(profile.name, stage, steps, place) for steps in STEPS)
                if "error" in long:
                    print(f"{profile.name} {stage}: {long['error']}", file=sys.stderr)
                    continue
                seconds = (long["seconds"] - short["seconds"]) / (STEPS[1] - STEPS[0])
                found[profile.name, stage] = {"peak": long["peak"], "seconds": seconds}
    return found


def _in_a_process(name: str, stage: str, steps: int, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", name, stage, str(steps), "--folder", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        return {"error": result.stderr.strip().splitlines()[-1] if result.stderr.strip() else "ended without a word"}
    return json.loads(result.stdout.splitlines()[-1])


def run_steps(
    profile: Profile, stage: str, steps: int, folder: Path, overrides: dict[str, Any] | None = None
) -> dict[str, float]:
    """Run one stage for a few steps on random weights, under the profile's limits. Returns peak bytes and seconds.

    Args:
        folder: for the checkpoint, the films and the runs; what is there already is used again.
        overrides: of the profile, for a test on a smaller machine.
    """
    import torch

    from radvlm_course.stages import open_course

    weights = folder / "weights"
    changes = {
        "model.name_or_path": str(weights),
        "curate.source": "phantom",
        "curate.root": str(folder / "films"),
        "curate.mixture": "laptop",
        "curate.image_size": FILM_SIDE,
        "curate.patients": {"train": 40, "validation": 2, "test": 2},
        f"{stage}.trainer.max_steps": steps,
        f"{stage}.trainer.save_strategy": "no",
        **({"grpo_reports.reward": "gleu"} if stage == "grpo_reports" else {}),
        **(overrides or {}),
    }
    course = open_course(load_profile(profile.name, changes), f"{stage}-{steps}", root=folder / "runs", progress=False)
    if not (weights / "model.safetensors.index.json").is_file():
        write_weights(profile, weights)
    course.ensure("curate")
    if stage != "sft":  # GRPO starts from the random weights themselves
        _pretend(course, "sft", weights)
    if torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, profile.requires.gpu_memory_gb * GIB / total))
    started = time.perf_counter()
    course.ensure(stage)
    seconds = time.perf_counter() - started
    return {"peak": torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0, "seconds": seconds}


def write_weights(profile: Profile, folder: Path) -> None:
    """A checkpoint of random weights of the profile's model."""
    from radvlm_course.models.random_checkpoint import write_random_checkpoint

    texts = ["Where is the nodule? Answer with its box.", "The heart is enlarged. [0.12, 0.34, 0.56, 0.78]"]
    write_random_checkpoint(read_architecture(profile.model.name_or_path or ""), folder, texts)


def _pretend(course: Any, stage: str, weights: Path) -> None:
    """Let a stage start from the random weights as if the one before had made them."""
    folder = course.run.stage_folder(stage)
    if not (folder / "model").exists():
        (folder / "model").symlink_to(weights.resolve(), target_is_directory=True)
    course.run.finish(stage, {"seconds": 0.0})


if __name__ == "__main__":
    main()
