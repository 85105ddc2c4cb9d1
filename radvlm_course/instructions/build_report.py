"""What a building of instruction pairs made, and what it had to leave out and why."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PROBLEMS", "BuildReport", "BuildWarning"]

PLACES_KEPT = 5
# Reasons that point at the data, unlike a normal film that simply has nothing to ground.
PROBLEMS = {
    "empty report": "empty report",
    "unlabelled": "study without labels",
    "contradiction": "boxes of a finding that is labelled absent",
    "unreadable": "image that cannot be read, so it cannot be compared with others",
    "unboxed": "present finding without boxes, so its list of boxes would be incomplete",
}


class BuildWarning(UserWarning):
    """Pairs were left out because the data lacks something; the text counts them by reason."""


@dataclass
class BuildReport:
    """What was built and what could not be.

    Attributes:
        built: task -> pairs.
        skipped: (task, reason) -> pairs that a study could not give.
        places: (task, reason) -> the first study ids.
    """

    built: Counter[str] = field(default_factory=Counter)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    places: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def skip(self, task: str, reason: str, study_id: str) -> None:
        """Count a pair that could not be built."""
        self.skipped[task, reason] += 1
        places = self.places.setdefault((task, reason), [])
        if len(places) < PLACES_KEPT:
            places.append(study_id)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, in a fixed order."""
        skipped = [
            {"task": task, "reason": reason, "count": count, "first": self.places[task, reason]}
            for (task, reason), count in sorted(self.skipped.items())
        ]
        return {"built": dict(sorted(self.built.items())), "skipped": skipped}

    def warn(self) -> None:
        """Give one :class:`BuildWarning` for what the data lacks; none for films that merely are normal."""
        lines = [
            f"{count} x {task}: {reason} (first: {', '.join(self.places[task, reason])})"
            for (task, reason), count in sorted(self.skipped.items())
            if reason in PROBLEMS.values()
        ]
        if lines:
            warnings.warn("instruction pairs left out: " + "; ".join(lines), BuildWarning, stacklevel=3)
