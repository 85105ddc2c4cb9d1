"""Callbacks shared by SFT and GRPO: metrics to a file, one progress line, a clean stop.

TRL has progress bars and loggers for hosted services; a run folder that notebooks can read
with no account needs one small file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback

from radvlm_course.runs import append_jsonl

__all__ = ["MetricsFile", "ProgressBar", "show_progress"]


class MetricsFile(TrainerCallback):
    """Append every logged step to ``metrics.jsonl`` in the stage's folder."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / "metrics.jsonl"

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if logs and state.is_world_process_zero and "train_runtime" not in logs:
            append_jsonl(self.path, [{"step": state.global_step, **logs}])


class ProgressBar(ProgressCallback):
    """The trainer's own bar, with the latest loss and reward beside it instead of a line for every step."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        shown = {name: f"{logs[name]:.3f}" for name in ("loss", "reward", "kl") if logs and name in logs}
        if state.is_world_process_zero and self.training_bar is not None and shown:
            self.training_bar.set_postfix(shown)


def show_progress(trainer: Trainer) -> None:
    """Replace the trainer's output, a printed line for each step, by a bar; or by nothing if bars are disabled."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if not trainer.args.disable_tqdm:
        trainer.add_callback(ProgressBar)
