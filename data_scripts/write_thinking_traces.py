"""Write traces of reasoning with a vision-language teacher, filter them, and mix them with direct answers.

The documented way is a model on this machine, served by vLLM (in an environment of its own) in another terminal; see
docs/thinking.md for the commands of larger and smaller ones:

    vllm serve Qwen/Qwen3-VL-8B-Instruct-FP8 --host 127.0.0.1 --port 8000 --max-model-len 16384 \\
        --limit-mm-per-prompt '{"image": 1, "video": 0}'                                          # one 24 GB GPU

    python data_scripts/write_thinking_traces.py --examples build/radvlm/train.jsonl --output build/traces \\
        --model Qwen/Qwen3-VL-8B-Instruct-FP8 --tasks report_generation abnormality_grounding --limit 20

takes the examples of a mixture and writes ``traces/``, ``traces.run/`` with every reply and why it was rejected, and
``traces.jsonl`` with ``provenance.json``. It shows what it will cost and take, and asks. Killed and started again it
goes on where it stopped. ``--direct-share 0.5`` writes ``train.jsonl`` too, half of it direct answers of the same
mixture.

``--variant one_stage`` shows the teacher no answer and keeps what agrees. ``--variant two_stage`` takes two runs:
``--stage draft`` with a vision model, then ``--stage rewrite`` with a model that reads text only. ``--collect`` asks
nothing and passes the replies that are there through the filters, with whatever budgets are given.

Films and texts of credentialed datasets go to this machine only, or to an address of which you say that the agreement
covers it.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radvlm_course.language.command import STOPPED, add_model_options, run_command
from radvlm_course.language.endpoint import Endpoint, EndpointError
from radvlm_course.records import Example, RecordError, read_jsonl, write_jsonl
from radvlm_course.thinking.trace import VARIANTS, FilterSettings
from radvlm_course.thinking.trace_dataset import MixError, mix_traces, write_trace_dataset
from radvlm_course.thinking.trace_prompts import TRACE_TASKS, FilmSettings, Stage, prompts_of
from radvlm_course.thinking.traces import TraceSettings, folder_of, trace_jobs

CHARACTERS_OF_A_WORD = 6.0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = made.add_argument_group("data")
    data.add_argument("--examples", required=True, type=Path, help="JSONL of a mixture, as in build/radvlm/train.jsonl")
    data.add_argument("--image-root", default="", help="put before the examples' image paths")
    data.add_argument("--tasks", nargs="+", default=list(TRACE_TASKS), choices=TRACE_TASKS, help="default: all")
    data.add_argument("--limit", type=int, help="only so many examples, for a first look")
    data.add_argument("--output", required=True, type=Path, help="folder for the traces")
    add_model_options(made, max_tokens=4096)
    made.set_defaults(temperature=0.7)
    trace = made.add_argument_group("traces")
    trace.add_argument("--variant", default="with_truth", choices=VARIANTS)
    trace.add_argument("--stage", choices=("draft", "rewrite"), help="of the variant two_stage")
    trace.add_argument("--longest-side", type=int, default=1024, help="of a film as sent, in pixels (%(default)s)")
    trace.add_argument("--jpeg-quality", type=int, default=90, help="1 to 95 (%(default)s)")
    trace.add_argument("--words", type=int, nargs=2, default=(60, 800), metavar=("FEWEST", "MOST"), help="of a thought")
    trace.add_argument("--boxes-in-thought", type=int, default=0, help="how many may be quoted (%(default)s)")
    trace.add_argument(
        "--report-check", choices=("verbatim", "findings"), help="default: verbatim with_truth, else findings"
    )
    trace.add_argument("--box-iou", type=float, help="from which boxes agree; default: exact, or 0.5")
    trace.add_argument(
        "--labeller",
        default="radvlm_course.phantoms.labeller:label_report",
        metavar="MODULE:FUNCTION",
        help="reads the findings of a report; the default knows the phantoms' reports only",
    )
    trace.add_argument("--native-thinking", action="store_true", help="the model's template writes <think> itself")
    trace.add_argument("--collect", action="store_true", help="ask nothing, filter the replies that are there")
    mixed = made.add_argument_group("mixture")
    mixed.add_argument("--direct-share", type=float, help="of direct answers in train.jsonl, 0 to below 1")
    mixed.add_argument("--seed", type=int, default=0, help="of the mixture")
    return made


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        settings = trace_settings(options)
        examples = list(chosen_examples(options))
        status = 0 if options.collect else ask(options, settings, examples)
    except (EndpointError, RecordError, OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    if options.estimate or settings.stage == "draft" or status == STOPPED:
        return status
    return collect(options, settings, examples) or status


def chosen_examples(options: argparse.Namespace) -> Iterator[Example]:
    """The examples that the options name."""
    wanted = (example for example in read_jsonl(options.examples, Example) if example.task in options.tasks)
    return itertools.islice(wanted, options.limit)


def trace_settings(options: argparse.Namespace) -> TraceSettings:
    """What is asked and accepted, as the options say.

    Raises:
        ValueError: they contradict each other or are out of bounds.
    """
    if (options.variant == "two_stage") != bool(options.stage):
        raise ValueError("--stage: expected draft or rewrite with --variant two_stage, nothing with another variant")
    usual = FilterSettings.for_variant(options.variant)
    filters = FilterSettings(
        opening_tag="optional" if options.native_thinking else "required",
        report_check=options.report_check or usual.report_check,
        box_iou=usual.box_iou if options.box_iou is None else options.box_iou,
        fewest_words=options.words[0],
        most_words=options.words[1],
        boxes_in_thought=options.boxes_in_thought,
        ignore_prior_rules=tuple(sorted(options.ignore_rules)),
    )
    film = FilmSettings(options.image_root, options.longest_side, options.jpeg_quality)
    stage: Stage = options.stage or options.variant
    return TraceSettings(stage, filters, film, labeller_of(options.labeller))


def labeller_of(named: str) -> Any:
    """The function that ``module:function`` names.

    Raises:
        ValueError: there is none.
    """
    module, _, name = named.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--labeller {named}: expected MODULE:FUNCTION, found {error}") from error


def ask(options: argparse.Namespace, settings: TraceSettings, examples: list[Example]) -> int:
    """Ask the teacher about what is not done."""
    endpoint = Endpoint(options.url, options.model, options.covered_by_agreement, options.api_key_variable)
    for source in sorted({example.source for example in examples}):
        endpoint.check(source)
    jobs, skipped = trace_jobs(examples, settings, options.output)
    folder = folder_of(settings.stage)
    words = sum(options.words) / 2
    return run_command(
        options,
        jobs,
        skipped,
        folder,
        ".txt",
        prompts_of(settings.stage),
        output_characters=words * CHARACTERS_OF_A_WORD,
        settings=settings.to_dict(),
        picture_tokens=settings.film.tokens,
    )


def collect(options: argparse.Namespace, settings: TraceSettings, examples: list[Example]) -> int:
    """Write the dataset of what was accepted, and the mixture."""
    collected = write_trace_dataset(options.output, examples, settings)
    print(collected.text())
    if not collected.examples or options.direct_share is None:
        return 0
    direct = (example for example in read_jsonl(options.examples, Example) if not example.thought)
    try:
        mixed = mix_traces(collected.examples, direct, options.direct_share, options.seed)
    except MixError as error:
        print(f"no mixture was written: {error}")
        return STOPPED
    write_jsonl(mixed, options.output / "train.jsonl")
    print(f"{len(mixed)} examples in {options.output / 'train.jsonl'}, {len(collected.examples)} with a thought")
    return 0


if __name__ == "__main__":
    sys.exit(main())
