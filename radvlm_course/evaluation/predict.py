"""Greedy predictions, one JSON line an example, as they come.

Prompts are built by the same functions as in training. Films are grouped by how long their
answers are likely to be (by task), so that a batch does not wait for its longest member.
A killed run resumes: examples that already have a line are not asked again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tqdm.auto import tqdm

from radvlm_course.chat import split_thought, to_messages
from radvlm_course.evaluation.predictions import Prediction, PredictionWriter
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
        temperature: 0 decodes greedily; above 0 samples from the whole distribution.
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
        suppress_tokens=never_sampled_token_ids(processor.tokenizer),
        **sampling,
    )
    model.train(was_training)
    completion_ids = output_ids[:, inputs["input_ids"].shape[1] :]  # (batch, new tokens)
    ended = (completion_ids == processor.tokenizer.eos_token_id).any(dim=1).tolist()
    texts = processor.tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
    return [(text.strip(), "stop" if stop else "length") for text, stop in zip(texts, ended, strict=True)]


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
    """Write a prediction for every example that has none yet in ``path``.

    Raises:
        ImageReadError: a film cannot be read; lines written before stay.
    """
    settings = {"temperature": 0.0, "max_new_tokens": max_new_tokens, "thinking": thinking}
    with PredictionWriter(path) as writer:
        todo = [example for example in examples if example.id not in writer.completed]
        todo.sort(key=lambda example: example.task)
        bar = tqdm(total=len(examples), initial=len(examples) - len(todo), disable=not progress, desc=model_name)
        for batch in _batches(todo, batch_size):
            answers = complete(loaded, batch, max_new_tokens, thinking=thinking)
            for example, (completion, finish_reason) in zip(batch, answers, strict=True):
                response = split_thought(completion, thinking).response
                writer.write(Prediction(example.id, completion, response, model_name, settings, finish_reason))
            bar.update(len(batch))
        bar.close()


def _batches(examples: Sequence[Example], size: int) -> Iterator[Sequence[Example]]:
    for start in range(0, len(examples), size):
        yield examples[start : start + size]
