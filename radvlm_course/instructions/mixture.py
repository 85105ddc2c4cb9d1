"""A mixture: which tasks of which datasets, how much of each, built from studies into files that say how.

The settings are a YAML file (``configs/mixtures/``). A build writes ``train.jsonl``, ``validation.jsonl``,
``test.jsonl``, the other formats that are asked for (:mod:`.formats`), ``card.json`` and ``README.md`` with counts,
seed, settings, licences, digests and everything that was left out. A patient or an image that stands in two splits
stops the build or is left out (:mod:`._selection`). Files appear only when complete; a build whose card and files
match the settings is not repeated, and one that was killed goes on with the datasets that it had not yet read.

The bytes depend on the seed and on the data, not on the number of processes; with ``order: shuffled`` not on the order
of reading either. Thinning keeps the pairs whose hashed identifiers are smallest, so a smaller mixture of the same seed
is a part of the larger one. Left out: balancing by label.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from radvlm_course.instructions._card_text import card_text
from radvlm_course.instructions._counts import fill_card
from radvlm_course.instructions._files import Card, LeakError, sha256
from radvlm_course.instructions._parts import Job, Part, Reading, build_part
from radvlm_course.instructions._processes import Workers
from radvlm_course.instructions._scratch import Scratch
from radvlm_course.instructions._selection import (
    check_own_splits,
    check_repeats,
    choose,
    in_order,
    overlaps,
    unchecked_pools,
)
from radvlm_course.instructions.builder import BuildWarning
from radvlm_course.instructions.formats import FORMATS, format_files, write_format
from radvlm_course.instructions.mixture_settings import (
    SPLITS,
    Entry,
    Mixture,
    MixtureError,
    TaskAmount,
    load_mixture,
    wanted_counts,
)
from radvlm_course.instructions.templates import template_digest
from radvlm_course.records import Study

__all__ = [
    "Entry",
    "LeakError",
    "Mixture",
    "MixtureCard",
    "MixtureError",
    "TaskAmount",
    "build_mixture",
    "load_mixture",
    "wanted_counts",
]

_LINES = 100_000  # copied at a time
_CONVERSATIONS = ("conversation", "grounded_conversation")
FORMAT = 1  # raise it when the same settings give other files
MixtureCard = Card
Studies = Callable[..., Iterable[Study]]


def build_mixture(
    mixture: Mixture | str | os.PathLike[str] | Mapping[str, Any],
    studies: Studies | Mapping[str, Studies],
    output_folder: str | os.PathLike[str],
    seed: int,
    progress: bool = True,
    *,
    fingerprint: str = "",
    read_reports: Mapping[str, Any] | None = None,
    conversations: Mapping[str, str | os.PathLike[str]] | None = None,
    workers: int = 1,
    allow_missing: bool = False,
) -> MixtureCard:
    """Build every split of a mixture and write its files and its card.

    Args:
        studies: gives the studies of a split, for example a :class:`sources.Source`; for a mixture of several datasets
            one such for each of them, called with the split and the reader's options as keywords.
        seed: of wordings, of thinning and of the order.
        fingerprint: identifies the data, for example ``Source.fingerprint()``. A finished build is taken over
            only if settings, seed and fingerprint are equal and its files are unchanged; without a
            fingerprint, changed data goes unnoticed: then give another folder.
        read_reports: split -> the reader's ``ReadReport``, looked at after reading, for the card. Not needed for
            a ``Source``.
        conversations: dataset -> folder of written conversations (:mod:`.written`); of the only dataset under "".
        workers: processes; with more than one, ``studies`` must be picklable, as a ``Source`` is.
        allow_missing: leave out the entries of datasets and conversations that are not given, instead of an error.

    Returns:
        the card, as written to ``card.json``.

    Raises:
        LeakError: a patient or an image stands in two splits of one dataset; nothing is written.
        MixtureError: the train split would be empty, or something that the mixture needs is not given.
    """
    mixture = mixture if isinstance(mixture, Mixture) else load_mixture(mixture)
    folders = {name: os.fspath(folder) for name, folder in (conversations or {}).items()}
    for name, path in folders.items():
        if not os.path.isdir(path):
            raise MixtureError(f"conversations of {name}: expected a folder at {path}, found none")
    given = {"": studies} if callable(studies) else dict(studies)
    mixture, missing = _available(mixture, given, folders, allow_missing)
    folder = Path(output_folder)
    settings = _settings(mixture, seed, fingerprint, missing)
    finished = Card.load_if_complete(folder, settings)
    if finished is not None:
        return finished
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)
    card = Card(mixture.name, seed, settings, options=_told(given), missing=missing)
    with Scratch(folder, settings) as scratch, Workers(workers, progress) as processes:
        parts = _build_parts(mixture, given, folders, seed, processes, scratch)
        files = _choose_and_write(mixture, parts, card, scratch.folder, read_reports or {})
        _finish(mixture, files, folder, card, processes)
    (folder / "README.md").write_text(card_text(card), encoding="utf-8")
    card.save(folder)
    return card


def _available(
    mixture: Mixture, given: Mapping[str, Studies], folders: Mapping[str, str], allow_missing: bool
) -> tuple[Mixture, list[str]]:
    """The mixture of what is given, and what is missing: datasets, and entries without written conversations."""
    named = mixture.sources()
    if bool(named) == ("" in given):
        wanted = f"studies by dataset ({', '.join(named)})" if named else "the studies of one dataset"
        raise MixtureError(f"{mixture.name}: expected {wanted}, found the other form")
    lacking = [name for name in named if name not in given]
    entries = {entry.key: entry for split in mixture.splits for entry in mixture.entries(split)}
    silent = [
        key
        for key, entry in entries.items()
        if entry.task in _CONVERSATIONS and entry.source not in folders and entry.source not in lacking
    ]
    if not lacking and not silent:
        return mixture, []
    if not allow_missing:
        wanted = " and ".join(
            ([f"the datasets {', '.join(lacking)}"] if lacking else [])
            + ([f"folders of written conversations for {', '.join(silent)}"] if silent else [])
        )
        raise MixtureError(
            f"{mixture.name}: expected also {wanted}; give them, or allow them to be missing (--allow-missing; in a "
            "profile, curate.leave_out)"
        )
    return mixture.without([*lacking, *silent]), [*lacking, *silent]


def _told(given: Mapping[str, Studies]) -> dict[str, dict[str, Any]]:
    """Dataset -> the options that its ``Source`` was made with, as JSON has them."""
    options = {getattr(source, "name", name): getattr(source, "options", {}) for name, source in given.items()}
    told: dict[str, dict[str, Any]] = json.loads(json.dumps({k: v for k, v in options.items() if v}, default=str))
    return told


def _settings(mixture: Mixture, seed: int, fingerprint: str, missing: Sequence[str]) -> dict[str, Any]:
    values = dataclasses.asdict(mixture) | {
        "format": FORMAT,
        "seed": seed,
        "fingerprint": fingerprint,
        "template_digest": template_digest(mixture.templates),
        "missing": list(missing),
    }
    normal: dict[str, Any] = json.loads(json.dumps(values))
    return normal


def _readings(mixture: Mixture) -> list[Reading]:
    """Each dataset's split is read once for all entries that want it with the same options."""
    found: dict[str, tuple[Reading, list[tuple[int, Entry]]]] = {}
    for split in mixture.splits:
        for number, entry in enumerate(mixture.entries(split)):
            options = dict(mixture.reader_options.get(entry.source, {})) | entry.options
            for read in entry.reads or [split]:
                key = json.dumps([split, entry.source, read, options], sort_keys=True, default=str)
                reading = Reading(split, entry.source, read, options, ())
                found.setdefault(key, (reading, []))[1].append((number, entry))
    return [dataclasses.replace(reading, entries=tuple(entries)) for reading, entries in found.values()]


