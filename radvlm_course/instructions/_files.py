"""The card of a built mixture: what it is, how it was made, and what was left out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Card", "LeakError", "sha256"]

CARD = "card.json"


class LeakError(RuntimeError):
    """A patient or an image stands in two splits."""


@dataclass
class Card:
    """What a built mixture is and how it was made.

    Attributes:
        name, seed: of the mixture.
        settings: everything that the build depends on.
        studies, patients: split -> how many films and patients were read, each counted once.
        examples: split -> task -> pairs.
        labels: split -> task -> label -> pairs; ``(none)`` for pairs without a label, ``(phrase)`` for phrases.
        skipped: split -> pairs that could not be built: task, reason, count and first studies (and the dataset).
        thinned: split -> task -> pairs that were built and not kept.
        read: split (and dataset) -> what the reader of the dataset left out.
        sha256: file -> digest.
        entries: split -> each entry's task, dataset, repeat, and its pairs: built, left out because a higher split
            holds the film, thinned, kept; beside them what the paper counts.
        overlaps: two splits -> patients and images that stand in both; only where that was allowed.
        unchecked: what could not be compared.
        datasets: dataset -> title, licence, patient namespace.
        options: dataset -> what its reader was told at build time, beside the settings.
        missing: datasets that the mixture names and that were not given.
    """

    name: str
    seed: int
    settings: dict[str, Any]
    studies: dict[str, int] = field(default_factory=dict)
    patients: dict[str, int] = field(default_factory=dict)
    examples: dict[str, dict[str, int]] = field(default_factory=dict)
    labels: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    skipped: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    thinned: dict[str, dict[str, int]] = field(default_factory=dict)
    read: dict[str, dict[str, Any]] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    entries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    overlaps: dict[str, dict[str, int]] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def total(self, split: str) -> int:
        """Pairs in a split."""
        return sum(self.examples.get(split, {}).values())

    def save(self, folder: Path) -> None:
        """Write ``card.json``, whole or not at all."""
        partial = folder / f".{CARD}.partial"
        partial.write_text(json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(folder / CARD)

    @classmethod
    def load(cls, folder: Path) -> Card:
        """Read ``card.json`` back."""
        return cls(**json.loads((folder / CARD).read_text(encoding="utf-8")))

    @classmethod
    def load_if_complete(cls, folder: Path, settings: dict[str, Any]) -> Card | None:
        """The card of a finished build with the same settings whose files are unchanged, else ``None``."""
        try:
            card = cls.load(folder)
        except (OSError, ValueError, TypeError):  # no card, or not one of ours: build
            return None
        if card.settings != settings:
            return None
        unchanged = all(
            (folder / name).is_file() and sha256(folder / name) == value for name, value in card.sha256.items()
        )
        return card if unchanged else None


def sha256(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
