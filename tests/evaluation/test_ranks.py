"""Ranks by hand: what the intervals allow, and nothing more."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.evaluation.ranks import RankRange, rank_ranges
from radvlm_course.evaluation.statistics import Interval


def interval(low, high):
    return Interval((low + high) / 2, low, high, 20, 10)


def ranks(better="higher", **bounds):
    found = rank_ranges({name: interval(*bound) for name, bound in bounds.items()}, better)
    return {name: str(rank) for name, rank in found.items()}


def test_disjoint_intervals_give_ranks():
    assert ranks(a=(0, 1), b=(4, 5), c=(2, 3)) == {"a": "3", "b": "1", "c": "2"}


def test_overlapping_intervals_give_ranges():
    # b overlaps both; a and c are apart: a may be 2 or 3, c 1 or 2, b anything.
    assert ranks(a=(0, 2), b=(1, 4), c=(3, 5)) == {"a": "2-3", "b": "1-3", "c": "1-2"}
    assert ranks(a=(0, 1), b=(0, 1), c=(0, 1)) == {"a": "1-3", "b": "1-3", "c": "1-3"}


def test_bounds_that_touch_do_not_separate():
    assert ranks(a=(0, 1), b=(1, 2)) == {"a": "1-2", "b": "1-2"}


def test_the_lowest_is_first_where_lower_is_better():
    assert ranks("lower", a=(0.8, 0.9), b=(1.1, 1.2)) == {"a": "1", "b": "2"}


def test_what_has_no_interval_has_no_rank_and_does_not_count():
    point, undefined = Interval(9.0, math.nan, math.nan, 5, 1), Interval(math.nan, math.nan, math.nan, 0, 0)
    found = rank_ranges({"paper": point, "a": interval(0, 1), "b": interval(2, 3), "none": undefined})
    assert {name: str(rank) for name, rank in found.items()} == {"a": "2", "b": "1"}


def test_nobody_is_ranked_alone_or_without_a_direction():
    assert ranks(a=(0, 1)) == {}
    assert ranks("neither", a=(0, 1), b=(2, 3)) == {}
    with pytest.raises(ValueError, match="expected higher, lower or neither, found 'up'"):
        ranks("up", a=(0, 1))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted), min_size=2, max_size=7))
def test_an_order_that_the_intervals_allow_lies_within_every_range(bounds):
    found = rank_ranges({str(index): interval(*bound) for index, bound in enumerate(bounds)})
    for point in (0, 1):  # all at their lower bounds, all at their upper bounds
        values = [bound[point] for bound in bounds]
        for index, value in enumerate(values):
            above, equal = sum(other > value for other in values), values.count(value)
            rank = found[str(index)]
            assert rank.best <= above + equal and above + 1 <= rank.worst
    assert all(isinstance(rank, RankRange) and rank.is_rank == ("-" not in str(rank)) for rank in found.values())
