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

from transformers import Qwen3VLForConditionalGeneration
from trl import GRPOConfig, GRPOTrainer

from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor
from radvlm_course.models.tiny import never_sampled_token_ids
from radvlm_course.models.vision_speed import EncodeOnceVisionModel, speed_up_vision
from radvlm_course.records import Example
from radvlm_course.rewards.choices import RewardSetting, build_rewards, read_choices
from radvlm_course.rewards.trl_adapter import as_trl_reward
from radvlm_course.training.callbacks import MetricsFile, show_progress
from radvlm_course.training.checkpoints import last_checkpoint
from radvlm_course.training.data import grpo_dataset
from radvlm_course.training.optimizers import optimizer_for

__all__ = ["run_grpo"]


def run_grpo(
    model: Qwen3VLForConditionalGeneration,
    processor: ImageOnlyQwen3VLProcessor,
    examples: Sequence[Example],
    rewards: RewardSetting,
    folder: str | os.PathLike[str],
    options: dict[str, Any],
    seed: int,
    freeze_vision: bool = True,
    thinking: bool = False,
    muon_learning_rate: float | None = None,
) -> None:
    """Improve ``model`` in place; resumes from the last whole checkpoint in ``folder``.

    Args:
        examples: prompts with their ground truth, visited in a seeded random order.
        rewards: a name in :mod:`radvlm_course.rewards`, several, or names with weights and options
            (:mod:`radvlm_course.rewards.choices`). The advantage is made of the weighted sum; ``metrics.jsonl`` has
            each reward's mean and spread unweighted, as ``rewards/<name>/mean`` and ``rewards/<name>/std``.
        folder: the stage's folder; gets ``metrics.jsonl``, ``completions/`` and ``checkpoint-*/``.
        options: fields of ``trl.GRPOConfig``, from the profile.
        muon_learning_rate: train hidden matrices with Muon at this rate; None: TRL's optimizer for all.

    Raises:
        ValueError: no example, no reward, a reward or option that does not exist, or an option that ``GRPOConfig``
            refuses.
    """
    choices = read_choices(rewards)
    judges = build_rewards(choices)
    folder = Path(folder)
    model.model.visual.requires_grad_(not freeze_vision)
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
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[
            as_trl_reward(judge, by_id, thinking=thinking, log_example_id=index == 0, name=name)
            for index, (name, judge) in enumerate(judges)
        ],
        args=config,
        train_dataset=grpo_dataset(examples, thinking),
        processing_class=processor,
        callbacks=[MetricsFile(folder)],
        optimizers=(optimizer_for(model, config, muon_learning_rate), None),
    )
    if trainer.ref_model is not None and isinstance(model.model.visual, EncodeOnceVisionModel):
        speed_up_vision(trainer.accelerator.unwrap_model(trainer.ref_model))  # TRL loads it anew
    show_progress(trainer)
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))
