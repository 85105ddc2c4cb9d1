"""Callbacks shared by SFT and GRPO: metrics to a file, one progress line, a clean stop.

TRL has progress bars and loggers for hosted services; a run folder that notebooks can read
with no account needs one small file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from radvlm_course.runs import append_jsonl

__all__ = ["MetricsFile"]


class MetricsFile(TrainerCallback):
    """Append every logged step to ``metrics.jsonl`` in the stage's folder."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / "metrics.jsonl"

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if logs and state.is_world_process_zero and "train_runtime" not in logs:
            append_jsonl(self.path, [{"step": state.global_step, **logs}])
