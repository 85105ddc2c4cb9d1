"""Supervised fine-tuning with TRL's ``SFTTrainer``: next-token loss on the assistant's words only.

What is ours is small: the dataset that opens films lazily, the masked user turns of conversations, the
frozen vision tower of the tiny model, one metrics file. Everything else is TRL's, set by ``SFTConfig``
from the profile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from trl import SFTConfig, SFTTrainer

from radvlm_course.models.adapters import TrainedModel, freeze_vision_tower, weights_kept_in_float32
from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor
from radvlm_course.records import Example
from radvlm_course.training.callbacks import MetricsFile, show_progress
from radvlm_course.training.checkpoints import checkpoint_to_resume, take_up_adapter
from radvlm_course.training.collation import AssistantTurns
from radvlm_course.training.data import sft_dataset
from radvlm_course.training.optimizers import optimizer_for
from radvlm_course.training.sharding import sum_gradients_in_float32

__all__ = ["run_sft"]


def run_sft(
    model: TrainedModel,
    processor: ImageOnlyQwen3VLProcessor,
    examples: Sequence[Example],
    folder: str | os.PathLike[str],
    options: dict[str, Any],
    seed: int,
    freeze_vision: bool = True,
    muon_learning_rate: float | None = None,
) -> SFTTrainer:
    """Fine-tune ``model`` in place; resumes from the last whole checkpoint in ``folder``.

    Under ``accelerate launch`` every process makes the call, each with a model of its own.

    Args:
        model: a whole model, or one with an adapter, which is then all that is trained.
        examples: training pairs, visited in a seeded random order.
        folder: the stage's folder; gets ``metrics.jsonl`` and ``checkpoint-*/``.
        options: fields of ``trl.SFTConfig``, from the profile.
        muon_learning_rate: train hidden matrices with Muon at this rate; None: TRL's optimizer for all.

    Returns:
        The trainer, which knows how the weights are shared out (:mod:`radvlm_course.training.sharding`).

    Raises:
        ValueError: no example, or an option that ``SFTConfig`` refuses.
        CheckpointError: the checkpoint in ``folder`` is another model's.
    """
    freeze_vision_tower(model, freeze_vision)
    config = SFTConfig(
        output_dir=os.fspath(folder),
        completion_only_loss=True,
        max_length=None,  # a truncated prompt loses image tokens and fails, or worse, does not fail
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        report_to=[],
        seed=seed,
        data_seed=seed,
        **options,
    )
    checkpoint = checkpoint_to_resume(folder, model)
    with weights_kept_in_float32(model):
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=sft_dataset(examples),
            processing_class=processor,
            callbacks=[MetricsFile(folder)],
            optimizers=(optimizer_for(model, config, muon_learning_rate), None),
        )
    trainer.data_collator = AssistantTurns(processor, completion_only_loss=True)  # in place of TRL's parent of it
    take_up_adapter(model, checkpoint)
    show_progress(trainer)
    sum_gradients_in_float32(trainer)
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer
