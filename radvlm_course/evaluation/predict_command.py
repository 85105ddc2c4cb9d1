"""``evaluate predict``: the answers of one model, or of a baseline, to a file of examples.

    python -m radvlm_course evaluate predict --model runs/course/sft/model --examples test.jsonl --output out/sft
    python -m radvlm_course evaluate predict --baseline maira_2 --examples test.jsonl --output out/maira_2

Writes ``OUTPUT/predictions.jsonl`` (or a file for each ``--shard``) and ``OUTPUT/settings.json``, and goes on where a
killed process stopped.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radvlm_course.evaluation.shards import Shard, alone

if TYPE_CHECKING:
    from radvlm_course.evaluation.engines import Engine
    from radvlm_course.records import Example

__all__ = ["add_arguments", "at_most", "model_name", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--model", metavar="MODEL", help="model folder or hub name")
    parser.add_argument("--baseline", metavar="NAME", help="a baseline instead, in its own words; --model: its weights")
    text = "of the baseline: as the paper ran it, or corrected (%(default)s)"
    parser.add_argument("--variant", default="corrected", choices=("paper", "corrected"), help=text)
    parser.add_argument("--examples", required=True, nargs="+", type=Path, help="JSONL or Parquet files of examples")
    parser.add_argument("--tasks", nargs="+", help="answer the examples of these tasks only (default: all)")
    parser.add_argument("--limit", type=int, help="at most so many examples of each task, the first ones")
    parser.add_argument("--output", required=True, type=Path, help="folder for the predictions and their settings")
    parser.add_argument("--name", help="the model's name in tables (default: from its path)")
    parser.add_argument(
        "--profile", default="laptop", help="gives batch size, limits of tokens and pixels (%(default)s)"
    )
    parser.add_argument("--engine", default="transformers", choices=("transformers", "vllm"), help="(%(default)s)")
    parser.add_argument("--thinking", action="store_true", help="ask the model to think first")
    parser.add_argument("--shard", default="0/1", metavar="I/N", help="answer part I of N, from 0 (default: 0/1, all)")
    parser.add_argument("--batch-size", type=int, help="examples together (default: the profile's)")
    parser.add_argument("--max-new-tokens", type=int, help="limit of a completion (default: the profile's)")
    parser.add_argument("--max-pixels", type=int, help="upper limit of a film's area (default: the profile's)")
    text = "float32, bfloat16 or float16; auto: bfloat16 on a GPU, else float32 (%(default)s)"
    parser.add_argument("--dtype", default="auto", help=text)
    text = "of the random generators, which greedy answers do not use (%(default)s)"
    parser.add_argument("--seed", type=int, default=0, help=text)
    text = "an option of vllm.LLM or of loading a baseline, as in tensor_parallel_size=4"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> int:
    """Predict; returns the exit status.

    Raises:
        ValueError, OSError, RuntimeError: say what was expected and found.
    """
    from radvlm_course.evaluation.files import read_examples
    from radvlm_course.evaluation.provenance import bind, examples_digest

    shard = Shard.parse(options.shard)
    examples = at_most(read_examples(options.examples), options.tasks, options.limit)
    engine, name, identity = _engine(options)
    asked = {
        "count": len(examples),
        "digest": examples_digest(examples),
        "tasks": options.tasks,
        "limit": options.limit,
    }
    settings = {"model": {"name": name, **identity}, "examples": asked, "shards": shard.count}
    recorded = {"batch_size": engine.batch_size, "examples": [str(path) for path in options.examples]}
    bind(options.output, settings | {"generation": engine.settings()}, recorded | {"profile": options.profile})
    mine = [example for example in examples if shard.holds(example.id)]
    file = options.output / shard.file_name
    _write(engine, mine, file, name, not options.quiet)
    print(f"{len(mine)} predictions of {name} in {file}")
    return 0


def _write(engine: Engine, examples: Sequence[Example], file: Path, name: str, progress: bool) -> None:
    from radvlm_course.evaluation.writing import write_predictions

    with alone(file):
        write_predictions(engine.complete, examples, file, name, engine.to_prediction(name), progress)


def _engine(options: argparse.Namespace) -> tuple[Engine, str, dict[str, Any]]:
    """The engine, the model's name in tables, and what tells its weights from others."""
    from radvlm_course.evaluation.engines import Generation, open_engine
    from radvlm_course.evaluation.provenance import model_identity
    from radvlm_course.profiles import load_profile, parse_override

    profile = load_profile(options.profile)
    more = dict(map(parse_override, options.set))
    batch_size = _first_given(options.batch_size, profile.evaluate.batch_size)
    if options.baseline is not None:
        from radvlm_course.evaluation.baseline_engine import open_baseline

        _refuse(options, ("thinking", "max_pixels", "name"), "decides that itself")
        baseline = open_baseline(
            options.baseline, options.variant, options.model, batch_size, options.seed, options.dtype,
            options.max_new_tokens, more,
        )  # fmt: skip
        return baseline, baseline.name, baseline.identity()
    if options.model is None:
        raise ValueError("expected --model, a folder or a hub name, or --baseline NAME")
    generation = Generation(
        max_new_tokens=_first_given(options.max_new_tokens, profile.evaluate.max_new_tokens),
        batch_size=batch_size,
        thinking=options.thinking,
        max_pixels=_first_given(options.max_pixels, profile.model.max_pixels),
        dtype=options.dtype,
        seed=options.seed,
    )
    engine = open_engine(options.engine, options.model, generation, more)
    return engine, options.name or model_name(options.model), model_identity(options.model)


def _refuse(options: argparse.Namespace, names: Sequence[str], reason: str) -> None:
    if given := [name for name in names if getattr(options, name)]:
        shown = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"{shown}: the baseline {options.baseline} {reason}: leave it out")


def _first_given(given: int | None, default: int) -> int:
    return default if given is None else given


def model_name(name_or_path: str) -> str:
    """The name of a model in tables: the last part of its path that tells it from others.

    >>> model_name("Qwen/Qwen3-VL-8B-Instruct"), model_name("runs/a/sft/model"), model_name("runs/a/sft/checkpoint-500")
    ('Qwen3-VL-8B-Instruct', 'sft', 'sft-checkpoint-500')
    """
    parts = [part for part in Path(name_or_path).parts if part not in ("/", ".", "..")] or ["model"]
    if parts[-1] == "model" and len(parts) > 1:
        return parts[-2]
    if re.fullmatch(r"checkpoint-\d+", parts[-1]) and len(parts) > 1:
        return f"{parts[-2]}-{parts[-1]}"
    return parts[-1]


def at_most(examples: Sequence[Example], tasks: Sequence[str] | None, limit: int | None) -> list[Example]:
    """The first ``limit`` examples of each of the tasks; None: all tasks, all examples.

    Raises:
        ValueError: the limit is below 1, or no example is left; says which tasks there are.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"--limit: expected at least 1, found {limit}")
    seen: Counter[str] = Counter()
    kept = []
    for example in examples:
        seen[example.task] += 1
        if (tasks is None or example.task in tasks) and (limit is None or seen[example.task] <= limit):
            kept.append(example)
    if not kept:
        raise ValueError(f"expected examples of {', '.join(tasks or ['any task'])}; there are: {dict(seen) or 'none'}")
    return kept
