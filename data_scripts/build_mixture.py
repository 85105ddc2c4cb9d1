"""Build a mixture of instruction pairs: read, compare splits, write JSONL, Parquet, LLaVA, verl files and a card.

From one dataset:

    python data_scripts/build_mixture.py --source nih_chestxray14 --root /data/nih --output build/nih

From several, each with its folder; conversations were written before by data_scripts/write_conversations.py:

    python data_scripts/build_mixture.py --mixture radvlm --output build/radvlm --workers 2 \\
        --root mimic_cxr=/data/mimic-cxr-jpg --root chest_imagenome=/data/chest-imagenome ... \\
        --conversations mimic_cxr=/data/mimic-cxr-jpg --option chexpert_plus.text_from=sections

A dataset that is drawn on the films of MIMIC-CXR finds them in the folder of mimic_cxr. --set changes a setting of the
mixture for this build (--set cross_source_leaks=allow), --allow-missing builds with the datasets that you have.

Datasets: see ``radvlm_course.sources``; mixtures: ``radvlm_course/configs/mixtures`` or a YAML file of your own. A
finished build with the same settings and the same data is not repeated; a killed one goes on.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import yaml

from radvlm_course.instructions import MixtureCard, MixtureError, build_mixture, load_mixture
from radvlm_course.settings import parse_yaml
from radvlm_course.sources import READERS, Source, SourceError


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixture", default="laptop", help="name of a packaged mixture or a YAML file")
    parser.add_argument("--source", choices=sorted(READERS), help="which dataset, for a mixture of one")
    parser.add_argument("--root", action="append", default=[], help="its folder; or DATASET=FOLDER, several times")
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
    sources = _sources(chosen)
    if not chosen.source:
        sources = {name: source for name, source in sources.items() if name in mixture.sources()}
    folders = dict(_halves(folder, "--conversations") for folder in chosen.conversations)
    parts = [source.fingerprint() for _, source in sorted(sources.items())]
    parts += [f"{name} {_listing(Path(folder))}" for name, folder in sorted(folders.items())]
    if chosen.source:
        folders = {"" if name == chosen.source else name: folder for name, folder in folders.items()}
    return build_mixture(
        mixture,
        sources[chosen.source] if chosen.source else sources,
        chosen.output,
        chosen.seed,
        progress=not chosen.quiet,
        fingerprint=parts[0] if len(parts) == 1 else hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        conversations=folders,
        workers=chosen.workers,
        allow_missing=chosen.allow_missing,
    )


def _sources(chosen: argparse.Namespace) -> dict[str, Source]:
    """Dataset -> what reads it."""
    if chosen.source and len(chosen.root) != 1:
        raise MixtureError(f"--source {chosen.source}: expected one --root FOLDER, found {len(chosen.root)}")
    named = [f"{chosen.source}={chosen.root[0]}"] if chosen.source else chosen.root
    roots = dict(_halves(root, "--root") for root in named)
    options: dict[str, dict[str, Any]] = {name: {} for name in roots}
    for setting in chosen.option:
        target, value = _halves(setting, "--option")
        name, _, option = target.partition(".")
        if name not in options:
            raise MixtureError(f"--option {setting}: expected one of the datasets {', '.join(options)}, found {name}")
        options[name][option] = _value(value)
    sources = {name: Source(name, root, **options[name]) for name, root in roots.items()}
    for name, source in sources.items():
        if name != "mimic_cxr" and "mimic_cxr" in roots and source.has_option("mimic_root"):
            source.options.setdefault("mimic_root", roots["mimic_cxr"])
    return sources


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


def _listing(folder: Path) -> str:
    """A digest of the names and sizes of the files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*.json") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode())
    return digest.hexdigest()


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
