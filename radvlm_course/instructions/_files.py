"""The card of a built mixture, and the check that its splits do not share patients or images."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radvlm_course.records import Study

__all__ = ["Card", "LeakCheck", "LeakError", "sha256"]

CARD = "card.json"


class LeakError(RuntimeError):
    """A patient or an image stands in two splits."""


@dataclass
class Card:
    """What a built mixture is and how it was made.

    Attributes:
        name, seed: of the mixture.
        settings: everything that the build depends on.
        studies, patients: split -> how many were read.
        examples: split -> task -> pairs.
        labels: split -> task -> label -> pairs; ``(none)`` for pairs without a label.
        skipped: split -> pairs that could not be built: task, reason, count and first studies.
        thinned: split -> task -> pairs that were built and not kept.
        read: split -> what the reader of the dataset left out.
        sha256: file -> digest.
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


class LeakCheck:
    """Remembers in which split each patient and each image stood.

    Args:
        by_content: compare images by their bytes too, which finds a copy under another name.
    """

    def __init__(self, by_content: bool = True) -> None:
        self.by_content = by_content
        self.studies: Counter[str] = Counter()
        self._split_of: dict[tuple[str, str], tuple[str, str]] = {}
        self._patients: Counter[str] = Counter()

    def patients_of(self, split: str) -> int:
        """How many patients a split has so far."""
        return self._patients[split]

    def watch(self, studies: Iterable[Study], split: str) -> Iterator[Study]:
        """Pass studies through, checking each.

        Raises:
            LeakError: a study's patient or image was seen in another split, or the study says that it
                belongs to another.
        """
        for study in studies:
            if study.split != split:
                raise LeakError(f"expected studies of {split}, found {study.study_id} of {study.split} among them")
            if self._remember("patient", f"{study.source}/{study.patient_id}", study, split):
                self._patients[split] += 1
            self._remember("image", str(Path(study.image_path).resolve()), study, split)
            if self.by_content:
                self._remember("image content", sha256(Path(study.image_path)), study, split)
            self.studies[split] += 1
            yield study

    def _remember(self, kind: str, value: str, study: Study, split: str) -> bool:
        """Whether it is new."""
        seen = self._split_of.get((kind, value))
        if seen is not None and seen[0] != split:
            raise LeakError(
                f"{kind} in two splits: {study.study_id} ({study.image_path}) in {split} and {seen[1]} in {seen[0]} "
                f"have the same {kind} ({value}); split by patient before building"
            )
        if seen is None:
            self._split_of[kind, value] = (split, study.study_id)
        return seen is None


def sha256(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
