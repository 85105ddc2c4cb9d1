"""``python -m radvlm_course evaluate predict | score | table``: any model, any examples, outside of a run.

``evaluate`` alone is the stage of a run, which does all three for the run's own models.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_commands", "run"]


def add_commands(commands: Any) -> None:
    """Add the sub-commands to what ``add_subparsers`` returned. Imports nothing heavy but numpy and scipy."""
    from radvlm_course.evaluation import predict_command, score_command

    text = "answers of one model, one JSON line an example; resumes, in one or several processes"
    predict_command.add_arguments(commands.add_parser("predict", help=text, description=text, allow_abbrev=False))
    text = "scores of predictions, with intervals by patient; reads predictions and examples, no model"
    score_command.add_arguments(commands.add_parser("score", help=text, description=text, allow_abbrev=False))
    text = "a table of the paper with our scores beside it"
    _add_table(commands.add_parser("table", help=text, description=text, allow_abbrev=False))


def _add_table(parser: argparse.ArgumentParser) -> None:
    text = "scores.json files of evaluate score, or their folders (default: the paper's rows alone)"
    parser.add_argument("--scores", nargs="*", default=[], metavar="SCORES", help=text)
    text = "1: reports, 2: grounding, 3: choice of the reward"
    parser.add_argument("--table", type=int, required=True, choices=(1, 2, 3), help=text)
    parser.add_argument("--format", default="markdown", choices=("markdown", "latex", "picture"), help="(%(default)s)")
    text = "file to write (default: print; a picture needs one, ending in .png, .pdf or .svg)"
    parser.add_argument("--output", metavar="FILE", help=text)


def run(options: argparse.Namespace) -> int:
    """Run the sub-command ``evaluate_command``; returns the exit status.

    Raises:
        ValueError: wrong options, or predictions, examples or scores that do not fit each other.
        OSError: a file is missing or cannot be read or written.
        RuntimeError: the model cannot be run.
    """
    from radvlm_course.evaluation import predict_command, score_command

    commands = {"predict": predict_command.run, "score": score_command.run, "table": _table}
    return commands[options.evaluate_command](options)


def _table(options: argparse.Namespace) -> int:
    from radvlm_course.evaluation.beside_paper import beside_paper, read_our_scores
    from radvlm_course.evaluation.paper_text import to_latex, to_markdown
    from radvlm_course.evaluation.published import load_table

    picture = options.format == "picture"
    if picture and not (options.output or "").endswith((".png", ".pdf", ".svg")):
        raise ValueError(f"a picture needs --output FILE ending in .png, .pdf or .svg, found {options.output!r}")
    side = beside_paper(load_table(options.table), [read_our_scores(path) for path in options.scores])
    text = to_latex(side) if options.format == "latex" else to_markdown(side)
    if not options.output:
        print(text, end="")
        return 0
    path = Path(options.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    if picture:
        from radvlm_course.viz.beside_paper import draw_beside_paper

        draw_beside_paper(side).savefig(path, dpi=200, bbox_inches="tight", pad_inches=0.08)
    else:
        path.write_text(text, encoding="utf-8")
    print(path)
    return 0
