"""The contract that every reward keeps.

``reward(completions, examples) -> list[float]`` is pure over the batch: the value of one pair does not
depend on the other pairs, on their order or on earlier calls. Higher is always better. A scorer that
breaks raises and names the example, because a broken scorer that answers "0" teaches the policy nonsense
in silence.

What a reward gets is the *response*: thoughts are taken off before, in one place
(:mod:`radvlm_course.rewards.trl_adapter` in training, :class:`~radvlm_course.evaluation.predictions.Prediction`
in evaluation). A reward that judges the thought as well says so (:attr:`Reward.judges`) and gets the completion as
the model wrote it. Weights and sums of several rewards are the trainer's business, not the reward's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from radvlm_course.records import BOX_TASKS, Example

__all__ = ["BOX_TASKS", "TEXT_TASKS", "Reward", "RewardError", "TextReward"]

TEXT_TASKS = ("report_generation", "abnormality_classification", "conversation")

_RANGE_TOLERANCE = 1e-6


class RewardError(RuntimeError):
    """A reward that cannot be given; the message names the reward and the example."""


class Reward(ABC):
    """Base class of all rewards; a subclass sets the attributes and writes :meth:`score`.

    Attributes:
        name: how it is registered and logged.
        range: (lowest, highest) value it can give; may be infinite. Higher is better.
        empty_value: what a completion earns that has no response (blank, or cut off in mid-thought).
        tasks: the tasks it can judge; an example of another task is refused.
        judges: what it wants to be given: the ``response``, or the whole ``completion`` with its thought.
    """

    name: str
    range: tuple[float, float]
    empty_value: float
    tasks: tuple[str, ...]
    judges: Literal["response", "completion"] = "response"

    @abstractmethod
    def score(self, response: str, example: Example) -> float:
        """The value of one response (never blank) to one example."""

    def score_batch(self, responses: Sequence[str], examples: Sequence[Example]) -> Sequence[float]:
        """The values of many responses; a reward that runs a model overrides this to run it once.

        Raises:
            RewardError: :meth:`score` failed; names the example.
        """
        values = []
        for response, example in zip(responses, examples, strict=True):
            try:
                values.append(self.score(response, example))
            except RewardError:
                raise
            except Exception as error:
                raise RewardError(f"{self.name} failed on example {example.id!r}: {error!r}") from error
        return values

    def check_example(self, example: Example) -> None:
        """Refuse an example that this reward cannot judge; training calls it before the first step.

        Raises:
            RewardError: the example's task is not one of :attr:`tasks`.
        """
        if example.task not in self.tasks:
            raise RewardError(
                f"{self.name} judges {', '.join(self.tasks)}; example {example.id!r} is {example.task}: "
                "give it another reward or leave it out"
            )

    def __call__(self, completions: Sequence[str], examples: Sequence[Example]) -> list[float]:
        """Values of a batch, one for each completion, in order.

        Args:
            completions: plain text; responses, thoughts already taken off, unless :attr:`judges` says otherwise.
            examples: the example that each completion answers, same length.

        Returns:
            Finite floats within :attr:`range`; :attr:`empty_value` for a blank completion.

        Raises:
            ValueError: the two lengths differ.
            TypeError: a completion is not a string; names the example.
            RewardError: an example cannot be judged or the scorer failed; names the example.
        """
        self._check_inputs(completions, examples)
        answered = [index for index, completion in enumerate(completions) if completion.strip()]
        values = [float(self.empty_value)] * len(completions)
        if answered:
            chosen = [examples[index] for index in answered]
            for index, value in zip(answered, self._scored([completions[i] for i in answered], chosen), strict=True):
                values[index] = value
        return values

    def _check_inputs(self, completions: Sequence[str], examples: Sequence[Example]) -> None:
        if isinstance(completions, str):
            raise TypeError(f"{self.name}: expected a list of completions, found one string: put it into a list")
        if len(completions) != len(examples):
            raise ValueError(
                f"{self.name}: expected one example for each completion, "
                f"found {len(completions)} completions and {len(examples)} examples"
            )
        for completion, example in zip(completions, examples, strict=True):
            if not isinstance(completion, str):
                raise TypeError(
                    f"{self.name}: expected text for example {example.id!r}, found {type(completion).__name__}: "
                    "convert chat messages with chat.completion_text"
                )
            self.check_example(example)

    def _scored(self, responses: list[str], examples: list[Example]) -> list[float]:
        try:
            values = [float(value) for value in self.score_batch(responses, examples)]
        except RewardError:
            raise
        except Exception as error:
            raise RewardError(self._blame(responses, examples, error)) from error
        if len(values) != len(examples):
            raise RewardError(f"{self.name} gave {len(values)} values for {len(examples)} completions")
        low, high = self.range
        for value, example in zip(values, examples, strict=True):
            if not math.isfinite(value) or not low - _RANGE_TOLERANCE <= value <= high + _RANGE_TOLERANCE:
                raise RewardError(
                    f"{self.name} gave {value} for example {example.id!r}, expected a finite value "
                    f"within [{low}, {high}]"
                )
        return values

    def _blame(self, responses: list[str], examples: list[Example], error: Exception) -> str:
        """Find the example that a batch fails on by halving it, and say so."""
        low, high = 0, len(examples)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                self.score_batch(responses[low:middle], examples[low:middle])
                low = middle
            except Exception as found:
                high, error = middle, found
        try:
            self.score_batch(responses[low:high], examples[low:high])
        except Exception as found:
            return f"{self.name} failed on example {examples[low].id!r}: {found!r}"
        ids = ", ".join(repr(example.id) for example in examples[:3])
        return f"{self.name} failed on a batch of {len(examples)} but on no example alone (first: {ids}): {error!r}"


class TextReward(Reward):
    """Base class of rewards that compare a response with the example's answer, as text."""

    tasks: tuple[str, ...] = TEXT_TASKS

    def check_example(self, example: Example) -> None:
        """As in the base class; also refuses an example whose reference is not a text or is blank.

        Raises:
            RewardError: wrong task, or nothing to compare with; names the example.
        """
        super().check_example(example)
        answer: object = example.answer  # records do not check it
        if not isinstance(answer, str):
            found = type(answer).__name__
            raise RewardError(f"{self.name}: expected text as the reference of example {example.id!r}, found {found}")
        if not answer.strip():
            raise RewardError(f"{self.name}: the reference of example {example.id!r} is empty: leave the example out")
