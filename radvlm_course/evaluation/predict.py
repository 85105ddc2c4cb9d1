"""Greedy predictions of a loaded model, batch by batch.

Prompts are built by the same functions as in training; :mod:`radvlm_course.evaluation.writing` puts answers on disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from radvlm_course.chat import to_messages
from radvlm_course.evaluation.writing import as_written, batches, write_predictions
from radvlm_course.images import load_image
from radvlm_course.models.loading import LoadedModel
from radvlm_course.models.tiny import never_sampled_token_ids
from radvlm_course.records import Example

__all__ = ["complete", "predict"]


@torch.inference_mode()
def complete(
    loaded: LoadedModel,
    examples: Sequence[Example],
    max_new_tokens: int,
    temperature: float = 0.0,
    thinking: bool = False,
) -> list[tuple[str, str]]:
    """Completions of one batch of examples, each with its finish reason (``stop`` or ``length``).

    Args:
        temperature: 0 decodes greedily; above 0 samples from the whole distribution. Whatever sampling settings the
            model's own ``generation_config`` holds are not used.
    """
    model, processor = loaded
    prompts = [
        processor.apply_chat_template(to_messages(example, thinking), tokenize=False, add_generation_prompt=True)
        for example in examples
    ]
    images = [load_image(example.image_path) for example in examples]
    inputs = processor(images=images, text=prompts, padding=True, padding_side="left", return_tensors="pt")
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    was_training = model.training
    model.eval()
    output_ids = model.generate(
        **inputs.to(model.device),
        max_new_tokens=max_new_tokens,
        repetition_penalty=1.0,
        suppress_tokens=never_sampled_token_ids(processor.tokenizer),
        **sampling,
    )
    model.train(was_training)
    completion_ids = output_ids[:, inputs["input_ids"].shape[1] :]  # (batch, new tokens)
    ended = torch.isin(completion_ids, _end_ids(loaded).to(completion_ids.device)).any(dim=1).tolist()
    texts = processor.tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
    return [(text.strip(), "stop" if stop else "length") for text, stop in zip(texts, ended, strict=True)]


def _end_ids(loaded: LoadedModel) -> torch.Tensor:
    """The tokens that end a completion: real models have several, the tokenizer names one of them."""
    ids = loaded.model.generation_config.eos_token_id
    ids = ids if isinstance(ids, list) else [ids]
    return torch.tensor([*{loaded.processor.tokenizer.eos_token_id, *ids} - {None}])


def predict(
    loaded: LoadedModel,
    examples: Sequence[Example],
    path: str | os.PathLike[str],
    model_name: str,
    batch_size: int = 64,
    max_new_tokens: int = 128,
    thinking: bool = False,
    progress: bool = True,
) -> None:
    """Write a greedy prediction of a loaded model for every example that has none yet in ``path``.

    Raises:
        ImageReadError: a film cannot be read; lines written before stay.
        PredictionError: as :func:`radvlm_course.evaluation.writing.write_predictions`.
    """

    def answers(todo: Sequence[Example]) -> Iterator[tuple[str, str]]:
        for batch in batches(todo, batch_size):
            yield from complete(loaded, batch, max_new_tokens, thinking=thinking)

    generation = {"temperature": 0.0, "max_new_tokens": max_new_tokens, "thinking": thinking}
    write_predictions(answers, examples, path, model_name, as_written(model_name, generation, thinking), progress)
