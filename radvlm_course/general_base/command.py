"""``python -m radvlm_course general-base``: make the general-domain base again."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]

_SEED, _VISION_STEPS, _SFT_STEPS = 0, 2600, 1500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--output", type=Path, default=Path("runs/general_base"), help="folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=_SEED, help="draws everything (%(default)s)")
    parser.add_argument("--vision-steps", type=int, default=_VISION_STEPS, help="of vision pre-training (%(default)s)")
    parser.add_argument("--sft-steps", type=int, default=_SFT_STEPS, help="of fine-tuning (%(default)s)")
    parser.add_argument("--store", action="store_true", help="put it in place of the model in the package")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> int:
    """Make it, say what it can do, store it if asked. Returns 0.

    Raises:
        ValueError: a number is out of range, or the folder holds a base of other settings.
    """
    from radvlm_course.general_base.making import GeneralBaseSettings, make_general_base
    from radvlm_course.general_base.shipped import check_made, store
    from radvlm_course.profiles import load_profile

    settings = GeneralBaseSettings(options.seed, options.vision_steps, options.sft_steps)
    folder = make_general_base(options.output, load_profile("laptop"), settings, _command(options), not options.quiet)
    made = check_made(folder)
    print(f"{folder}: {made['vision']['parameters']:,} parameters, processor seconds {made['processor_seconds']}")
    print(f"pictures not trained on: {made['held_out']}")
    if options.store:
        print(f"stored in {store(folder)}")
    return 0


def _command(options: argparse.Namespace) -> str:
    steps = f"--vision-steps {options.vision_steps} --sft-steps {options.sft_steps}"
    return f"python -m radvlm_course general-base --seed {options.seed} {steps}"
