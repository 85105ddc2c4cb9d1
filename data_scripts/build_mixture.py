"""Build a mixture of instruction pairs: read, compare splits, write JSONL, Parquet, LLaVA, verl files and a card.

From one dataset:

    python data_scripts/build_mixture.py --source nih_chestxray14 --root /data/nih --output build/nih

From several, in one folder that has a sub-folder for each, named as the readers are (data/open_i, data/mimic_cxr):

    python data_scripts/build_mixture.py --mixture open_data --root data --output build/open_data --workers 2

or each in its own:

    python data_scripts/build_mixture.py --mixture radvlm --output build/radvlm --workers 2 \\
        --root mimic_cxr=/data/mimic-cxr-jpg --root chest_imagenome=/data/chest-imagenome ... \\
        --conversations mimic_cxr=/data/talks/mimic --option chexpert_plus.text_from=sections

A dataset that is drawn on the films of MIMIC-CXR finds them in the folder of mimic_cxr. Conversations were written
before by data_scripts/write_conversations.py; those that lie in the dataset's folder need not be named. --set changes a
setting of the mixture for this build (--set cross_source_leaks=allow), --allow-missing builds with the datasets that
you have.

Datasets: see ``radvlm_course.sources``; mixtures: ``radvlm_course/configs/mixtures`` or a YAML file of your own. A
finished build with the same settings and the same data is not repeated; a killed one goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from radvlm_course.instructions import MixtureCard, MixtureError, build_mixture, load_mixture
from radvlm_course.settings import parse_yaml
from radvlm_course.sources import READERS, Source, SourceError
from radvlm_course.sources.folders import find_conversations, find_sources, fingerprint


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixture", default="laptop", help="name of a packaged mixture or a YAML file")
    parser.add_argument("--source", choices=sorted(READERS), help="which dataset, for a mixture of one")
    parser.add_argument("--root", action="append", default=[], help="FOLDER, or DATASET=FOLDER several times")
    parser.add_argument("--conversations", action="append", default=[], help="DATASET=FOLDER of written conversations")
    parser.add_argument("--option", action="append", default=[], help="DATASET.OPTION=VALUE for a dataset's reader")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, a setting of the mixture")
    parser.add_argument("--allow-missing", action="store_true", help="leave out datasets that are not given")
    parser.add_argument("--output", required=True, type=Path, help="folder for the pairs and their card")
    parser.add_argument("--seed", type=int, default=0, help="of wordings, thinning and order")
    parser.add_argument("--workers", type=int, default=1, help="processes, each reading one dataset at a time")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    chosen = parser.parse_args(arguments)
    try:
        print(summary(build(chosen)))
    except (MixtureError, SourceError) as error:
        parser.exit(2, f"{error}\n")


def build(chosen: argparse.Namespace) -> MixtureCard:
    """Build as the command line says."""
    changes = {name: _value(text) for name, text in (_halves(setting, "--set") for setting in chosen.set)}
    mixture = load_mixture({"base": chosen.mixture, **changes})
    if not chosen.source and not mixture.sources():
        raise MixtureError(f"{mixture.name}: a mixture of one dataset; name it with --source")
    sources = _sources(chosen, [chosen.source] if chosen.source else mixture.sources())
    folders = find_conversations(sources) | dict(_halves(folder, "--conversations") for folder in chosen.conversations)
    return build_mixture(
        mixture,
        sources[chosen.source] if chosen.source else sources,
        chosen.output,
        chosen.seed,
        progress=not chosen.quiet,
        fingerprint=fingerprint(sources, folders),
        conversations={"" if name == chosen.source else name: folder for name, folder in folders.items()},
        workers=chosen.workers,
        allow_missing=chosen.allow_missing,
    )


def _sources(chosen: argparse.Namespace, names: Sequence[str]) -> dict[str, Source]:
    """Dataset -> what reads it, of those that are wanted and there."""
    named = [f"{chosen.source}={root}" for root in chosen.root] if chosen.source else chosen.root
    folders = [root for root in named if "=" not in root]
    if len(folders) > 1 or (chosen.source and len(named) != 1):
        wanted = f"one --root FOLDER for {chosen.source}" if chosen.source else "one --root FOLDER"
        raise MixtureError(f"expected {wanted}, found {len(chosen.root)}; others are given as DATASET=FOLDER")
    roots = dict(_halves(root, "--root") for root in named if "=" in root)
    options: dict[str, dict[str, Any]] = {}
    for setting in chosen.option:
        target, value = _halves(setting, "--option")
        name, _, option = target.partition(".")
        options.setdefault(name, {})[option] = _value(value)
    return find_sources(folders[0] if folders else None, names, roots, options)


def _halves(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise MixtureError(f"{option} {text}: expected NAME=VALUE")
    return name, value


def _value(text: str) -> Any:
    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise MixtureError(f"expected a value, found {text!r}: {error}") from error


def summary(card: MixtureCard) -> str:
    """Small tables: pairs by split and entry, then what needs a look."""
    lines = [f"{'split':<12}{'films':>9}{'patients':>10}{'pairs':>11}"]
    for split in card.examples:
        lines.append(f"{split:<12}{card.studies[split]:>9,}{card.patients[split]:>10,}{card.total(split):>11,}")
    lines += ["", f"{'split':<12}{'task':<27}{'dataset':<17}{'kept':>9}{'built':>10}{'left out':>10}{'paper':>9}"]
    for split, entries in card.entries.items():
        for entry in entries:
            left_out, paper = sum(entry["left_out"].values()), f"{entry['paper']:,}" if entry["paper"] else ""
            lines.append(
                f"{split:<12}{entry['task']:<27}{entry['source']:<17}{entry['kept']:>9,}{entry['built']:>10,}"
                f"{left_out:>10,}{paper:>9}"
            )
    lines += [f"not given: {name}" for name in card.missing] + [f"not checked: {text}" for text in card.unchecked]
    lines += [f"in both {pair}, allowed: {common}" for pair, common in card.overlaps.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
