"""The tiny Qwen3-VL: the real classes, some two million parameters, trained from scratch on a CPU.

Everything that a Qwen3-VL 8B does happens here too, only smaller: a vision tower over patches,
2x2 patches merged into one visual token, DeepStack features added to the first layers of the
language model, interleaved M-RoPE positions. What it learns about films it learns from this
course alone; it stands in for a pre-trained model only after
:mod:`radvlm_course.training.vision_pretraining` has taught its vision tower to see.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase, Qwen3VLConfig, Qwen3VLForConditionalGeneration

__all__ = ["TinySettings", "build_tiny_model", "never_sampled_token_ids"]


@dataclass(frozen=True)
class TinySettings:
    """Sizes of the tiny model. Widths are in channels, the image in pixels.

    Attributes:
        image_size: side of the square film; 128 px with patches of 8 give 64 visual tokens.
        text_initializer_range: standard deviation of the initial weights; the default of 0.02
            learned clearly slower at this size.
    """

    image_size: int = 128
    patch_size: int = 8
    vision_hidden_size: int = 128
    vision_depth: int = 3
    vision_heads: int = 4
    text_hidden_size: int = 128
    text_layers: int = 3
    text_heads: int = 4
    text_key_value_heads: int = 2
    head_size: int = 32
    feed_forward_factor: int = 3
    text_initializer_range: float = 0.06


def build_tiny_model(
    tokenizer: PreTrainedTokenizerBase, settings: TinySettings, seed: int
) -> Qwen3VLForConditionalGeneration:
    """A freshly initialised tiny Qwen3-VL; the same seed gives the same weights."""
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(_tiny_config(tokenizer, settings))
    token_id = tokenizer.convert_tokens_to_ids
    model.generation_config.eos_token_id = token_id("<|im_end|>")
    model.generation_config.pad_token_id = token_id("<|endoftext|>")
    model.generation_config.bos_token_id = None
    return model


def _tiny_config(tokenizer: PreTrainedTokenizerBase, settings: TinySettings) -> Qwen3VLConfig:
    token_id = tokenizer.convert_tokens_to_ids
    half = settings.head_size // 2  # rotary frequencies, shared out among time, height and width
    sections = [half - 2 * (half // 3), half // 3, half // 3]
    config = Qwen3VLConfig(
        vision_config={
            "depth": settings.vision_depth,
            "hidden_size": settings.vision_hidden_size,
            "intermediate_size": settings.vision_hidden_size * settings.feed_forward_factor,
            "num_heads": settings.vision_heads,
            "patch_size": settings.patch_size,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": settings.text_hidden_size,
            "num_position_embeddings": (settings.image_size // settings.patch_size) ** 2,
            "deepstack_visual_indexes": [settings.vision_depth - 2, settings.vision_depth - 1],
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": settings.text_hidden_size,
            "intermediate_size": settings.text_hidden_size * settings.feed_forward_factor,
            "num_hidden_layers": settings.text_layers,
            "num_attention_heads": settings.text_heads,
            "num_key_value_heads": settings.text_key_value_heads,
            "initializer_range": settings.text_initializer_range,
            "head_dim": settings.head_size,
            "max_position_embeddings": 4096,
            "pad_token_id": token_id("<|endoftext|>"),
            "bos_token_id": None,
            "eos_token_id": token_id("<|im_end|>"),
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": sections,
                "mrope_interleaved": True,
            },
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    return config


def never_sampled_token_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens that a completion must not contain.

    At temperature 1 a small model samples an image token now and then, and the next forward
    pass fails because image features and image tokens no longer match. Pass the list as
    ``suppress_tokens`` to generation.
    """
    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|im_start|>")
    return [tokenizer.convert_tokens_to_ids(name) for name in names]
