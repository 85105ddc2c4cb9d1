"""An image-only Qwen3-VL processor, so that the CPU course needs no torchvision.

``Qwen3VLProcessor`` insists on a video processor, which needs torchvision, whose PyPI build is
linked to CUDA and breaks beside the CPU build of torch. ``ProcessorMixin`` reads the parts of a
processor from the signature of ``__init__``: a signature without ``video_processor`` is a
processor without video, and everything else is inherited.

``AutoProcessor`` does not know this class and silently returns only a tokenizer for such a
folder: always load with ``ImageOnlyQwen3VLProcessor.from_pretrained`` and hand the result to
trainers as ``processing_class``.
"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerBase, ProcessorMixin, Qwen3VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

__all__ = ["CHAT_TEMPLATE", "ImageOnlyQwen3VLProcessor", "build_processor"]

# Qwen's chat format, reduced to text and images.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class ImageOnlyQwen3VLProcessor(Qwen3VLProcessor):
    """``Qwen3VLProcessor`` without video; saves and loads in the ordinary layout."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **kwargs: Any
    ) -> None:
        for name in ("image", "video", "vision_start", "vision_end"):
            token = f"<|{name}_pad|>" if name in ("image", "video") else f"<|{name}|>"
            setattr(self, f"{name}_token", token)
            setattr(self, f"{name}_token_id", tokenizer.convert_tokens_to_ids(token))
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def build_processor(tokenizer: PreTrainedTokenizerBase, image_size: int, patch_size: int) -> ImageOnlyQwen3VLProcessor:
    """A processor for square films of ``image_size`` pixels (others are resized to the same area)."""
    area = image_size * image_size
    image_processor = Qwen2VLImageProcessorPil(
        patch_size=patch_size,
        temporal_patch_size=2,
        merge_size=2,
        size={"shortest_edge": area, "longest_edge": area},
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
    )
    return ImageOnlyQwen3VLProcessor(image_processor=image_processor, tokenizer=tokenizer, chat_template=CHAT_TEMPLATE)
