"""Examples as datasets for TRL: the text up front, the film only when a batch asks for it.

A million films do not fit in memory, and need not: the dataset holds indices, and a transform
builds the chat messages and opens the image at access.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from radvlm_course.chat import to_messages, to_prompt_completion
from radvlm_course.images import load_image
from radvlm_course.records import Example

__all__ = ["grpo_dataset", "sft_dataset"]


def sft_dataset(examples: Sequence[Example]) -> Dataset:
    """Columns ``prompt``, ``completion`` and ``images`` for ``SFTTrainer``, built at access."""

    def to_columns(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        chosen = [examples[index] for index in batch["index"]]
        turns = [to_prompt_completion(example) for example in chosen]
        return {
            "prompt": [turn["prompt"] for turn in turns],
            "completion": [turn["completion"] for turn in turns],
            "images": [[load_image(example.image_path)] for example in chosen],
        }

    return _indices(examples).with_transform(to_columns)


def grpo_dataset(examples: Sequence[Example], thinking: bool = False) -> Dataset:
    """Columns ``prompt``, ``image`` and ``example_id`` for ``GRPOTrainer``, built at access."""

    def to_columns(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        chosen = [examples[index] for index in batch["index"]]
        return {
            "prompt": [to_messages(example, thinking) for example in chosen],
            "image": [load_image(example.image_path) for example in chosen],
            "example_id": [example.id for example in chosen],
        }

    return _indices(examples).with_transform(to_columns)


def _indices(examples: Sequence[Example]) -> Dataset:
    if not examples:
        raise ValueError("expected at least one example to train on, found none: check the task and the split")
    return Dataset.from_dict({"index": list(range(len(examples)))})
