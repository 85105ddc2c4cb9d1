"""``python -m radvlm_course experiments NAME ...``: run, collect, write the results page.

What is finished is not run again, so the same command resumes a killed one and a second one only reads. The page,
``runs/<run>/experiments/experiments.md`` with its pictures, holds every experiment of the run that has results.
``--page`` runs nothing: it writes the page of what the package has stored.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from radvlm_course.experiments.arms import Budget
from radvlm_course.experiments.catalogue import EXPERIMENTS

__all__ = ["add_arguments", "run"]

PAGE = "docs/experiments.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default: all): {', '.join(EXPERIMENTS)}")
    parser.add_argument("--profile", default="laptop", help="a profile's name or a YAML file (default: laptop)")
    parser.add_argument("--run", default="course", help="the run whose models they start from (default: course)")
    parser.add_argument("--runs-root", default="runs", help="folder of all run folders (default: runs)")
    parser.add_argument("--steps", type=int, help="of each training (default: the experiment's own)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(Budget().seeds), help="(default: 0 1 2)")
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time (%(default)s)")
    parser.add_argument("--store", action="store_true", help="keep the results in the package, for the notebooks")
    text = "run nothing: write the page of the stored results (default: docs/experiments.md)"
    parser.add_argument("--page", nargs="?", const=PAGE, metavar="FILE", help=text)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> int:
    """Run the experiments, print their tables and verdicts, and write the page. Returns 0.

    Raises:
        ValueError: there is no such experiment, or ``--page`` is given together with what is to run.
        RunError: some arms failed; the others are kept.
    """
    from radvlm_course.experiments.claims import read_aloud
    from radvlm_course.experiments.page import finished_in, write_page
    from radvlm_course.experiments.results import collect
    from radvlm_course.experiments.running import run_experiment
    from radvlm_course.stages import open_course

    if options.page:
        return _write_stored_page(options)
    if unknown := sorted(set(options.names) - set(EXPERIMENTS)):
        raise ValueError(f"no experiment called {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}")
    course = open_course(options.profile, options.run, root=options.runs_root, progress=not options.quiet)
    for name in options.names or EXPERIMENTS:
        experiment = EXPERIMENTS[name]
        budget = Budget(steps=options.steps or experiment.steps, seeds=tuple(options.seeds))
        started = time.perf_counter()
        run_experiment(course, experiment, budget, options.workers, not options.quiet)
        results = collect(course, experiment, budget, _command(experiment.name, budget))
        print(f"\n{experiment.title} ({time.perf_counter() - started:.0f} s)\n\n{results.to_markdown()}")
        print(read_aloud(results), flush=True)
        if options.store:
            stored = Path(__file__).with_name("stored")
            stored.mkdir(exist_ok=True)
            results.write(stored / f"{name}.json")
    page = course.run.folder / "experiments" / "experiments.md"
    write_page(page, finished_in(course.run.folder))
    print(f"\nthe results page: {page}")
    return 0


def _write_stored_page(options: argparse.Namespace) -> int:
    from radvlm_course.experiments.page import all_stored, write_page

    if options.names or options.store:
        raise ValueError("--page writes what is stored and runs nothing: give it alone")
    path = Path(options.page)
    if not path.parent.is_dir():
        raise ValueError(f"expected a folder {path.parent}, found none: run it where the course lies, or name a file")
    print(f"{path}, {len(write_page(path, all_stored()))} pictures")
    return 0


def _command(name: str, budget: Budget) -> str:
    seeds = " ".join(map(str, budget.seeds))
    return f"python -m radvlm_course experiments {name} --steps {budget.steps} --seeds {seeds}"