def _build_parts(
    mixture: Mixture,
    given: Mapping[str, Studies],
    folders: Mapping[str, str],
    seed: int,
    processes: Workers,
    scratch: Scratch,
) -> dict[str, list[Part]]:
    """Split -> its parts, in the order of the entries."""
    readings = _readings(mixture)
    parts = {number: scratch.load(number, reading) for number, reading in enumerate(readings)}
    waiting = [number for number in parts if parts[number] is None]
    if processes.count > 1:  # the longest first, so that none is left to run alone at the end
        waiting.sort(key=lambda n: -sum((e.paper_pairs or 0) * e.repeat for _, e in readings[n].entries))
    jobs = []
    for number in waiting:
        reading = readings[number]
        shared = (seed, mixture.templates, mixture.semantics, mixture.image_check, folders.get(reading.source))
        jobs.append(Job(reading, given[reading.source], scratch.lines(number), scratch.names(number), *shared))
    for done, part in processes.run(build_part, jobs, mixture.name, " films"):
        parts[waiting[done]] = part
        scratch.save(waiting[done], part)
    found: dict[str, list[Part]] = {split: [] for split in mixture.splits}
    for part in parts.values():
        assert part is not None
        found[part.reading.split].append(part)
    return found


def _choose_and_write(
    mixture: Mixture,
    parts: Mapping[str, list[Part]],
    card: MixtureCard,
    folder: Path,
    read_reports: Mapping[str, Any],
) -> dict[str, Path]:
    """Split -> its file of JSON lines in ``folder``; the card gets the counts."""
    check_own_splits(parts)
    for found in parts.values():
        check_repeats(found)
    choices = choose(mixture, parts)
    card.overlaps = overlaps(parts, choices)
    if card.overlaps and mixture.cross_source_leaks != "allow":
        raise LeakError(f"{mixture.name}: expected splits without common patients and images, found {card.overlaps}")
    card.unchecked = unchecked_pools(parts)
    for message in card.unchecked:
        warnings.warn(f"{mixture.name}: {message}", BuildWarning, stacklevel=3)
    files = {}
    for split in mixture.splits:
        fill_card(mixture, split, parts[split], choices[split], card, read_reports)
        files[split] = folder / f"{split}.jsonl"
        _write_lines(parts[split], *in_order(parts[split], choices[split].kept, mixture.order), files[split])
    return files


