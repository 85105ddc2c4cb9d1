"""Ranks that say no more than the intervals do.

The rule: A stands before B only if the whole interval of A lies on the better side of the whole interval of B (bounds
that touch do not count). The best rank that a model can then have is one more than the number of models that stand
before it, its worst rank the number of models less those that it stands before. Where the two agree it has a rank,
otherwise a range of ranks. What has no interval, such as a number copied from a paper, has no rank and does not count.

The rule is careful: two models on the same examples may be told apart by the interval of their paired difference
(:func:`radvlm_course.evaluation.score.compare`) although their own intervals overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from radvlm_course.evaluation.statistics import Interval

__all__ = ["RankRange", "rank_ranges"]


@dataclass(frozen=True)
class RankRange:
    """From the best to the worst rank that the intervals allow; 1 is the best of all."""

    best: int
    worst: int

    @property
    def is_rank(self) -> bool:
        """Whether only one rank is left."""
        return self.best == self.worst

    def __str__(self) -> str:
        return str(self.best) if self.is_rank else f"{self.best}-{self.worst}"


def rank_ranges(intervals: Mapping[str, Interval], better: str = "higher") -> dict[str, RankRange]:
    """The ranks of those that have an interval; nobody has one if fewer than two do.

    Args:
        intervals: name -> interval, all on the same examples.
        better: ``higher`` or ``lower``; with ``neither`` nobody has a rank.

    Raises:
        ValueError: another direction.

    >>> found = rank_ranges({"a": Interval(9, 8, 10, 5, 5), "b": Interval(6, 5, 7, 5, 5), "c": Interval(5, 4, 6, 5, 5)})
    >>> {name: str(rank) for name, rank in found.items()}
    {'a': '1', 'b': '2-3', 'c': '2-3'}
    """
    if better not in ("higher", "lower", "neither"):
        raise ValueError(f"better: expected higher, lower or neither, found {better!r}")
    known = {name: item for name, item in intervals.items() if not math.isnan(item.low + item.value + item.high)}
    if better == "neither" or len(known) < 2:
        return {}
    sign = 1 if better == "higher" else -1
    bounds = {name: sorted((sign * item.low, sign * item.high)) for name, item in known.items()}
    lows, highs = ([bound[end] for bound in bounds.values()] for end in (0, 1))
    return {
        name: RankRange(1 + sum(other > high for other in lows), len(known) - sum(other < low for other in highs))
        for name, (low, high) in bounds.items()
    }
