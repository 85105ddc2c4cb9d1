"""Group Relative Policy Optimization with TRL's ``GRPOTrainer``, on our rewards.

For every prompt the policy writes a group of completions; each earns a reward; its advantage is
how much better it did than its group; tokens of better completions become likelier, within a clip
and on a leash (KL) to the model that training started from. The formulas are re-derived in
:mod:`radvlm_course.training.grpo_math`; the training is TRL's, set by ``GRPOConfig`` from the profile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from radvlm_course.models.adapters import TrainedModel, freeze_vision_tower, qwen, weights_kept_in_float32
from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor
from radvlm_course.models.tiny import never_sampled_token_ids
from radvlm_course.models.vision_speed import EncodeOnceVisionModel, speed_up_vision
from radvlm_course.models.vllm_folder import mirrored_for_vllm
from radvlm_course.models.weight_files import local_folder
from radvlm_course.records import Example
from radvlm_course.rewards.choices import RewardSetting, build_rewards, read_choices
from radvlm_course.rewards.trl_adapter import as_trl_reward
from radvlm_course.training.callbacks import MetricsFile, show_progress
from radvlm_course.training.checkpoints import checkpoint_to_resume, take_up_adapter
from radvlm_course.training.data import grpo_dataset
from radvlm_course.training.optimizers import optimizer_for
from radvlm_course.training.prompt_parity import check_prompts
from radvlm_course.training.sharding import sum_gradients_in_float32

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
) -> GRPOTrainer:
    """Improve ``model`` in place; resumes from the last whole checkpoint in ``folder``.

    Under ``accelerate launch`` every process makes the call, each with a model of its own. Where vLLM writes the
    completions, it must read the trainer's prompts (:mod:`radvlm_course.training.prompt_parity`).

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

    Returns:
        The trainer, which knows how the weights are shared out (:mod:`radvlm_course.training.sharding`).

    Raises:
        ValueError: no example, no reward, a reward or option that does not exist, or an option that ``GRPOConfig``
            refuses.
        CheckpointError: the checkpoint in ``folder`` is another model's.
        PromptMismatch: vLLM reads other prompts than the trainer's.
        VllmServerError: the vLLM server stopped answering.
    """
    choices = read_choices(rewards)
    judges = build_rewards(choices)
    folder = Path(folder)
    freeze_vision_tower(model, freeze_vision)
    weights = [choice.weight for choice in choices]
    config = _config(folder, {"reward_weights": weights, **options}, processor, seed)
    by_id = {example.id: example for example in examples}
    checkpoint = checkpoint_to_resume(folder, model)
    with contextlib.ExitStack() as stack:
        if config.use_vllm and config.vllm_mode == "colocate":
            stack.enter_context(_vllm_loads_mirror(model, processor, "bfloat16" if config.bf16 else None))
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
    if config.use_vllm:
        trainer.add_callback(check_prompts(trainer.vllm_generation, processor, folder))
    _share_films(trainer, model, resumed=bool(checkpoint))
    take_up_adapter(model, checkpoint)
    show_progress(trainer)
    sum_gradients_in_float32(trainer)
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def _config(folder: Path, options: dict[str, Any], processor: ImageOnlyQwen3VLProcessor, seed: int) -> GRPOConfig:
    """TRL's settings: those of the stage, and the profile's."""
    never = never_sampled_token_ids(processor.tokenizer)
    return GRPOConfig(
        output_dir=str(folder),
        remove_unused_columns=False,
        report_to=[],
        log_completions=True,
        num_completions_to_print=0,
        generation_kwargs=_without(never, with_vllm=options.get("use_vllm", False)),
        seed=seed,
        data_seed=seed,
        **options,
    )


def _share_films(trainer: GRPOTrainer, model: TrainedModel, resumed: bool) -> None:
    """Where films are encoded once: by the reference too, and with a check that it happens."""
    visual = qwen(model).model.visual
    if not isinstance(visual, EncodeOnceVisionModel):
        return
    if trainer.ref_model is not None:
        speed_up_vision(trainer.accelerator.unwrap_model(trainer.ref_model))  # TRL loads it anew
    if not trainer.args.use_vllm and trainer.args.world_size == 1 and not resumed:
        trainer.add_callback(EncodesOnce(visual))


def _without(tokens: list[int], with_vllm: bool) -> dict[str, Any]:
    """Keep tokens out of the completions, in the words of transformers or of vLLM."""
    return {"logit_bias": dict.fromkeys(tokens, -100.0)} if with_vllm else {"suppress_tokens": tokens}


@contextlib.contextmanager
def _vllm_loads_mirror(
    model: TrainedModel, processor: ImageOnlyQwen3VLProcessor, precision: str | None
) -> Iterator[None]:
    """While the trainer is made, which loads vLLM from where the model is: a folder that vLLM can read as we do."""
    base = qwen(model)
    name, folder = base.name_or_path, local_folder(base.name_or_path)
    if folder is None:  # not on this machine as files: vLLM finds it or says why
        yield
        return
    with mirrored_for_vllm(folder, processor, precision) as mirror:
        base.name_or_path = str(mirror)
        try:
            yield
        finally:
            base.name_or_path = name


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
