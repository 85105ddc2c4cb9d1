"""The command line: ``python -m radvlm_course <stage> --profile laptop --run NAME``.

One command for each stage, ``run`` for all of them, ``doctor`` for the machine, ``profiles`` for the tiers, ``merge``
for a trained adapter, ``convert-checkpoint`` for a model that several processes saved in pieces. ``evaluate`` is a
stage and has commands of its own: ``evaluate predict``, ``score`` and ``table``, for any model outside of a run. Heavy
imports wait until a stage needs them, so ``--help`` is instant.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from radvlm_course.evaluation import command as evaluating
from radvlm_course.experiments import command as experiments
from radvlm_course.general_base import command as general_base
from radvlm_course.processes import (
    OtherProcessFailed,
    from_main,
    main_process,
    process_count,
    process_index,
    report_failure,
    wait_for_all,
)
from radvlm_course.rewards.service import command as serve_rewards

if TYPE_CHECKING:
    from radvlm_course.profiles import Profile
    from radvlm_course.stages import Course

STAGE_HELP = {
    "curate": "write the films and build the instruction pairs",
    "base": "make the tiny model: tokenizer, weights, vision pre-training",
    "sft": "supervised fine-tuning",
    "cold_start": "teach the thinking mode, on thoughts mixed with direct answers",
    "grpo_grounding": "GRPO on visual grounding (soft-F1), from the SFT model",
    "grpo_reports": "GRPO on reports (GLEU), from the SFT model",
    "evaluate": "predict, score and draw every model of the run; or predict, score, table: any model",
}

STAGES = (*STAGE_HELP, "run")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m radvlm_course", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, text in {**STAGE_HELP, "run": "all stages, one after the other"}.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--profile", default="laptop", help="a profile's name or a YAML file (default: laptop)")
        command.add_argument("--run", default="course", help="name of the run folder (default: course)")
        command.add_argument("--runs-root", default="runs", help="folder of all run folders (default: runs)")
        command.add_argument("--seed", type=int, help="seed of training (default: the profile's)")
        command.add_argument("--source", help="dataset to read (default: the profile's)")
        command.add_argument("--root", help="folder of the dataset or datasets, required with another --source")
        command.add_argument("--start-from", help="model folder or hub name to start from instead of making a base")
        command.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="override one setting, as in sft.trainer.max_steps=50",
        )
        command.add_argument("--quiet", action="store_true", help="no progress bars")
        if name == "evaluate":
            evaluating.add_commands(command.add_subparsers(dest="evaluate_command", metavar="predict | score | table"))
    commands.add_parser(
        "doctor", help="what this machine has, what each tier needs, what is missing, which profile fits"
    )
    text = "the profiles side by side; of one, what it changes of the paper and why"
    listing = commands.add_parser("profiles", help=text, description=text)
    listing.add_argument("names", nargs="*", metavar="PROFILE", help="profiles or YAML files (default: the table)")
    text = "merge a trained adapter into its model: a plain model folder"
    merging = commands.add_parser("merge", help=text, description=text)
    merging.add_argument("--model", required=True, help="folder of the adapter, for example runs/course/sft/model")
    merging.add_argument("--output", required=True, help="folder of the merged model, new or empty")
    merging.add_argument("--base", help="the model that it belongs to (default: the one that it names)")
    merging.add_argument("--precision", default="bfloat16", choices=("bfloat16", "float16", "float32"))
    text = "which weights an adapter of a model in four bits is added to: as trained, or the original ones (trained)"
    merging.add_argument("--onto", default="trained", choices=("trained", "original"), help=text)
    text = "a checkpoint of verl, FSDP or DeepSpeed into a plain model folder"
    converting = commands.add_parser("convert-checkpoint", help=text, description=text)
    converting.add_argument("folder", help="of the checkpoint, for example runs/verl/NAME/global_step_300")
    converting.add_argument("output", help="folder of the model, new or empty")
    text = "model that training started from, for configuration and processor (default: those beside the checkpoint)"
    converting.add_argument("--like", metavar="MODEL", help=text)
    converting.add_argument("--precision", default="bfloat16", choices=("bfloat16", "float16", "float32"))
    text = "score completions for trainers in other processes or on other machines"
    serving = commands.add_parser("serve-rewards", help=text, description=text, allow_abbrev=False)
    serve_rewards.add_arguments(serving)
    text = "the paper's comparisons, in small, from the models of a run"
    experiments.add_arguments(commands.add_parser("experiments", help=text, description=text))
    text = "make a tiny model that has seen shapes and never a radiograph"
    general_base.add_arguments(commands.add_parser("general-base", help=text, description=text))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status: 0 done, 1 refused with a reason, 130 interrupted.

    Under a launcher of several processes only the stages run, and one process prints.
    """
    given = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(given)
    if process_count() > 1 and (options.command not in STAGES or getattr(options, "evaluate_command", None)):
        if main_process():
            print(f"error: {options.command} runs in one process: start it without a launcher", file=sys.stderr)
        return 1
    if options.command == "doctor":
        from radvlm_course.doctor import report

        print(report())
        return 0
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    evaluates = getattr(options, "evaluate_command", None) is not None
    try:
        if evaluates:
            _refuse_stage_options(given, options.evaluate_command)
            return evaluating.run(options)
        others: dict[str, Callable[[argparse.Namespace], int]] = {
            "serve-rewards": serve_rewards.run,
            "experiments": experiments.run,
            "general-base": general_base.run,
            "profiles": _show_profiles,
            "merge": _merge,
            "convert-checkpoint": _convert_checkpoint,
        }
        return others.get(options.command, _run_stages)(options)
    except KeyboardInterrupt:
        kept = "no training run was touched"
        if evaluates:
            kept = "what was written is kept; the same command goes on from there"
        elif hasattr(options, "run"):
            kept = f"run {options.run!r} keeps its finished stages and its last checkpoint; "
            kept += "the same command goes on from there"
        if main_process():
            print(f"\ninterrupted: {kept}", file=sys.stderr)
        return 130
    except OtherProcessFailed:  # which has printed why
        return 1
    except (ValueError, RuntimeError, OSError) as error:
        report_failure(error)
        where = f" in process {process_index()} of {process_count()}" if process_count() > 1 else ""
        print(f"error{where}: {error}", file=sys.stderr)
        if os.environ.get("RADVLM_COURSE_TRACEBACK"):
            raise
        return 1


