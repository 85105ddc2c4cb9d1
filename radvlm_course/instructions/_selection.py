"""Which pairs of the parts stay in a mixture: no leak, then the wanted amounts, then an order.

Three rules about leaks, checked on every build:

1. A dataset's own splits share no patient and no image; otherwise the build stops (:func:`check_own_splits`).
2. What an evaluation split holds is left out of the splits below it, whichever dataset it comes from
   (:func:`choose`): Chest ImaGenome tests on films that MIMIC-CXR trains on. This rule can be switched off.
3. What is left shares no patient and no image between splits (:func:`overlaps`).

A patient or an image is a digest of 64 bits here; two different ones of a million agree by chance once in
30 million builds, and then a film too many is left out or the build stops.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from radvlm_course.instructions._files import LeakError
from radvlm_course.instructions._parts import Part
from radvlm_course.instructions.mixture_settings import SPLITS, Entry, Mixture, MixtureError, wanted_counts
from radvlm_course.sources.catalogue import dataset

__all__ = ["Choice", "check_own_splits", "check_repeats", "choose", "in_order", "overlaps", "unchecked_pools"]

KINDS = {"patient": "patients", "image": "images", "image content": "contents"}  # name -> attribute of a part
Parts = Mapping[str, Sequence[Part]]  # split -> its parts


@dataclass
class Choice:
    """What is kept of a split.

    Attributes:
        kept: for each part, which of its pairs stay (boolean).
        built, wanted: of each entry, by its number, pairs that the data gives and pairs that stay.
        left_out: of each entry, reason -> pairs left out because a higher split holds their film.
    """

    kept: list[np.ndarray]
    built: list[int]
    wanted: list[int]
    left_out: list[Counter[str]] = field(default_factory=list)


class _Held(NamedTuple):
    """What a split holds: kind -> sorted digests, each once."""

    split: str
    keys: Mapping[str, np.ndarray]


def _holds(split: str, parts: Sequence[Part], kept: Sequence[np.ndarray] | None) -> _Held:
    """What all films of some parts hold, or those of the kept pairs."""
    keys = {}
    for kind, name in KINDS.items():
        found: list[np.ndarray] = [getattr(part, name) for part in parts]
        if kept is not None:
            films = [part.films[mask] for part, mask in zip(parts, kept, strict=True)]
            found = [values[rows] if values.size else values for values, rows in zip(found, films, strict=True)]
        keys[kind] = np.unique(np.concatenate([np.empty(0, np.uint64), *found]))
    return _Held(split, keys)


def check_repeats(parts: Iterable[Part]) -> None:
    """Refuse a pair that was built twice.

    Raises:
        MixtureError: names the pair.
    """
    seen = np.empty(0, np.uint64)
    for part in parts:
        new = np.sort(part.ranks)
        twice = new[1:][new[1:] == new[:-1]]
        if not twice.size:
            twice = np.intersect1d(new, seen, assume_unique=True)
        if twice.size:
            pair = json.loads(part.line(int(np.flatnonzero(part.ranks == twice[0])[0])))
            raise MixtureError(f"expected every pair once, found {pair['id']} again: does the source repeat studies?")
        seen = np.concatenate([seen, new])


def check_own_splits(parts: Parts) -> None:
    """Refuse a dataset whose own splits share a patient or an image.

    Raises:
        LeakError: names two studies.
    """
    split_parts = [part for split in SPLITS for part in parts.get(split, ())]
    for number, later in enumerate(split_parts):
        for earlier in split_parts[:number]:
            if earlier.reading.source == later.reading.source and earlier.reading.split != later.reading.split:
                _refuse_common(earlier, later)


def _refuse_common(earlier: Part, later: Part) -> None:
    for kind, name in KINDS.items():
        common = np.intersect1d(getattr(earlier, name), getattr(later, name))
        if common.size:
            first = earlier.film_name(int(np.flatnonzero(getattr(earlier, name) == common[0])[0]))
            second = later.film_name(int(np.flatnonzero(getattr(later, name) == common[0])[0]))
            value = second[2] if kind == "patient" else second[1]
            raise LeakError(
                f"{kind} in two splits: {second[0]} ({second[1]}) in {later.reading.split} and {first[0]} in "
                f"{earlier.reading.split} have the same {kind} ({value}); split by patient before building"
            )


def choose(mixture: Mixture, parts: Parts) -> dict[str, Choice]:
    """What stays of each split. The highest split is chosen first: test, then validation, then train."""
    held: list[_Held] = []
    choices: dict[str, Choice] = {}
    for split in reversed([split for split in SPLITS if split in mixture.splits]):
        entries = mixture.entries(split)
        choice = Choice([], [0] * len(entries), [0] * len(entries), [Counter() for _ in entries])
        for part in parts[split]:
            _count(choice.built, part.entries)
            choice.kept.append(_not_held(part, held if mixture.cross_source_leaks == "leave_out" else [], choice))
        _thin(mixture, split, entries, parts[split], choice)
        choices[split] = choice
        held.append(_holds(split, parts[split], choice.kept if mixture.held_out == "pairs" else None))
    return choices


def _count(counts: list[int], entries: np.ndarray) -> None:
    for number, count in enumerate(np.bincount(entries, minlength=len(counts)).tolist()):
        counts[number] += count


def _not_held(part: Part, held: Sequence[_Held], choice: Choice) -> np.ndarray:
    """Which pairs of a part no higher split holds; the others are counted."""
    free = np.ones(len(part.ranks), bool)
    for above in held:
        for kind, name in KINDS.items():
            values: np.ndarray = getattr(part, name)
            if not values.size or not above.keys[kind].size:
                continue
            caught = free & np.isin(values, above.keys[kind])[part.films]
            for number, count in enumerate(np.bincount(part.entries[caught], minlength=len(choice.built)).tolist()):
                if count:
                    choice.left_out[number][f"{kind} in {above.split}"] += count
            free &= ~caught
    return free


def _thin(mixture: Mixture, split: str, entries: Sequence[Entry], parts: Sequence[Part], choice: Choice) -> None:
    """Keep of each entry the wanted number of pairs, those whose ranks are smallest."""
    available = {
        entry.key: choice.built[number] - sum(choice.left_out[number].values()) for number, entry in enumerate(entries)
    }
    wanted = wanted_counts(available, {entry.key: entry for entry in entries}, mixture.scale.get(split, 1.0))
    for number, entry in enumerate(entries):
        count = choice.wanted[number] = wanted[entry.key]
        if count == available[entry.key]:
            continue
        masks = [kept & (part.entries == number) for part, kept in zip(parts, choice.kept, strict=True)]
        ranks = np.concatenate([part.ranks[mask] for part, mask in zip(parts, masks, strict=True)])
        last = np.partition(ranks, count - 1)[count - 1]
        for part, kept, mask in zip(parts, choice.kept, masks, strict=True):
            kept &= ~(mask & (part.ranks > last))


def in_order(parts: Sequence[Part], kept: Sequence[np.ndarray], order: str) -> tuple[np.ndarray, np.ndarray]:
    """(number of the part, number of the pair within it) of every kept pair, in the order of the file."""
    pairs = [np.flatnonzero(mask) for mask in kept]
    of_part = np.concatenate([np.empty(0, np.int64), *[np.full(len(found), n) for n, found in enumerate(pairs)]])
    of_pair = np.concatenate([np.empty(0, np.int64), *pairs])
    if order == "shuffled":
        ranks = [part.ranks[found] for part, found in zip(parts, pairs, strict=True)]
        position = np.argsort(_mixed(np.concatenate([np.empty(0, np.uint64), *ranks])), kind="stable")
        of_part, of_pair = of_part[position], of_pair[position]
    return of_part, of_pair


def _mixed(ranks: np.ndarray) -> np.ndarray:
    """The ranks scrambled one to one (the finaliser of SplitMix64): thinning took the small ones of some entries
    only, so their own order would put those entries first."""
    with np.errstate(over="ignore"):
        mixed = ranks + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def overlaps(parts: Parts, choices: Mapping[str, Choice]) -> dict[str, dict[str, int]]:
    """``higher/lower`` split -> kind -> how many the kept pairs of both splits have in common, where they have any."""
    found: dict[str, dict[str, int]] = {}
    held = [_holds(split, parts[split], choices[split].kept) for split in reversed(SPLITS) if split in choices]
    for number, higher in enumerate(held):
        for lower in held[number + 1 :]:
            common = {kind: len(np.intersect1d(higher.keys[kind], lower.keys[kind])) for kind in KINDS}
            if any(common.values()):
                found[f"{higher.split}/{lower.split}"] = common
    return found


def unchecked_pools(parts: Parts) -> list[str]:
    """Which datasets took their films from one collection, stand in different splits and share no patient.

    Either they are disjoint, or they write identifiers differently; nothing here can tell.
    """
    patients: dict[str, list[np.ndarray]] = {}
    stands_in: dict[str, set[str]] = {}
    for split, found in parts.items():
        for part in found:
            patients.setdefault(part.reading.source, []).append(part.patients)
            stands_in.setdefault(part.reading.source, set()).add(split)
    names = sorted(name for name in patients if name)
    messages = []
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            if dataset(first).pool != dataset(second).pool or len(stands_in[first] | stands_in[second]) < 2:
                continue
            if not np.intersect1d(np.concatenate(patients[first]), np.concatenate(patients[second])).size:
                messages.append(
                    f"{first} and {second} took their films from the same collection and share no patient identifier: "
                    "whether a patient stands in two splits could not be told, and a film only by its image"
                )
    return messages
