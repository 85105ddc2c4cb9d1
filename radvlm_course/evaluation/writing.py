"""From completions to lines on disk, whoever makes the completions: a checkpoint, vLLM, a baseline.

Examples are asked in the order of their tasks, because answers of one task are about equally long and a batch waits for
its longest member. A killed run resumes: examples that already have a line are not asked again, and the file ends up
equal to the uninterrupted one, because the order of its lines depends on the examples alone. No torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tqdm.auto import tqdm

from radvlm_course.evaluation.predictions import Prediction, PredictionError, PredictionWriter
from radvlm_course.records import Example

__all__ = ["Completer", "ToPrediction", "as_written", "batches", "write_predictions"]

Completer = Callable[[Sequence[Example]], Iterable[tuple[str, str]]]
"""Examples -> their completions with finish reasons (``stop``, ``length`` or empty), one each, in the same order.

It is given all examples at once; an iterator that yields each answer when it is there loses little to a kill.
"""

ToPrediction = Callable[[Example, tuple[str, str]], Prediction]
"""An example and its answer (completion, finish reason) -> its line."""


def as_written(model_name: str, generation: Mapping[str, Any], thinking: bool = False) -> ToPrediction:
    """Predictions of a model that answers in the course's own format: the response is what follows the thought.

    Args:
        generation: the settings written into each line.
        thinking: the model was asked to think: a completion without ``</think>`` has no response.
    """

    def to_prediction(example: Example, answer: tuple[str, str]) -> Prediction:
        completion, finish_reason = answer
        return Prediction.from_completion(example.id, completion, model_name, dict(generation), finish_reason, thinking)

    return to_prediction


def write_predictions(
    completer: Completer,
    examples: Sequence[Example],
    path: str | os.PathLike[str],
    model_name: str,
    to_prediction: ToPrediction,
    progress: bool = True,
) -> None:
    """Write a prediction for every example that has none yet in ``path``, whoever makes the completions.

    Args:
        completer: asked once, for the examples that are missing, ordered by task; not at all if none is.
        model_name: for messages and the progress bar.
        to_prediction: makes the line of an example and its answer (:func:`as_written`, or a baseline's own reading).

    Raises:
        PredictionError: the file holds other examples or another model's lines, two examples share an id, or the
            completer gave too few or too many completions. Lines written before stay.
    """
    identifiers = {example.id for example in examples}
    if len(identifiers) < len(examples):
        raise PredictionError(f"{len(examples) - len(identifiers)} of {len(examples)} examples repeat an id")
    with PredictionWriter(path, identifiers) as writer:
        todo = [example for example in examples if example.id not in writer.completed]
        todo.sort(key=lambda example: example.task)
        bar = tqdm(total=len(examples), initial=len(examples) - len(todo), disable=not progress, desc=model_name)
        answers = iter(completer(todo) if todo else ())
        for example in todo:
            answer = next(answers, None)
            if answer is None:
                raise PredictionError(
                    f"{model_name} gave no completion for example {example.id!r}: expected one for each of the "
                    f"{len(todo)} examples asked"
                )
            writer.write(to_prediction(example, answer))
            bar.update()
        if next(answers, None) is not None:
            raise PredictionError(f"{model_name} gave more completions than the {len(todo)} examples asked")
        bar.close()


def batches(examples: Sequence[Example], size: int) -> Iterator[Sequence[Example]]:
    """Consecutive parts of at most ``size`` examples."""
    for start in range(0, len(examples), size):
        yield examples[start : start + size]
