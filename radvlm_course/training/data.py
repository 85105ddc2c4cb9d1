"""Examples as datasets for TRL: the text up front, the film only when a batch asks for it.

A million films do not fit in memory, and need not: the dataset holds the examples as lines of JSON in an Arrow table,
and a transform builds the chat messages and opens the image at access.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from datasets import Dataset

from radvlm_course.chat import to_messages, to_prompt_completion
from radvlm_course.images import load_image
from radvlm_course.records import Example, from_dict, to_dict

__all__ = ["grpo_dataset", "sft_dataset"]


def sft_dataset(examples: Sequence[Example]) -> Dataset:
    """Columns ``prompt``, ``completion`` and ``images`` for ``SFTTrainer``, built at access."""
    return _lines(examples).with_transform(_sft_columns)


def grpo_dataset(examples: Sequence[Example], thinking: bool = False) -> Dataset:
    """Columns ``prompt``, ``image`` and ``example_id`` for ``GRPOTrainer``, built at access."""
    return _lines(examples).with_transform(partial(_grpo_columns, thinking=thinking))


def _sft_columns(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
    chosen = _examples(batch)
    turns = [to_prompt_completion(example) for example in chosen]
    return {
        "prompt": [turn["prompt"] for turn in turns],
        "completion": [turn["completion"] for turn in turns],
        "images": [[load_image(example.image_path)] for example in chosen],
    }


def _grpo_columns(batch: dict[str, list[str]], thinking: bool) -> dict[str, list[Any]]:
    chosen = _examples(batch)
    return {
        "prompt": [to_messages(example, thinking) for example in chosen],
        "image": [load_image(example.image_path) for example in chosen],
        "example_id": [example.id for example in chosen],
    }


def _examples(batch: dict[str, list[str]]) -> list[Example]:
    return [from_dict(json.loads(line), Example) for line in batch["example"]]


def _lines(examples: Sequence[Example]) -> Dataset:
    if not examples:
        raise ValueError("expected at least one example to train on, found none: check the task and the split")
    return Dataset.from_dict({"example": [json.dumps(to_dict(example)) for example in examples]})