def _refuse_stage_options(given: Sequence[str], command: str) -> None:
    """``evaluate --profile X predict ...``: the stage's option would be read and then not used."""
    if list(given[:2]) != ["evaluate", command]:
        shown = " ".join(given[1 : list(given).index(command)])
        raise ValueError(
            f"{shown}: an option of the stage evaluate: options of evaluate {command} stand after {command}"
        )


def _show_profiles(options: argparse.Namespace) -> int:
    from radvlm_course.doctor import load_tiers
    from radvlm_course.profile_differences import difference_table, profile_table
    from radvlm_course.profiles import load_profile

    if not options.names:
        print(profile_table({tier.name: load_profile(tier.name) for tier in load_tiers()}))
    for name in options.names:
        profile = load_profile(name)
        print(f"{profile.name}: {profile.description}\n\n{difference_table(profile)}")
    return 0


def _merge(options: argparse.Namespace) -> int:
    from radvlm_course.models.merging import merge_adapter

    print(merge_adapter(options.model, options.output, options.base, options.precision, options.onto))
    return 0


def _convert_checkpoint(options: argparse.Namespace) -> int:
    from radvlm_course.models.checkpoint_conversion import convert_checkpoint

    print(convert_checkpoint(options.folder, options.output, options.like, options.precision))
    return 0


def _run_stages(options: argparse.Namespace) -> int:
    from radvlm_course.models.unsloth import prepare_engine
    from radvlm_course.profiles import load_profile
    from radvlm_course.stages import open_course

    profile = load_profile(options.profile, _overrides(options))
    prepare_engine(profile.model)  # before the trainers are imported, which it rewrites
    # Before the run folder is made, which would then belong to a profile that cannot run here. First in the main
    # process: what is wrong everywhere is said once.
    from_main("the checks of the profile", lambda: _check(profile))
    if not main_process():
        _check(profile)
    wait_for_all("the checks of the machines")
    course = open_course(profile, options.run, root=options.runs_root, progress=not options.quiet)
    if options.command != "run":
        folder = course.ensure(options.command)
        _say(f"{options.command}: {folder}")
    else:
        _run_all(course)
    table = course.run.folder / "evaluate" / "results.md"
    if options.command in ("run", "evaluate") and main_process() and table.exists():
        print("\n" + table.read_text(encoding="utf-8"))
    wait_for_all("the end of the command")
    return 0


def _check(profile: Profile) -> None:
    from radvlm_course.readiness import check_profile, check_ready

    check_profile(profile)
    check_ready(profile)


def _say(text: str) -> None:
    """Print, in one process of several."""
    if main_process():
        print(text, flush=True)


def _run_all(course: Course) -> None:
    from radvlm_course.services import check_services
    from radvlm_course.side_by_side import ensure_side_by_side

    grpo = [stage for stage in course.stages() if stage.startswith("grpo_")]
    check_services(course.profile, course.unfinished(grpo))
    for stage in STAGE_HELP:
        if stage not in course.stages():
            reason = "the profile has no settings for it" if stage == "cold_start" else "the source has no reports"
            _say(f"{stage:<15} left out: {reason}")
            continue
        if stage == "grpo_grounding" and course.profile.side_by_side:
            ensure_side_by_side(course, [name for name in course.stages() if name.startswith("grpo_")])
        folder = course.ensure(stage)
        if main_process():
            print(f"{stage:<15} {course.run.summary(stage)['seconds']:7.1f} s  {folder}", flush=True)


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    from radvlm_course.profiles import parse_override

    overrides: dict[str, Any] = dict(parse_override(text) for text in options.set)
    if options.seed is not None:
        overrides["seed"] = options.seed
    if options.source is not None:
        if options.root is None:
            raise ValueError(f"--source {options.source} also needs --root, the folder that holds the dataset")
        overrides["curate.source"] = options.source
    if options.root is not None:
        overrides["curate.root"] = options.root
    if options.start_from is not None:
        overrides["model.name_or_path"] = options.start_from
    return overrides
