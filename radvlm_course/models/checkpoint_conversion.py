"""Checkpoints of verl, FSDP and DeepSpeed into one plain model folder, as ``from_pretrained`` and every stage read it.

What kind of checkpoint a folder holds is seen from its files::

    verl           model_world_size_4_rank_0.pt ...   in actor/ of a global_step_300/; configuration in huggingface/
    FSDP           .metadata, __0_0.distcp ...        in pytorch_model_fsdp_0/ of a checkpoint-200/
    DeepSpeed      latest, global_step200/            in a checkpoint-200/

and :mod:`.sharded_weights` reads the weights. verl leaves the model's configuration and its processor beside them; for
the others they are taken from the model that training started from (``like``). Names and shapes are held against the
configuration before anything is written, so that weights of another model are refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import GenerationConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from radvlm_course.models.loading import holds_processor, load_processor
from radvlm_course.models.sharded_weights import (
    CheckpointError,
    read_deepspeed,
    read_distributed,
    read_verl,
    verl_files,
)
from radvlm_course.models.weight_files import local_folder, model_type

__all__ = ["PRECISIONS", "Checkpoint", "CheckpointError", "convert_checkpoint", "find_checkpoint"]

PRECISIONS = ("bfloat16", "float16", "float32")

_READERS: dict[str, Callable[[Path, torch.dtype | None], dict[str, torch.Tensor]]] = {
    "verl": read_verl,
    "FSDP": read_distributed,
    "DeepSpeed": read_deepspeed,
}


class Checkpoint(NamedTuple):
    """A checkpoint that was found.

    Attributes:
        kind: verl, FSDP or DeepSpeed.
        folder: where the pieces lie.
        described_in: folder with the model's configuration; None if it is not beside them.
    """

    kind: str
    folder: Path
    described_in: Path | None


def convert_checkpoint(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    like: str | None = None,
    precision: str = "bfloat16",
) -> Path:
    """Write the model of a checkpoint as a plain folder.

    Args:
        folder: of the checkpoint, or one above it (``global_step_300``, ``checkpoint-200``).
        output: new or empty.
        like: folder or name of the model that training started from, for its configuration and processor; the ones
            beside the checkpoint if None.
        precision: of the weights that are written.

    Returns:
        the output folder.

    Raises:
        CheckpointError: no checkpoint is there, it is incomplete or damaged, or it is of another model.
    """
    output = Path(output)
    if precision not in PRECISIONS:
        raise CheckpointError(f"precision: expected one of {', '.join(PRECISIONS)}; found {precision!r}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CheckpointError(f"{output} is not empty: choose another folder, nothing is overwritten")
    checkpoint = find_checkpoint(folder)
    described_in = _description(checkpoint, like)
    dtype: torch.dtype = getattr(torch, precision)
    weights = _READERS[checkpoint.kind](checkpoint.folder, dtype)
    model = _filled(weights, described_in, checkpoint, dtype)
    partial = output.with_name(output.name + ".partial")
    model.save_pretrained(partial)
    load_processor(described_in).save_pretrained(partial)
    if output.exists():
        output.rmdir()
    partial.replace(output)
    return output


def find_checkpoint(folder: str | os.PathLike[str]) -> Checkpoint:
    """What a folder holds.

    Raises:
        CheckpointError: none of the three, several, or a plain model already.
    """
    start = Path(folder)
    if not start.is_dir():
        raise CheckpointError(f"expected the folder of a checkpoint at {start}, found none")
    places = [start, start / "actor", start / "actor" / "model"]
    found = [Checkpoint("verl", place, _described(place / "huggingface")) for place in places if verl_files(place)]
    places = [start, *sorted(start.glob("pytorch_model_fsdp_*"))]
    found += [Checkpoint("FSDP", place, _described(start)) for place in places if _is_distributed(place)]
    if (start / "latest").is_file() or (start / "zero_to_fp32.py").is_file():
        found.append(Checkpoint("DeepSpeed", start, _described(start)))
    if len(found) == 1:
        return found[0]
    if found:
        raise CheckpointError(
            f"{start} holds several checkpoints: name one of {', '.join(str(c.folder) for c in found)}"
        )
    if any(start.glob("*.safetensors")) and (start / "config.json").is_file():
        raise CheckpointError(f"{start} is a plain model folder already: nothing is to be converted")
    raise CheckpointError(
        f"{start} holds no checkpoint: expected model_world_size_N_rank_R.pt (verl), .metadata and .distcp files "
        f"(FSDP) or latest (DeepSpeed), there or in actor/ or pytorch_model_fsdp_0/; found {_contents(start)}"
    )


def _is_distributed(place: Path) -> bool:
    """Also one whose save did not finish: the pieces are there and the table of them is not."""
    return (place / ".metadata").is_file() or any(place.glob("*.distcp"))


def _described(place: Path) -> Path | None:
    return place if (place / "config.json").is_file() else None


def _contents(place: Path) -> str:
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in place.iterdir())
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "") if names else "nothing"


def _description(checkpoint: Checkpoint, like: str | None) -> Path:
    """Folder with configuration and processor of the model."""
    found = local_folder(like) if like is not None else checkpoint.described_in
    if like is not None and found is None:
        raise CheckpointError(f"expected a model folder, or a model in the hub's cache, at {like}; found none")
    if found is None or not holds_processor(found):
        lacking = "config.json" if found is None else "processor"
        raise CheckpointError(
            f"{checkpoint.folder} is {checkpoint.kind}'s and no {lacking} lies with it: name the model that training "
            "started from (--like)"
        )
    if (kind := model_type(found)) != "qwen3_vl":
        raise CheckpointError(f"expected a Qwen3-VL in {found}, found a model of type {kind or 'unknown'!r}")
    return found


def _filled(
    weights: Mapping[str, torch.Tensor], described_in: Path, checkpoint: Checkpoint, dtype: torch.dtype
) -> Qwen3VLForConditionalGeneration:
    """The model of a configuration with these weights."""
    config = Qwen3VLConfig.from_pretrained(described_in)
    config.dtype = dtype
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(config)
    _check(weights, model, described_in, checkpoint)
    model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    if (described_in / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(described_in)
    return model


def _check(
    weights: Mapping[str, torch.Tensor],
    model: Qwen3VLForConditionalGeneration,
    described_in: Path,
    checkpoint: Checkpoint,
) -> None:
    """Hold names and shapes against a model's.

    Raises:
        CheckpointError: adapters, or weights of another model.
    """
    if adapters := [name for name in weights if "lora_" in name]:
        raise CheckpointError(
            f"{checkpoint.folder} holds an adapter ({adapters[0]}): expected a model whose weights were all trained"
        )
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    problems = {
        "missing": sorted(set(expected) - set(weights) - tied),
        "not of that model": sorted(set(weights) - set(expected)),
        "of another shape": sorted(
            f"{name} {list(weights[name].shape)} instead of {list(shape)}"
            for name, shape in expected.items()
            if name in weights and tuple(weights[name].shape) != shape
        ),
    }
    if any(problems.values()):
        told = "; ".join(f"{len(names)} {what} ({', '.join(names[:3])})" for what, names in problems.items() if names)
        raise CheckpointError(
            f"the weights in {checkpoint.folder} are not those of the model that {described_in} describes: {told}"
        )
