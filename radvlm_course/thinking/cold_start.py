"""The mix of the cold start: answers with a thought, and direct answers so that the direct mode is not forgotten.

The mode is in the question: with the suffix ``/think`` the model thinks first, without it the same model answers at
once (RadVLM-GRPO, arXiv 2512.10691: a second SFT on a mix of traces and direct answers).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from radvlm_course.records import Example

__all__ = ["mix_with_direct"]


def mix_with_direct(
    traces: Sequence[Example], direct: Sequence[Example], direct_share: float, seed: int = 0
) -> list[Example]:
    """All traces, and as many direct examples as make up their share.

    Args:
        traces: examples with a thought.
        direct: examples without one, to draw from without repetition; a film may be among both.
        direct_share: of the whole, at least 0 and below 1; where there are too few direct examples, all of them are
            taken and the share is smaller.
        seed: draws the direct examples and the order of the whole.

    Raises:
        ValueError: the share is out of range, there is no trace, or an example is on the wrong side.
    """
    if not 0 <= direct_share < 1:
        raise ValueError(f"direct_share: expected a share of at least 0 and below 1, found {direct_share}")
    if not traces:
        raise ValueError("expected at least one example with a thought, found none")
    if wrong := next((example.id for example in traces if not example.thought), None):
        raise ValueError(f"{wrong}: expected a thought, found a direct answer among the traces")
    if wrong := next((example.id for example in direct if example.thought), None):
        raise ValueError(f"{wrong}: expected a direct answer, found a thought among the direct examples")
    rng = random.Random(seed)
    wanted = round(len(traces) * direct_share / (1 - direct_share))
    mixed = [*traces, *rng.sample(list(direct), min(wanted, len(direct)))]
    rng.shuffle(mixed)
    return mixed
