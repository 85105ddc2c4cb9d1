"""Completions of a baseline for any number of examples, batch by batch.

The seam between baselines and ``evaluation.predict``: who writes predictions to disk, in shards and resuming, asks here
for completions and lets :meth:`Baseline.prediction` make the lines.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence

from radvlm_course.evaluation.baselines.base import Baseline, Completion, Generation, Loaded
from radvlm_course.records import Example

__all__ = ["complete"]


def complete(
    baseline: Baseline,
    loaded: Loaded,
    examples: Sequence[Example],
    batch_size: int,
    generation: Generation | None = None,
    seed: int = 0,
) -> Iterator[Completion]:
    """Completions in the order of the examples, each with its finish reason; yielded as soon as a batch is done.

    A batch holds examples of one task, because settings belong to a task: sort by task for full batches. Greedy
    completions do not depend on the batch, up to the arithmetic of the hardware. Sampled ones depend on the seed
    and on which examples are in the batch, on nothing else.

    Args:
        loaded: what ``baseline.load`` returned.
        batch_size: at most so many at once; baselines whose code takes one film at a time take one.
        generation: settings to use instead of the baseline's own.
        seed: of sampling.

    Raises:
        BaselineError: an example cannot be asked; raised before anything is generated.
        ImageReadError: a film cannot be read; the batches before it were yielded.
        ValueError: the batch size is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1, found {batch_size}")
    for example in examples:
        baseline.prompt(example)
    return _batches(baseline, loaded, examples, batch_size, generation, seed)


def _batches(
    baseline: Baseline,
    loaded: Loaded,
    examples: Sequence[Example],
    batch_size: int,
    generation: Generation | None,
    seed: int,
) -> Iterator[Completion]:
    from radvlm_course.evaluation.baselines.generating import seeded

    for task, group in itertools.groupby(examples, key=lambda example: example.task):
        of_task = list(group)
        for start in range(0, len(of_task), batch_size):
            batch = of_task[start : start + batch_size]
            with seeded(_batch_seed(seed, batch)):
                completions = baseline.answer(loaded, batch, generation or baseline.generation(task))
            yield from completions


def _batch_seed(seed: int, batch: Sequence[Example]) -> int:
    names = "\n".join([str(seed), *(example.id for example in batch)])
    return int.from_bytes(hashlib.blake2b(names.encode(), digest_size=7).digest(), "big")
