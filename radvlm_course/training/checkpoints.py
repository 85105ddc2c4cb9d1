"""Find the checkpoint to resume from, passing over ones that a kill cut short, and see whose it is.

transformers loads what fits of a checkpoint and goes on with the rest as it was; so a checkpoint of another model would
be resumed from without an error.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from radvlm_course.models.weight_files import ADAPTER_WEIGHTS, weight_shapes
from radvlm_course.processes import from_main

if TYPE_CHECKING:
    from radvlm_course.models.adapters import TrainedModel

__all__ = ["CheckpointError", "checkpoint_to_resume", "last_checkpoint", "take_up_adapter"]


class CheckpointError(ValueError):
    """A checkpoint that was written by the training of another model; the message says what to do."""


def checkpoint_to_resume(folder: str | os.PathLike[str], model: TrainedModel) -> str | None:
    """The newest whole checkpoint in a folder, or None to start afresh; the same for all processes of a run.

    What FSDP and DeepSpeed write is not looked into; loading it fails by itself if it is another model's.

    Raises:
        CheckpointError: it is another model's.
    """
    checkpoint = from_main(f"the last checkpoint in {folder}", lambda: last_checkpoint(folder))
    if checkpoint is None:
        return None
    from peft import PeftModel

    from radvlm_course.models.adapters import AdapterError, check_adapter_shapes

    has_adapter = Path(checkpoint, ADAPTER_WEIGHTS).is_file()
    saved = weight_shapes(checkpoint, "model*.safetensors")
    if isinstance(model, PeftModel):
        if not has_adapter and saved:
            raise CheckpointError(_refusal(checkpoint, "it holds all weights, where an adapter is expected"))
        try:
            check_adapter_shapes(model, Path(checkpoint))
        except AdapterError as error:
            raise CheckpointError(_refusal(checkpoint, str(error))) from error
        return checkpoint
    if has_adapter:
        raise CheckpointError(_refusal(checkpoint, "it holds an adapter, where all weights are expected"))
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name, shape in saved.items():
        if expected.get(name) != shape:
            there = expected.get(name, "no such weight")
            raise CheckpointError(_refusal(checkpoint, f"{name} is {shape} there, and {there} in the model"))
    return checkpoint


def take_up_adapter(model: TrainedModel, checkpoint: str | None) -> None:
    """Load the adapter of a checkpoint into the model of a trainer that is about to resume from it.

    GRPO's trainer keeps a second adapter, the reference. transformers then loads that alone from a checkpoint, and
    training would go on from the adapter that it had started from.
    """
    from peft import PeftModel

    from radvlm_course.models.adapters import load_adapter_weights

    if checkpoint is not None and isinstance(model, PeftModel):
        load_adapter_weights(model, checkpoint)


def _refusal(checkpoint: str, why: str) -> str:
    return (
        f"the checkpoint {checkpoint} is another model's: {why}. Start from the model that it was trained from, or "
        f"delete {Path(checkpoint).parent} to train from the beginning"
    )


def last_checkpoint(folder: str | os.PathLike[str]) -> str | None:
    """The newest whole ``checkpoint-*`` folder, or None to start afresh.

    A trainer writes ``trainer_state.json`` last. A checkpoint without a readable one was being written
    when the process was killed: it is removed with a warning, and the one before it is used.
    """
    found = [path for path in Path(folder).glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    for path in sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            warnings.warn(
                f"checkpoint {path} is incomplete ({error}): removed, resuming from the one before", stacklevel=2
            )
            shutil.rmtree(path)
            continue
        return str(path)
    return None
