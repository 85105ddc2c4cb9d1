"""``python -m radvlm_course experiments NAME ...``: run, collect, draw.

What is finished is not run again, so the same command resumes a killed one and a second one only reads.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from radvlm_course.experiments.arms import Budget
from radvlm_course.experiments.catalogue import EXPERIMENTS

__all__ = ["add_arguments", "run"]


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
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> int:
    """Run the experiments and print their tables. Returns 0.

    Raises:
        ValueError: there is no such experiment.
        RunError: some arms failed; the others are kept.
    """
    from radvlm_course.experiments.results import collect
    from radvlm_course.experiments.running import run_experiment
    from radvlm_course.stages import open_course

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
        print(f"The paper: {experiment.paper}")
        if options.store:
            stored = Path(__file__).with_name("stored")
            stored.mkdir(exist_ok=True)
            results.write(stored / f"{name}.json")
    return 0


def _command(name: str, budget: Budget) -> str:
    seeds = " ".join(map(str, budget.seeds))
    return f"python -m radvlm_course experiments {name} --steps {budget.steps} --seeds {seeds}"
