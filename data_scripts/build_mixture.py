"""Build a mixture of instruction pairs from one dataset: read, split by patient, write JSONL, Parquet and a card.

    python data_scripts/build_mixture.py --source nih_chestxray14 --root /data/nih --output build/nih

Datasets: see ``radvlm_course.sources``; mixtures: ``radvlm_course/configs/mixtures`` or a YAML file of your own.
A finished build with the same settings and the same data is not repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from radvlm_course.instructions import MixtureCard, build_mixture
from radvlm_course.sources import READERS, Source


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, choices=sorted(READERS), help="which dataset")
    parser.add_argument("--root", required=True, type=Path, help="its folder")
    parser.add_argument("--output", required=True, type=Path, help="folder for the pairs and their card")
    parser.add_argument("--mixture", default="laptop", help="name of a packaged mixture or a YAML file")
    parser.add_argument("--seed", type=int, default=0, help="of wordings and thinning")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    source = Source(options.source, options.root)
    card = build_mixture(
        options.mixture,
        source,
        options.output,
        options.seed,
        progress=not options.quiet,
        fingerprint=source.fingerprint(),
        read_reports=source.reports,
    )
    print(summary(card))


def summary(card: MixtureCard) -> str:
    """A small table: pairs by split and task."""
    lines = [f"{'split':<12}{'studies':>9}{'patients':>10}  pairs"]
    for split, pairs in card.examples.items():
        listed = ", ".join(f"{task} {count}" for task, count in pairs.items()) or "none"
        lines.append(f"{split:<12}{card.studies[split]:>9}{card.patients[split]:>10}  {listed}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
