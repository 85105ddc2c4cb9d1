"""Load a model and its processor from a ``from_pretrained`` folder or hub name.

The same call loads the tiny model of the laptop tier and any ``Qwen/Qwen3-VL-*``. Adapters and
quantised loading belong to the tiers that need a GPU and are not part of this module.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import torch
from transformers import Qwen3VLForConditionalGeneration

from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor
from radvlm_course.models.vision_speed import speed_up_vision

__all__ = ["LoadedModel", "load_model"]


class LoadedModel(NamedTuple):
    model: Qwen3VLForConditionalGeneration
    processor: ImageOnlyQwen3VLProcessor


def load_model(
    name_or_path: str | os.PathLike[str],
    max_pixels: int | None = None,
    dtype: torch.dtype = torch.float32,
    encode_once: bool = True,
) -> LoadedModel:
    """Load weights and processor.

    Args:
        name_or_path: a folder written by ``save_pretrained``, or a hub name.
        max_pixels: upper limit of a film's area in pixels. Qwen3-VL's own limit does not shrink
            a radiograph: 2544x3056 becomes 7,680 visual tokens, so set it for real weights.
        encode_once: share the features of equal films within a batch (exact, see ``vision_speed``).

    Raises:
        FileNotFoundError: a path was given and holds no model.
    """
    path = os.fspath(name_or_path)
    if os.path.sep in path and os.path.exists(os.path.dirname(path)) and not os.path.isdir(path):
        raise FileNotFoundError(f"expected a model folder at {path}: run the stage that makes it first")
    model = Qwen3VLForConditionalGeneration.from_pretrained(path, dtype=dtype)
    processor = ImageOnlyQwen3VLProcessor.from_pretrained(path)
    processor.tokenizer.padding_side = "left"
    if max_pixels is not None:
        shortest = min(processor.image_processor.size["shortest_edge"], max_pixels)
        processor.image_processor.size = {"shortest_edge": shortest, "longest_edge": max_pixels}
    speed_up_vision(model, encode_once=encode_once)
    return LoadedModel(model, processor)
