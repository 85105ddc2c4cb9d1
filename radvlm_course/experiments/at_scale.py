"""Every arm of the experiments at the paper's size: the same start, tasks, mode and reward, as settings of ``paper``.

One arm is one GRPO stage in a run of its own, started from a model that is there
(:data:`STARTING_COMMANDS` leave them). Two things differ from the laptop. Where it trains on a stand-in for a reward
that needs weights, the paper's stands here (:data:`REWARDS`, :data:`COMPARED_REWARDS`). And where it starts from half
of its SFT only because the finished tiny model leaves GRPO nothing to gain, here the finished SFT is the start; the
experiment that compares both has both.

The variant is the configuration in ``configs/verl`` of the same training on verl, the engine of the paper.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from radvlm_course.experiments.arms import GENERAL_BASE, REPORTS, Arm
from radvlm_course.experiments.catalogue import EXPERIMENTS
from radvlm_course.profiles import load_profile
from radvlm_course.rewards.choices import read_choices

__all__ = ["PROFILE", "STARTING_COMMANDS", "AtScale", "arms_at_scale", "at_scale", "scale_table"]

PROFILE = "paper"
LONGEST = 4096  # new tokens of the thinking variants
WHOLE = "paper"  # name of the run that leaves the models to start from
MODEL = "Qwen/Qwen3-VL-8B-Instruct"
EARLY_STEP = 2200  # half of SFT's 4,356 updates; the profile keeps a checkpoint every 200
EARLY = f"models/{WHOLE}-early"

# What the laptop trains on -> the paper's reward; the second in the experiment that compares rewards.
REWARDS = {"gleu": "radcliq", "soft_f1": "soft_f1"}
COMPARED_REWARDS = {"gleu": "gleu", "rouge_l": "bertscore", "fact_f1": "radcliq", "fact_precision": "radgraph"}

STARTS = {  # what an arm starts from -> (setting, in words, family of the verl variants)
    "general": ("base", "no SFT", "qwen3vl"),
    "general, thinking": ("Qwen/Qwen3-VL-8B-Thinking", "no SFT, thinking", "qwen3vl"),
    "finished": (f"runs/{WHOLE}/sft/model", "SFT", "radvlm"),
    "thinking": (f"runs/{WHOLE}/cold_start/model", "cold start", "radvlm"),
    "early": (EARLY, "early SFT", "radvlm"),
}

# The paper does not give the second SFT's numbers: one pass in batches of 32, as in a public log; else the first one's.
COLD_START: dict[str, Any] = {
    "traces": "build/traces/traces.jsonl",
    "max_thinking_tokens": LONGEST,
    "freeze_vision": False,
    "trainer": {
        "num_train_epochs": 1,
        "per_device_train_batch_size": 1,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "cosine",
        "bf16": True,
        "gradient_checkpointing": True,
    },
}


@dataclass(frozen=True)
class AtScale:
    """One arm at the paper's size.

    Attributes:
        stage: ``grpo_grounding`` or ``grpo_reports``.
        run: name of its run folder; its model is ``runs/<run>/<stage>/model``.
        overrides: dotted key of the profile ``paper`` -> value.
        variant: the configuration in ``configs/verl``; empty if none is the same.
    """

    stage: str
    run: str
    overrides: dict[str, Any]
    variant: str

    def command(self) -> str:
        """The command, to be started as the profile says."""
        return _command(self.stage, self.run, self.overrides)


def at_scale(experiment: str, arm: Arm) -> AtScale:
    """The arm's configuration; equal arms of two experiments have one.

    Raises:
        ValueError: the arm starts from, or is paid by, something that has no counterpart.
    """
    stage = "grpo_reports" if arm.tasks == (REPORTS,) else "grpo_grounding"
    start, start_name, family = STARTS[_start(experiment, arm)]
    reward = _reward(experiment, arm)
    several = len(arm.tasks) > 1
    overrides: dict[str, Any] = {f"{stage}.start": start}
    if several:
        overrides[f"{stage}.tasks"] = list(arm.tasks)
    overrides[f"{stage}.reward"] = reward
    if arm.thinking:
        overrides[f"{stage}.thinking"] = True
        lengths = {"max_completion_length": LONGEST, "vllm_max_model_length": 2 * LONGEST}
        own = getattr(load_profile(PROFILE), stage).trainer
        overrides |= {f"{stage}.trainer.{key}": value for key, value in lengths.items() if own[key] != value}
    paid = reward if isinstance(reward, str) else " ".join(reward)
    run = re.sub(r"[^a-z0-9]+", "-", f"{PROFILE} {stage.removeprefix('grpo_')} {paid} from {start_name}".casefold())
    return AtScale(stage, run, overrides, "" if several else _variant(stage, family, arm.thinking, paid))


def arms_at_scale() -> dict[str, dict[str, AtScale]]:
    """Experiment -> arm -> configuration, for all of them."""
    return {
        name: {arm.name: at_scale(name, arm) for arm in experiment.arms} for name, experiment in EXPERIMENTS.items()
    }


def scale_table() -> str:
    """Markdown: the run and the verl variant of each arm, and the command of each run once."""
    found = arms_at_scale()
    lines = ["| experiment | arm | run | verl variant |", "|---|---|---|---|"]
    for name, arms in found.items():
        lines += [f"| `{name}` | {arm} | `{each.run}` | {_shown_variant(each)} |" for arm, each in arms.items()]
    commands = [f"# leaves {leaves}\n{command}" for leaves, command in STARTING_COMMANDS.items()]
    commands += dict.fromkeys(each.command() for arms in found.values() for each in arms.values())
    return "\n".join([*lines, "", "```", *commands, "```"]) + "\n"


def _start(experiment: str, arm: Arm) -> str:
    if arm.start == GENERAL_BASE:
        return "general, thinking" if arm.thinking else "general"
    if arm.start == "cold_start":
        return "thinking" if arm.thinking else "finished"
    if arm.start not in ("sft", "sft_early"):
        raise ValueError(f"expected an arm that starts from a stage or the general base, found {arm.start!r}")
    return "early" if arm.start == "sft_early" and experiment == "sft_matters" else "finished"


def _reward(experiment: str, arm: Arm) -> str | dict[str, float]:
    """Rewards with a weight of 0, which the laptop only logs, are left out."""
    known = COMPARED_REWARDS if experiment == "reward_choice" else REWARDS
    names = [choice.name for choice in read_choices(arm.reward) if choice.weight]
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"expected a reward of {', '.join(known)}, found {', '.join(unknown)}")
    return known[names[0]] if len(names) == 1 else dict.fromkeys((known[name] for name in names), 1.0)


def _variant(stage: str, family: str, thinking: bool, reward: str) -> str:
    mode = "thinking" if thinking else "instruct"
    if stage == "grpo_grounding":
        return f"grounding_{family}_{mode}"
    return f"{family}_{mode}_{'google_bleu' if reward == 'gleu' else reward}"


def _shown_variant(found: AtScale) -> str:
    if not found.variant:
        return "none"
    start = found.overrides[f"{found.stage}.start"]
    return f"`{found.variant}`" + (f" with `course.model={start}`" if start == EARLY else "")


def _command(stage: str, run: str, overrides: Mapping[str, Any]) -> str:
    settings = [f"--set {shlex.quote(f'{key}={_plain(value)}')}" for key, value in overrides.items()]
    return " ".join([f"python -m radvlm_course {stage} --profile {PROFILE} --run {run}", *settings])


def _plain(value: Any) -> str:
    """As ``--set`` reads it: JSON is YAML."""
    return value if isinstance(value, str) else json.dumps(value)


# What they leave -> the command. FSDP saves checkpoints in pieces, so the early model is put together afterwards.
STARTING_COMMANDS = {
    f"{STARTS['finished'][0]} and {STARTS['thinking'][0]}": _command("cold_start", WHOLE, {"cold_start": COLD_START}),
    EARLY: (
        f"python -m radvlm_course convert-checkpoint runs/{WHOLE}/sft/checkpoint-{EARLY_STEP} {EARLY} --like {MODEL} "
        "--precision float32"
    ),
}
