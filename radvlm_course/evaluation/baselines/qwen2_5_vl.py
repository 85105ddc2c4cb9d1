"""Qwen2.5-VL without video, so that it loads where there is no torchvision.

The same as :mod:`radvlm_course.models.processor` does for Qwen3-VL: a processor whose ``__init__`` has no
``video_processor`` is a processor without video.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import ProcessorMixin, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from radvlm_course.evaluation.baselines.base import Loaded
from radvlm_course.evaluation.baselines.loading import LoadOptions, placement

__all__ = ["ImageOnlyQwen2_5VLProcessor", "load_qwen2_5_vl"]


class ImageOnlyQwen2_5VLProcessor(Qwen2_5_VLProcessor):
    """``Qwen2_5_VLProcessor`` without video; reads and writes the ordinary layout."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **kwargs: Any
    ) -> None:
        for name in ("image", "video"):
            setattr(self, f"{name}_token", f"<|{name}_pad|>")
            setattr(self, f"{name}_token_id", tokenizer.convert_tokens_to_ids(f"<|{name}_pad|>"))
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def load_qwen2_5_vl(folder: Path, options: LoadOptions, max_pixels: int) -> Loaded:
    """Weights and processor from a folder.

    Args:
        max_pixels: upper limit of a film's area in pixels.
    """
    processor = ImageOnlyQwen2_5VLProcessor.from_pretrained(folder, local_files_only=True)
    shortest = min(processor.image_processor.size["shortest_edge"], max_pixels)
    processor.image_processor.size = {"shortest_edge": shortest, "longest_edge": max_pixels}
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder, local_files_only=True, **placement(options, "bfloat16")
    )
    return Loaded(model.eval(), processor)
