"""Group Relative Policy Optimization with TRL's ``GRPOTrainer``, on our rewards.

For every prompt the policy writes a group of completions; each earns a reward; its advantage is
how much better it did than its group; tokens of better completions become likelier, within a clip
and on a leash (KL) to the model that training started from. The formulas are re-derived in
:mod:`radvlm_course.training.grpo_math`; the training is TRL's, set by ``GRPOConfig`` from the profile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from radvlm_course.models.adapters import TrainedModel, freeze_vision_tower, qwen, weights_kept_in_float32
from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor
from radvlm_course.models.tiny import never_sampled_token_ids
from radvlm_course.models.vision_speed import EncodeOnceVisionModel, speed_up_vision
from radvlm_course.records import Example
from radvlm_course.rewards.choices import RewardSetting, build_rewards, read_choices
from radvlm_course.rewards.trl_adapter import as_trl_reward
from radvlm_course.training.callbacks import MetricsFile, show_progress
from radvlm_course.training.checkpoints import checkpoint_to_resume, take_up_adapter
from radvlm_course.training.data import grpo_dataset
from radvlm_course.training.optimizers import optimizer_for

__all__ = ["run_grpo"]


def run_grpo(
    model: TrainedModel,
    processor: ImageOnlyQwen3VLProcessor,
    examples: Sequence[Example],
    rewards: RewardSetting,
    folder: str | os.PathLike[str],
    options: dict[str, Any],
    seed: int,
    freeze_vision: bool = True,
    thinking: bool = False,
    muon_learning_rate: float | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> None:
    """Improve ``model`` in place; resumes from the last whole checkpoint in ``folder``.

    Args:
        model: a whole model, whose reference TRL loads again from where it was; or one with an adapter, which is then
            all that is trained, and whose reference is a copy of the adapter.
        examples: prompts with their ground truth, visited in a seeded random order.
        rewards: a name in :mod:`radvlm_course.rewards`, several, or names with weights and options
            (:mod:`radvlm_course.rewards.choices`). The advantage is made of the weighted sum; ``metrics.jsonl`` has
            each reward's mean and spread unweighted, as ``rewards/<name>/mean`` and ``rewards/<name>/std``.
        folder: the stage's folder; gets ``metrics.jsonl``, ``completions/`` and ``checkpoint-*/``.
        options: fields of ``trl.GRPOConfig``, from the profile.
        muon_learning_rate: train hidden matrices with Muon at this rate; None: TRL's optimizer for all.
        callbacks: more of them, for measurements.

    Raises:
        ValueError: no example, no reward, a reward or option that does not exist, or an option that ``GRPOConfig``
            refuses.
        CheckpointError: the checkpoint in ``folder`` is another model's.
    """
    choices = read_choices(rewards)
    judges = build_rewards(choices)
    folder = Path(folder)
    freeze_vision_tower(model, freeze_vision)
    config = GRPOConfig(
        output_dir=str(folder),
        remove_unused_columns=False,
        report_to=[],
        log_completions=True,
        num_completions_to_print=0,
        generation_kwargs={"suppress_tokens": never_sampled_token_ids(processor.tokenizer)},
        seed=seed,
        data_seed=seed,
        **{"reward_weights": [choice.weight for choice in choices], **options},
    )
    by_id = {example.id: example for example in examples}
    checkpoint = checkpoint_to_resume(folder, model)
    with weights_kept_in_float32(model):
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=[
                as_trl_reward(judge, by_id, thinking=thinking, log_example_id=index == 0, name=name)
                for index, (name, judge) in enumerate(judges)
            ],
            args=config,
            train_dataset=grpo_dataset(examples, thinking),
            processing_class=processor,
            callbacks=[MetricsFile(folder), *callbacks],
            optimizers=(optimizer_for(model, config, muon_learning_rate), None),
        )
    visual = qwen(model).model.visual
    if isinstance(visual, EncodeOnceVisionModel):
        if trainer.ref_model is not None:
            speed_up_vision(trainer.accelerator.unwrap_model(trainer.ref_model))  # TRL loads it anew
        if not config.use_vllm and config.world_size == 1 and not checkpoint:
            trainer.add_callback(EncodesOnce(visual))
    take_up_adapter(model, checkpoint)
    show_progress(trainer)
    trainer.train(resume_from_checkpoint=checkpoint)


class EncodesOnce(TrainerCallback):
    """Stops training after its first step if no film was shared: TRL no longer sends a film with every completion."""

    def __init__(self, visual: EncodeOnceVisionModel) -> None:
        self.visual = visual

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 1 and self.visual.images_encoded >= self.visual.images_seen:
            raise RuntimeError(
                f"encode_once is on, and all {self.visual.images_seen} films of the first step were encoded on their "
                "own: expected a film with every completion of a group. TRL has changed: encode_once: false in the "
                "profile goes on without this short cut"
            )
