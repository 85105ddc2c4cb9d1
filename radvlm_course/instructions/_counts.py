"""What a build puts on its card about one split."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from radvlm_course.instructions._files import Card
from radvlm_course.instructions._parts import Part, Reading
from radvlm_course.instructions._selection import Choice
from radvlm_course.instructions.build_report import BuildWarning
from radvlm_course.instructions.mixture_settings import Entry, Mixture
from radvlm_course.sources.catalogue import dataset

__all__ = ["fill_card"]


def fill_card(
    mixture: Mixture,
    split: str,
    parts: Sequence[Part],
    choice: Choice,
    card: Card,
    read_reports: Mapping[str, Any],
) -> None:
    """Put the counts of a split on the card, and warn of what the data lacks.

    Args:
        read_reports: split -> the reader's report, where the parts have none.
    """
    entries = mixture.entries(split)
    card.studies[split] = _different(part.images for part in parts)
    card.patients[split] = _different(part.patients for part in parts)
    card.entries[split] = [_entry_counts(entry, number, choice) for number, entry in enumerate(entries)]
    kept, thinned = Counter[str](), Counter[str]()
    for told in card.entries[split]:
        if told["built"]:
            kept[told["task"]] += told["kept"]
            thinned[told["task"]] += told["thinned"]
        else:
            what = f"{told['source']}/{told['task']}" if told["source"] else told["task"]
            warnings.warn(f"{mixture.name}: {split}: the studies give no pair for {what}", BuildWarning, stacklevel=5)
    card.examples[split] = {task: count for task, count in sorted(kept.items()) if count}
    card.thinned[split] = dict(sorted(thinned.items()))
    card.labels[split] = _label_counts(entries, parts, choice)
    card.skipped[split] = []
    for part in parts:
        named = {"source": part.reading.source} if part.reading.source else {}
        named |= {"read": part.reading.read} if part.reading.read != split else {}
        card.skipped[split] += [named | entry for entry in part.report.to_dict()["skipped"]]
        part.report.warn()
        read = part.read or (read_reports[split].to_dict() if split in read_reports else None)
        if read is not None:
            card.read[_reading_name(part.reading, card.read)] = read
        for name in part.sources:
            card.datasets[name] = dataclasses.asdict(dataset(name))


def _different(digests: Iterable[np.ndarray]) -> int:
    return len(np.unique(np.concatenate([np.empty(0, np.uint64), *digests])))


def _entry_counts(entry: Entry, number: int, choice: Choice) -> dict[str, Any]:
    left_out = dict(sorted(choice.left_out[number].items()))
    built, kept = choice.built[number], choice.wanted[number]
    counts: dict[str, Any] = {"task": entry.task, "source": entry.source, "repeat": entry.repeat, "built": built}
    counts |= {"left_out": left_out, "thinned": built - sum(left_out.values()) - kept, "kept": kept}
    return counts | {"paper": entry.paper_pairs and entry.paper_pairs * entry.repeat}


def _label_counts(entries: Sequence[Entry], parts: Sequence[Part], choice: Choice) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for part, kept in zip(parts, choice.kept, strict=True):
        for number, entry in part.reading.entries:
            found = np.bincount(part.labels[kept & (part.entries == number)], minlength=len(part.label_sets))
            for code in np.flatnonzero(found).tolist():
                for label in part.label_sets[code] or ("(none)",):
                    counts.setdefault(entry.task, Counter())[label] += int(found[code])
    return {task: dict(sorted(found.items())) for task, found in sorted(counts.items())}


def _reading_name(reading: Reading, taken: Mapping[str, Any]) -> str:
    """``train``, ``ms_cxr train``, or ``mimic_cxr train (2)`` if it was read before with other options."""
    name = f"{reading.source} {reading.read}".strip()
    number = 2
    while name in taken:
        name, number = f"{name.split(' (')[0]} ({number})", number + 1
    return name
