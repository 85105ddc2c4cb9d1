"""Completions of one batch from models of transformers.

Whatever the weights bring as their generation settings (sampling, a repetition penalty) is overridden: what a
:class:`~radvlm_course.evaluation.baselines.base.Generation` says is all that counts, so that what predictions record is
what was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from radvlm_course.evaluation.baselines.base import Completion, Generation, Loaded, Prompt
from radvlm_course.images import load_image

__all__ = ["answer_together", "cut_at_end", "end_token_ids", "generation_arguments", "seeded"]


@torch.inference_mode()
def answer_together(
    loaded: Loaded, prompts: Sequence[Prompt], image_paths: Sequence[str], generation: Generation
) -> list[Completion]:
    """Completions of a batch, from a processor of transformers that takes text and images.

    Args:
        prompts: chat messages, or text in which the image has its place.
        image_paths: one film for each prompt.

    Raises:
        ImageReadError: a film cannot be read; names it.
    """
    model, processor = loaded
    texts = [_rendered(processor, prompt) for prompt in prompts]
    images = [[load_image(path)] for path in image_paths]
    beginning = processor.tokenizer.bos_token
    inputs = processor(
        text=texts,
        images=images,
        padding=True,
        padding_side="left",
        add_special_tokens=not (beginning and texts[0].startswith(beginning)),  # a chat template may have written it
        return_tensors="pt",
    )
    output_ids = model.generate(
        **inputs.to(model.device, dtype=model.dtype),
        **generation_arguments(generation),
        suppress_tokens=_image_token_ids(processor.tokenizer) or None,
    )
    ends = end_token_ids(model, processor.tokenizer)
    new = output_ids[:, inputs["input_ids"].shape[1] :].tolist()  # (batch, new tokens)
    return [_completion(processor.tokenizer, row, ends) for row in new]


def _rendered(processor: Any, prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    owner = processor if processor.chat_template else processor.tokenizer  # older repositories have it there
    text: str = owner.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    return text


def _completion(tokenizer: Any, ids: Sequence[int], ends: frozenset[int]) -> Completion:
    kept, reason = cut_at_end(ids, ends)
    return Completion(tokenizer.decode(kept, skip_special_tokens=True).strip(), reason)


def cut_at_end(ids: Sequence[int], ends: frozenset[int]) -> tuple[list[int], str]:
    """The tokens before the first end token and the finish reason: ``stop``, or ``length`` if there is none.

    >>> cut_at_end([5, 6, 2, 0, 0], frozenset({2}))
    ([5, 6], 'stop')
    """
    for position, token_id in enumerate(ids):
        if token_id in ends:
            return list(ids[:position]), "stop"
    return list(ids), "length"


def end_token_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """All tokens that end a completion: those of the model's generation settings and the tokenizer's."""
    ends = model.generation_config.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(token_id for token_id in (*listed, tokenizer.eos_token_id) if token_id is not None)


def generation_arguments(generation: Generation) -> dict[str, Any]:
    """What ``model.generate`` is given."""
    arguments = {"max_new_tokens": generation.max_new_tokens, "num_beams": 1, "repetition_penalty": 1.0}
    if generation.temperature == 0:
        return arguments | {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    sampling = {"temperature": generation.temperature, "top_p": generation.top_p, "top_k": generation.top_k}
    return arguments | {"do_sample": True} | sampling


def _image_token_ids(tokenizer: Any) -> list[int]:
    """Tokens of Qwen's images, which are no text; tokenizers of other models have none of them."""
    from radvlm_course.models.tiny import never_sampled_token_ids

    return [
        token_id for token_id in never_sampled_token_ids(tokenizer) if token_id not in (None, tokenizer.unk_token_id)
    ]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Sampling within a ``with`` block is repeatable and leaves the random state outside as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
