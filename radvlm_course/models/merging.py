"""Adapters into the weights: one plain model folder, which everything reads, vLLM, verl and other stages too.

An adapter that was trained on four bits fits those: what it was trained with are the rounded weights. They are restored
to 16 bits and the adapter is added to them, so that the merged model answers as the trained one did. Added to the
original weights instead, it answers a little differently; ``onto="original"`` does that.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

from radvlm_course.models.adapters import attach_adapter, base_of, qwen
from radvlm_course.models.loading import ModelFilesError, holds_processor, load_model, load_processor
from radvlm_course.models.quantised import is_quantised, restored
from radvlm_course.models.weight_files import is_adapter

__all__ = ["ONTO", "merge_adapter"]

ONTO = ("trained", "original")


def merge_adapter(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    base: str | None = None,
    precision: str = "bfloat16",
    onto: str = "trained",
) -> Path:
    """Write the model with the adapter of a folder merged into it.

    Args:
        base: the model that the adapter belongs to, if it is no longer where it was.
        precision: of the merged weights.
        onto: ``trained``: the weights as they were held in training; ``original``: as they are in the base's files.

    Returns:
        the output folder.

    Raises:
        ModelFilesError: the folder holds a whole model, or the output is not empty.
        AdapterError: the adapter is incomplete, or it belongs to another model.
    """
    folder, output = Path(folder), Path(output)
    if not is_adapter(folder):
        raise ModelFilesError(f"{folder} holds no adapter: nothing is to be merged")
    if output.exists() and any(output.iterdir()):
        raise ModelFilesError(f"{output} is not empty: choose another --output, nothing is overwritten")
    dtype = getattr(torch, precision)
    start = base or base_of(folder).found_from(folder)
    quantisation = base_of(folder).quantisation if onto == "trained" else None
    whole = qwen(load_model(start, dtype=dtype, encode_once=False, quantisation=quantisation).model)
    plain = restored(whole, dtype) if is_quantised(whole) else whole
    model = attach_adapter(plain, folder).merge_and_unload()
    partial = output.with_name(output.name + ".partial")
    model.save_pretrained(partial)
    load_processor(folder if holds_processor(folder) else start).save_pretrained(partial)
    if output.exists():
        output.rmdir()
    partial.replace(output)
    return output
