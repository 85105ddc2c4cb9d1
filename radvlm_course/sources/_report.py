"""An honest count of what a reader left out.

A dataset as delivered has truncated images, rows with too few cells and boxes outside the film. A reader that
stops at the first of them is useless, one that passes over them in silence is worse: here every such case goes
through a :class:`ReadReport`, with its reason and the first places where it happened. What makes the whole
dataset unreadable (a missing file, a missing column) is a :class:`SourceError` instead.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ReadReport", "SourceError", "SourceWarning"]

PLACES_KEPT = 5


class SourceError(RuntimeError):
    """A dataset that cannot be read at all: says what was expected, what was found and where to get it."""


class SourceWarning(UserWarning):
    """Parts of a dataset were left out or changed while reading; the text counts them by reason."""


@dataclass
class ReadReport:
    """What one reading of a dataset kept, left out and changed.

    Attributes:
        read: studies that were yielded.
        skipped: reason -> count of images, rows or boxes that were left out.
        noted: reason -> count of those that were kept, but changed or found otherwise than listed.
        places: reason -> the first places (file, row or image) where it happened.
    """

    read: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, reason: str, place: str) -> None:
        """Count something that was left out."""
        self._count(self.skipped, reason, place)

    def note(self, reason: str, place: str) -> None:
        """Count something that was kept but is not as the dataset says."""
        self._count(self.noted, reason, place)

    def _count(self, counter: Counter[str], reason: str, place: str) -> None:
        counter[reason] += 1
        places = self.places.setdefault(reason, [])
        if len(places) < PLACES_KEPT:
            places.append(place)

    def summary(self) -> str:
        """One line a reason, with the first places."""
        lines = [f"{self.read} studies read"]
        for title, counter in (("left out", self.skipped), ("kept with a remark", self.noted)):
            lines += [
                f"{title}: {count} x {reason} (first: {', '.join(self.places[reason])})"
                for reason, count in sorted(counter.items())
            ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, in a fixed order."""
        return {
            "read": self.read,
            "skipped": dict(sorted(self.skipped.items())),
            "noted": dict(sorted(self.noted.items())),
            "places": {reason: self.places[reason] for reason in sorted(self.places)},
        }

    def warn(self, title: str) -> None:
        """Give one :class:`SourceWarning` with everything that was counted; none if nothing was."""
        if self.skipped or self.noted:
            warnings.warn(f"{title}: {self.summary()}", SourceWarning, stacklevel=3)