def _write_lines(parts: Sequence[Part], of_part: np.ndarray, of_pair: np.ndarray, target: Path) -> None:
    with contextlib.ExitStack() as stack, target.open("wb") as file:
        sources = [stack.enter_context(part.lines.open("rb")).fileno() for part in parts]
        starts = [part.starts.astype(np.int64) for part in parts]
        for number in range(0, len(of_part), _LINES):
            some = slice(number, number + _LINES)
            for part, pair in zip(of_part[some].tolist(), of_pair[some].tolist(), strict=True):
                begin, end = starts[part][pair : pair + 2].tolist()
                file.write(os.pread(sources[part], end - begin, begin))


def _finish(mixture: Mixture, files: Mapping[str, Path], folder: Path, card: MixtureCard, processes: Workers) -> None:
    """Move the lines into place, write the other formats, and put every file's digest on the card."""
    if "train" in mixture.splits and not card.total("train"):
        raise MixtureError(f"{mixture.name}: the studies give no pair to train on; left out: {card.skipped['train']}")
    for split in SPLITS:  # files of an earlier build with other settings must not survive
        for path in (folder / f"{split}.jsonl", *format_files(folder, split)):
            path.unlink(missing_ok=True)
    jobs: list[tuple[str, Path, bool]] = []
    for split, partial in files.items():
        target = partial.replace(folder / f"{split}.jsonl")
        talks = any(task in _CONVERSATIONS for task in card.examples[split])
        jobs.append(("", target, False))
        jobs += [(kind, target, talks) for kind in FORMATS if getattr(mixture, kind) and card.total(split)]
    written = dict(processes.run(_write_and_digest, jobs, f"{mixture.name}: files", " files", len(jobs)))
    for number in range(len(jobs)):
        card.sha256 |= {path.relative_to(folder).as_posix(): value for path, value in written[number].items()}


def _write_and_digest(job: tuple[str, Path, bool], tick: Callable[[int], object]) -> dict[Path, str]:
    kind, jsonl, conversations = job
    paths = write_format(kind, jsonl, conversations) if kind else [jsonl]
    digests = {path: sha256(path) for path in paths}
    tick(1)
    return digests
