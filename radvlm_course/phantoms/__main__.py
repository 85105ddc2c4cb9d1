"""``python -m radvlm_course.phantoms``: print the statistics of docs/phantoms.md, or write a corpus."""

from __future__ import annotations

import argparse
import sys

from radvlm_course.phantoms.corpus import CorpusError, write_corpus
from radvlm_course.phantoms.statistics import Population, measure_population, survey


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m radvlm_course.phantoms", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    statistics = commands.add_parser("statistics", help="print what a population contains (the default)")
    statistics.add_argument("--phantoms", type=int, default=1500, help="seeds 0 to this number")
    write = commands.add_parser("write", help="write a corpus to a folder")
    write.add_argument("root")
    write.add_argument("--train", type=int, default=600, help="patients")
    write.add_argument("--validation", type=int, default=75, help="patients")
    write.add_argument("--test", type=int, default=150, help="patients")
    write.add_argument("--size", type=int, default=128, help="pixels along each side")
    write.add_argument("--seed", type=int, default=0)
    write.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.command == "write":
        patients = {"train": options.train, "validation": options.validation, "test": options.test}
        try:
            write_corpus(options.root, patients, options.size, options.seed, options.workers)
        except CorpusError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    else:
        print(format_population(measure_population(survey(range(getattr(options, "phantoms", 1500))))))
    return 0


def format_population(population: Population) -> str:
    """A Markdown table and a line on the reports."""
    low, mean, high = population.words
    lines = [
        f"{population.phantoms} phantoms, {population.normal:.0%} normal; reports of {low} to {high} words "
        f"(mean {mean:.1f}), {population.vocabulary} distinct words; "
        f"{population.uncertain:.1%} of the findings worded with doubt.",
        "",
        "| finding | films | boxes a film | width (10, 50, 90%) | height (10, 50, 90%) "
        "| mean box | commonest side's mean box | the same, side known |",
        "|---|---:|---:|---|---|---:|---:|---:|",
    ]
    for row in population.findings:
        width, height = (", ".join(f"{value:.2f}" for value in each) for each in (row.width, row.height))
        lines.append(
            f"| {row.finding} | {row.share:.2f} | {row.boxes:.2f} | {width} | {height} "
            f"| {row.mean_box:.2f} | {row.side_box:.2f} | {row.within_side:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
