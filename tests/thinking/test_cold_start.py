"""The mix of thoughts and direct answers."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.records import Example
from radvlm_course.thinking.cold_start import mix_with_direct

DIRECT = [Example(f"d{n}", "report_generation", "a.png", "Report?", "Clear.") for n in range(40)]
TRACES = [dataclasses.replace(example, id=f"t{n}", thought="Dark lungs.") for n, example in enumerate(DIRECT[:12])]


def test_all_traces_are_kept_and_direct_answers_make_up_their_share() -> None:
    mixed = mix_with_direct(TRACES, DIRECT, 0.25)
    assert sum(bool(example.thought) for example in mixed) == 12
    assert len(mixed) == 16
    assert len({example.id for example in mixed}) == 16


def test_too_few_direct_answers_are_all_taken() -> None:
    assert len(mix_with_direct(TRACES, DIRECT[:3], 0.5)) == 15


def test_a_share_of_zero_has_traces_only() -> None:
    assert {example.id for example in mix_with_direct(TRACES, DIRECT, 0.0)} == {example.id for example in TRACES}


@given(st.integers(0, 2**32), st.floats(0, 0.75))
def test_the_seed_decides_and_the_share_is_met_to_half_an_example(seed: int, share: float) -> None:
    mixed = mix_with_direct(TRACES, DIRECT, share, seed)
    assert mixed == mix_with_direct(TRACES, DIRECT, share, seed)
    direct = sum(not example.thought for example in mixed)
    assert direct == pytest.approx(12 * share / (1 - share), abs=0.5)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="direct_share: expected a share of at least 0 and below 1"):
        mix_with_direct(TRACES, DIRECT, share)


def test_examples_on_the_wrong_side_and_no_trace_are_refused() -> None:
    with pytest.raises(ValueError, match="d0: expected a thought"):
        mix_with_direct(DIRECT, DIRECT, 0.5)
    with pytest.raises(ValueError, match="t0: expected a direct answer"):
        mix_with_direct(TRACES, TRACES, 0.5)
    with pytest.raises(ValueError, match="expected at least one example with a thought"):
        mix_with_direct([], DIRECT, 0.5)
