"""A model folder of any size with random weights, in the layout of a published one.

Random weights take the memory and the time of trained ones, so that a GPU can be measured without a download. The
weights are written a file at a time: the whole model is never in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import GenerationConfig, PreTrainedTokenizerBase, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from radvlm_course.models.architectures import Architecture
from radvlm_course.models.processor import build_processor
from radvlm_course.models.tokenizer import train_tokenizer

__all__ = ["write_random_checkpoint"]

FILE_BYTES = 2 * 2**30
FILM_SIDE = 512  # pixels; the profile's max_pixels goes before it where it is lower


def write_random_checkpoint(
    architecture: Architecture,
    folder: str | os.PathLike[str],
    texts: Iterable[str],
    seed: int = 0,
    dtype: torch.dtype = torch.bfloat16,
) -> Path:
    """Write config, weights and a processor whose tokenizer is trained on ``texts``.

    The embedding has the architecture's vocabulary, the tokenizer a few hundred words of it.

    Args:
        seed: of the weights: normal with a deviation of 0.02, norms 1, biases 0.
        dtype: of the weights on disk.

    Returns:
        the folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(texts)
    config = Qwen3VLConfig(**architecture.to_config(), **_token_ids(tokenizer))
    config.architectures = ["Qwen3VLForConditionalGeneration"]
    config.dtype = dtype
    config.save_pretrained(folder)
    ends, pads = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    GenerationConfig(eos_token_id=ends, pad_token_id=pads).save_pretrained(folder)
    build_processor(tokenizer, FILM_SIDE, architecture.vision_config.patch_size).save_pretrained(folder)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in Qwen3VLForConditionalGeneration(config).state_dict().items()}
    if architecture.tie_word_embeddings:
        shapes.pop("lm_head.weight", None)
    _write_weights(shapes, folder, torch.Generator().manual_seed(seed), dtype)
    return folder


def _token_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    names = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}


def _write_weights(shapes: dict[str, torch.Size], folder: Path, generator: torch.Generator, dtype: torch.dtype) -> None:
    files = list(_shared_out(shapes, dtype.itemsize))
    weight_map: dict[str, str] = {}
    for number, names in enumerate(files, start=1):
        file = f"model-{number:05d}-of-{len(files):05d}.safetensors"
        tensors = {name: _random(name, shapes[name], generator, dtype) for name in names}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, file)
    total = sum(shape.numel() for shape in shapes.values()) * dtype.itemsize
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _shared_out(shapes: dict[str, torch.Size], itemsize: int) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, shape in shapes.items():
        if names and size + shape.numel() * itemsize > FILE_BYTES:
            yield names
            names, size = [], 0
        names.append(name)
        size += shape.numel() * itemsize
    if names:
        yield names


def _random(name: str, shape: torch.Size, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape, dtype=dtype)
    if "norm" in name.rpartition(".")[0].rpartition(".")[2]:
        return torch.ones(shape, dtype=dtype)
    return (torch.randn(shape, generator=generator) * 0.02).to(dtype)
