"""``python -m radvlm_course evaluate predict | score | table``: any model, any examples, outside of a run.

``evaluate`` alone is the stage of a run, which does all three for the run's own models.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radvlm_course.evaluation.shards import Shard, alone, read_folder

if TYPE_CHECKING:
    from radvlm_course.evaluation.predictions import Prediction
    from radvlm_course.evaluation.score import Scores
    from radvlm_course.records import Example

__all__ = ["add_commands", "model_name", "run"]

_MAIN_METRICS = ("map50", "gleu")  # the leaderboard's order: the first of these that a task has
_SHOWN = {
    "map50": ("map50", "map50_paper", "soft_f1", "recall50", "precision50"),
    "gleu": ("gleu", "rouge_l", "finding_f1_micro", "finding_side_f1_micro", "words"),
}


def add_commands(commands: Any) -> None:
    """Add the sub-commands to what ``add_subparsers`` returned; their options all begin with ``evaluate_`` inside."""
    text = "greedy answers of one model, one JSON line an example; resumes, in one or several processes"
    _add_predict(commands.add_parser("predict", help=text, description=text, allow_abbrev=False))
    text = "scores of predictions, with intervals by patient; reads predictions and examples, no model"
    _add_score(commands.add_parser("score", help=text, description=text, allow_abbrev=False))
    text = "a table of the paper with our scores beside it"
    _add_table(commands.add_parser("table", help=text, description=text, allow_abbrev=False))


def _option(parser: argparse.ArgumentParser, name: str, **options: Any) -> None:
    key = name.lstrip("-").replace("-", "_")
    if "action" not in options and "choices" not in options:
        options.setdefault("metavar", key.upper())
    parser.add_argument(name, dest=f"evaluate_{key}", **options)


def _add_predict(parser: argparse.ArgumentParser) -> None:
    _option(parser, "--model", required=True, help="model folder or hub name")
    _option(parser, "--examples", required=True, help="examples to answer, a .jsonl or .parquet file")
    _option(parser, "--output", required=True, help="folder for the predictions and their settings")
    _option(parser, "--name", help="the model's name in tables (default: from its path)")
    _option(parser, "--profile", default="laptop", help="where the defaults below come from (default: laptop)")
    _option(parser, "--engine", default="transformers", choices=("transformers", "vllm"), help="what runs the model")
    _option(parser, "--thinking", action="store_true", help="ask the model to think first")
    _option(parser, "--shard", default="0/1", metavar="I/N", help="answer part I of N, from 0 (default: 0/1, all)")
    _option(parser, "--limit", type=int, help="at most so many examples of each task, the first ones")
    _option(parser, "--batch-size", type=int, help="examples together (default: the profile's)")
    _option(parser, "--max-new-tokens", type=int, help="limit of a completion in tokens (default: the profile's)")
    _option(parser, "--max-pixels", type=int, help="upper limit of a film's area (default: the profile's)")
    _option(parser, "--dtype", default="auto", help="float32, bfloat16, float16; auto: bfloat16 on a GPU (auto)")
    _option(parser, "--seed", type=int, default=0, help="of the random generators, which greedy answers do not use (0)")
    text = "an argument of vllm.LLM, as in tensor_parallel_size=4"
    _option(parser, "--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    _option(parser, "--quiet", action="store_true", help="no progress bar")


def _add_score(parser: argparse.ArgumentParser) -> None:
    text = "folders of evaluate predict, or predictions files of any origin; one for each model"
    _option(parser, "--predictions", required=True, nargs="+", help=text)
    _option(parser, "--examples", required=True, help="the examples that were asked, a .jsonl or .parquet file")
    _option(parser, "--output", required=True, help="folder for the scores, one inside for each model")
    _option(parser, "--limit", type=int, help="as given to evaluate predict")
    _option(parser, "--source", help="score only the examples of this dataset")
    _option(parser, "--task", help="score only the examples of this task")
    _option(parser, "--resamples", type=int, default=2000, help="of the bootstrap (2000)")
    _option(parser, "--seed", type=int, default=0, help="of the bootstrap (0)")


def _add_table(parser: argparse.ArgumentParser) -> None:
    text = "scores.json files of evaluate score, or their folders (default: the paper's rows alone)"
    _option(parser, "--scores", nargs="*", default=[], help=text)
    _option(parser, "--table", type=int, required=True, choices=(1, 2, 3), help="1 reports, 2 grounding, 3 rewards")
    _option(parser, "--format", default="markdown", choices=("markdown", "latex", "picture"), help="(markdown)")
    _option(
        parser, "--output", help="file to write (default: print; a picture needs one, ending in .png, .pdf or .svg)"
    )


def run(options: argparse.Namespace) -> int:
    """Run ``predict``, ``score`` or ``table``; returns the exit status.

    Raises:
        ValueError: wrong options, or predictions, examples or scores that do not fit each other.
        OSError: a file is missing or cannot be read or written.
        RuntimeError: the model cannot be run.
    """
    prefix = "evaluate_"
    chosen = argparse.Namespace(
        **{key.removeprefix(prefix): value for key, value in vars(options).items() if key.startswith(prefix)}
    )
    {"predict": _predict, "score": _score, "table": _table}[chosen.command](chosen)
    return 0


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


def _predict(options: argparse.Namespace) -> None:
    from radvlm_course.evaluation.engines import Generation, open_engine
    from radvlm_course.evaluation.provenance import bind, examples_digest, model_identity
    from radvlm_course.profiles import load_profile, parse_override

    shard = Shard.parse(options.shard)
    profile = load_profile(options.profile)
    examples = _read_examples(options.examples, options.limit)
    generation = Generation(
        max_new_tokens=_first_given(options.max_new_tokens, profile.evaluate.max_new_tokens),
        batch_size=_first_given(options.batch_size, profile.evaluate.batch_size),
        thinking=options.thinking,
        max_pixels=_first_given(options.max_pixels, profile.model.max_pixels),
        dtype=options.dtype,
        seed=options.seed,
    )
    model = {"name": options.name or model_name(options.model), **model_identity(options.model)}
    engine = open_engine(options.engine, options.model, generation, dict(map(parse_override, options.set)))
    asked = {"count": len(examples), "digest": examples_digest(examples), "limit": options.limit}
    settings = {"model": model, "examples": asked, "shards": shard.count, "generation": engine.settings()}
    recorded = {"batch_size": generation.batch_size, "examples_file": options.examples, "profile": profile.name}
    bind(options.output, settings, recorded)
    mine = [example for example in examples if shard.holds(example.id)]
    file = Path(options.output) / shard.file_name
    _write(engine, mine, file, model["name"], generation, settings["generation"], not options.quiet)
    print(f"{len(mine)} predictions of {model['name']} in {file}")


def _write(
    engine: Any,
    examples: Sequence[Example],
    file: Path,
    name: str,
    generation: Any,
    settings: dict[str, Any],
    progress: bool,
) -> None:
    from radvlm_course.evaluation.writing import as_written, write_predictions

    keys = ("engine", "temperature", "max_new_tokens", "seed", "dtype", "max_pixels")
    line = {**{key: settings[key] for key in keys}, "thinking": generation.thinking}
    with alone(file):
        write_predictions(engine.complete, examples, file, name, as_written(name, line, generation.thinking), progress)


def _first_given(given: int | None, default: int) -> int:
    return default if given is None else given


def _read_examples(path: str, limit: int | None) -> list[Example]:
    from radvlm_course.records import Example, read_jsonl, read_parquet

    if limit is not None and limit < 1:
        raise ValueError(f"--limit: expected at least 1, found {limit}")
    read = read_parquet if path.endswith(".parquet") else read_jsonl
    seen: Counter[str] = Counter()
    kept = []
    for example in read(path, Example):
        seen[example.task] += 1
        if limit is None or seen[example.task] <= limit:
            kept.append(example)
    if not kept:
        raise ValueError(f"expected examples in {path}, found none")
    return kept


def _score(options: argparse.Namespace) -> None:
    from radvlm_course.evaluation.score import score

    examples = _read_examples(options.examples, options.limit)
    chosen = [e for e in examples if options.source in (None, e.source) and options.task in (None, e.task)]
    if not chosen:
        found = ", ".join(sorted({f"{example.task} of {example.source or 'no dataset'}" for example in examples}))
        raise ValueError(f"no example is left to score: {options.examples} holds {found}")
    identifiers, wanted = {example.id for example in examples}, {example.id for example in chosen}
    scores: dict[str, Scores] = {}
    for place in options.predictions:
        predictions = [item for item in _read_predictions(place, identifiers) if item.example_id in wanted]
        scored = score(chosen, predictions, resamples=options.resamples, seed=options.seed)
        if scored.model in scores:
            raise ValueError(f"two predictions are of model {scored.model!r}: predict with another --name")
        scores[scored.model] = scored
        folder = Path(options.output) / re.sub(r"[^\w.-]+", "_", scored.model)
        scored.write(folder)
        _write_about(folder, place, options, chosen)
        print(f"{scored.model}: {folder / 'scores.json'}", file=sys.stderr)
    board = _leaderboards(scores)
    (Path(options.output) / "leaderboard.md").write_text(board, encoding="utf-8")
    print(board)


def _read_predictions(place: str, identifiers: set[str]) -> list[Prediction]:
    from radvlm_course.evaluation.predictions import read_predictions

    return list((read_folder if Path(place).is_dir() else read_predictions)(place, identifiers))


def _write_about(folder: Path, place: str, options: argparse.Namespace, chosen: Sequence[Example]) -> None:
    """``about.json``: what the scores are of; apart, because it holds paths and scores are equal to the byte."""
    from radvlm_course.evaluation.beside_paper import ABOUT_FILE
    from radvlm_course.evaluation.provenance import examples_digest, read_settings

    sources: dict[str, Counter[str]] = {}
    for example in chosen:
        sources.setdefault(example.task, Counter())[example.source or "not said"] += 1
    about = {
        "predictions": place,
        "settings": read_settings(place) if Path(place).is_dir() else None,
        "examples": {"file": options.examples, "count": len(chosen), "digest": examples_digest(chosen)},
        "sources": {task: dict(sorted(found.items())) for task, found in sorted(sources.items())},
    }
    (folder / ABOUT_FILE).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _leaderboards(scores: dict[str, Scores]) -> str:
    from radvlm_course.evaluation.leaderboard import leaderboard

    blocks = []
    for task in dict.fromkeys(task for item in scores.values() for task in item.tasks):
        found = {metric for item in scores.values() for metric in item.tasks.get(task, {})}
        main = next((metric for metric in _MAIN_METRICS if metric in found), None)
        if main is not None:
            blocks.append(leaderboard(scores, task, [name for name in _SHOWN[main] if name in found]).to_markdown())
    return "\n".join(blocks)


def _table(options: argparse.Namespace) -> None:
    from radvlm_course.evaluation.beside_paper import beside_paper, read_our_scores
    from radvlm_course.evaluation.paper_text import to_latex, to_markdown
    from radvlm_course.evaluation.published import load_table

    side = beside_paper(load_table(options.table), [read_our_scores(path) for path in options.scores])
    if options.format == "picture":
        from radvlm_course.viz.beside_paper import draw_beside_paper

        if not options.output or not options.output.endswith((".png", ".pdf", ".svg")):
            raise ValueError(f"a picture needs --output FILE ending in .png, .pdf or .svg, found {options.output!r}")
        Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        draw_beside_paper(side).savefig(options.output, dpi=200, bbox_inches="tight", pad_inches=0.08)
        print(options.output)
        return
    text = to_markdown(side) if options.format == "markdown" else to_latex(side)
    if not options.output:
        print(text, end="")
        return
    Path(options.output).parent.mkdir(parents=True, exist_ok=True)
    Path(options.output).write_text(text, encoding="utf-8")
    print(options.output)
