"""A mixture: which tasks, how much of each, built from studies into files that say how they were made.

The settings are a YAML file (``configs/mixtures/``). A build writes ``train.jsonl``, ``validation.jsonl``,
``test.jsonl`` (and Parquet) and ``card.json`` with counts, seed, settings, digests and everything that was left out.
It refuses to finish if a patient or an image stands in two splits. Files appear only when complete, so a killed
build leaves none half-written; a build whose card and files match the settings is not repeated.

Thinning keeps the pairs whose hashed identifiers are smallest: the choice depends on the seed and on the pair, not
on the order of reading. Left out: balancing by label.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from radvlm_course.instructions._files import Card, LeakCheck, LeakError, sha256
from radvlm_course.instructions.builder import BuildOptions, BuildReport, BuildWarning, build_examples
from radvlm_course.instructions.mixture_settings import (
    SPLITS,
    Mixture,
    MixtureError,
    TaskAmount,
    load_mixture,
    wanted_counts,
)
from radvlm_course.instructions.templates import template_digest
from radvlm_course.records import Example, Study, read_jsonl, to_dict, write_parquet

__all__ = [
    "LeakError",
    "Mixture",
    "MixtureCard",
    "MixtureError",
    "TaskAmount",
    "build_mixture",
    "load_mixture",
]

FORMAT = 1  # raise it when the same settings give other files
MixtureCard = Card


def build_mixture(
    mixture: Mixture | str | os.PathLike[str] | Mapping[str, Any],
    studies_by_split: Callable[[str], Iterable[Study]],
    output_folder: str | os.PathLike[str],
    seed: int,
    progress: bool = True,
    *,
    fingerprint: str = "",
    read_reports: Mapping[str, Any] | None = None,
) -> MixtureCard:
    """Build every split of a mixture and write ``{split}.jsonl`` and ``card.json``.

    Args:
        studies_by_split: gives the studies of a split, for example a :class:`sources.Source`.
        seed: of wordings and of thinning.
        fingerprint: identifies the data, for example ``Source.fingerprint()``. A finished build is taken over
            only if settings, seed and fingerprint are equal and its files are unchanged; without a
            fingerprint, changed data goes unnoticed: then give another folder.
        read_reports: split -> the reader's ``ReadReport``, looked at after reading, for the card.

    Returns:
        the card, as written to ``card.json``.

    Raises:
        LeakError: a patient or an image stands in two splits; nothing is written.
        MixtureError: the train split would be empty.
    """
    mixture = mixture if isinstance(mixture, Mixture) else load_mixture(mixture)
    folder = Path(output_folder)
    settings = _settings(mixture, seed, fingerprint)
    finished = Card.load_if_complete(folder, settings)
    if finished is not None:
        return finished
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)
    card = Card(mixture.name, seed, settings)
    leaks = LeakCheck(by_content=mixture.image_check == "content")
    written: dict[Path, Path] = {}
    try:
        for split in mixture.splits:
            studies = leaks.watch(_with_progress(studies_by_split(split), f"{mixture.name}: {split}", progress), split)
            partial = folder / f".{split}.jsonl.partial"
            written[partial] = folder / f"{split}.jsonl"
            _build_split(mixture, split, studies, partial, seed, card)
            card.studies[split], card.patients[split] = leaks.studies[split], leaks.patients_of(split)
            if read_reports and split in read_reports:
                card.read[split] = read_reports[split].to_dict()
        _finish(mixture, written, card)
    finally:
        for partial in written:
            partial.unlink(missing_ok=True)
    card.save(folder)
    return card


def _settings(mixture: Mixture, seed: int, fingerprint: str) -> dict[str, Any]:
    values = dataclasses.asdict(mixture) | {
        "format": FORMAT,
        "seed": seed,
        "fingerprint": fingerprint,
        "template_digest": template_digest(mixture.templates),
    }
    normal: dict[str, Any] = json.loads(json.dumps(values))
    return normal


def _with_progress(studies: Iterable[Study], title: str, progress: bool) -> Iterable[Study]:
    from tqdm import tqdm

    return tqdm(studies, desc=title, unit=" studies", disable=not progress)


def _build_split(
    mixture: Mixture, split: str, studies: Iterable[Study], partial: Path, seed: int, card: MixtureCard
) -> None:
    """Write the kept pairs of one split to ``partial`` and count them on the card."""
    amounts = mixture.splits[split]
    report = BuildReport()
    examples = build_examples(
        studies,
        list(amounts),
        seed,
        {task: amount.repeat for task, amount in amounts.items()},
        options=BuildOptions(mixture.templates, mixture.semantics),
        report=report,
    )
    spool = partial.with_suffix(".spool")
    try:
        ranks = _spool(examples, spool, seed)
        kept = _kept(ranks, amounts, f"{mixture.name}: {split}")
        _write_kept(spool, partial, kept, card, split)
    finally:
        spool.unlink(missing_ok=True)
    card.skipped[split] = report.to_dict()["skipped"]
    card.thinned[split] = {task: len(found) - len(kept[task]) for task, found in sorted(ranks.items())}


Ranks = dict[str, list[tuple[int, int]]]  # task -> (rank of the pair in thinning, its line in the spool file)


def _spool(examples: Iterable[Example], path: Path, seed: int) -> Ranks:
    ranks: Ranks = {}
    seen: set[int] = set()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line, example in enumerate(examples):
            digest = hashlib.blake2b(f"{seed}\x1f{example.id}".encode(), digest_size=8).digest()
            rank = int.from_bytes(digest, "big")
            if rank in seen:
                raise MixtureError(
                    f"expected every pair once, found {example.id} again: does the source repeat studies?"
                )
            seen.add(rank)
            ranks.setdefault(example.task, []).append((rank, line))
            _write_line(file, to_dict(example))
    return ranks


def _write_line(file: TextIO, values: dict[str, Any]) -> None:
    file.write(json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")


def _kept(ranks: Ranks, amounts: Mapping[str, TaskAmount], title: str) -> dict[str, set[int]]:
    """Task -> the lines that stay."""
    available = {task: len(ranks.get(task, ())) for task in amounts}
    wanted = wanted_counts(available, amounts)
    for task, count in available.items():
        if not count:
            warnings.warn(f"{title}: the studies give no pair for {task}", BuildWarning, stacklevel=5)
    return {task: {line for _, line in sorted(ranks.get(task, ()))[: wanted[task]]} for task in amounts}


def _write_kept(spool: Path, target: Path, kept: Mapping[str, set[int]], card: MixtureCard, split: str) -> None:
    lines = set().union(*kept.values())
    counts: Counter[str] = Counter()
    labels: dict[str, Counter[str]] = {}
    with spool.open(encoding="utf-8") as source, target.open("w", encoding="utf-8", newline="\n") as file:
        for number, text in enumerate(source):
            if number in lines:
                file.write(text)
                values = json.loads(text)
                counts[values["task"]] += 1
                labels.setdefault(values["task"], Counter()).update(values["labels"] or ["(none)"])
    card.examples[split] = dict(sorted(counts.items()))
    card.labels[split] = {task: dict(sorted(found.items())) for task, found in sorted(labels.items())}


def _finish(mixture: Mixture, written: Mapping[Path, Path], card: MixtureCard) -> None:
    if "train" in mixture.splits and not card.examples["train"]:
        raise MixtureError(f"{mixture.name}: the studies give no pair to train on; left out: {card.skipped['train']}")
    for split in SPLITS:  # files of an earlier build with other settings must not survive
        for name in (f"{split}.jsonl", f"{split}.parquet"):
            (next(iter(written)).parent / name).unlink(missing_ok=True)
    for partial, target in written.items():
        partial.replace(target)
        card.sha256[target.name] = sha256(target)
        split = target.stem
        if mixture.parquet and card.examples[split]:
            table = target.with_suffix(".parquet")
            write_parquet(read_jsonl(target, Example), table)
            card.sha256[table.name] = sha256(table)
