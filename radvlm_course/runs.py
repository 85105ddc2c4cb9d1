"""Run folders: where a stage writes everything it did, and reads what came before.

``runs/<name>/<stage>/`` holds ``config.yaml`` (all settings as used), ``metrics.jsonl``
(one JSON object a logged step), ``completions/`` (GRPO's rollouts), ``checkpoint-*/``, ``model/``
(a plain ``from_pretrained`` folder) and ``done.json`` once the stage has finished. A stage
is finished or it is not: a killed one has no ``done.json`` and resumes from its checkpoint.
A run folder belongs to one profile; opening it with another is refused, because half of the
results would come from other settings.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Rollout", "Run", "RunError", "append_jsonl", "read_metrics", "read_rollouts"]


class RunError(RuntimeError):
    """A run folder that cannot be used as asked; the message says what to do."""


@dataclass(frozen=True)
class Rollout:
    """A completion with its rewards and its advantage within its group.

    Attributes:
        step: the optimiser step that used it, from 1.
        example_id: the prompt's example; rollouts of one step and example are one group.
        rewards: reward name -> value, before weighting (higher is better).
        reward: the weighted sum that the advantage is made of.
        advantage: how much better than its group, in the group's standard deviations.
    """

    step: int
    example_id: str
    completion: str
    rewards: dict[str, float]
    reward: float
    advantage: float


class Run:
    """One run of the course, bound to one profile.

    Args:
        name: the run's name; its folder is ``root/name``.
        settings: the profile as plain values (``Profile.to_dict()``).
        root: the folder of all runs.

    Raises:
        RunError: the folder exists with other settings.
    """

    def __init__(self, name: str, settings: dict[str, Any], root: str | os.PathLike[str] = "runs") -> None:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise RunError(f"a run's name is a folder's name of letters, digits, '.', '_' and '-'; found {name!r}")
        self.name = name
        self.settings = settings
        self.folder = Path(root) / name
        path = self.folder / "profile.yaml"
        if path.exists():
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            if changed := _differences(found, settings):
                raise RunError(
                    f"the run folder {self.folder} was made with other settings ({'; '.join(changed[:5])}). "
                    "Choose another --run name, or delete the folder to start again"
                )
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_text(path, yaml.safe_dump(settings, sort_keys=False))

    def stage_folder(self, stage: str) -> Path:
        """The folder of a stage, made if missing."""
        folder = self.folder / stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def begin(self, stage: str, settings: dict[str, Any]) -> Path:
        """Write the stage's ``config.yaml`` and return its folder.

        Raises:
            RunError: the stage was begun with other settings.
        """
        folder = self.stage_folder(stage)
        path = folder / "config.yaml"
        if path.exists():
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            if changed := _differences(found, _plain(settings)):
                raise RunError(
                    f"{path} holds other settings ({'; '.join(changed[:5])}). "
                    f"Delete {folder} to run this stage again, or choose another --run name"
                )
        else:
            _write_text(path, yaml.safe_dump(_plain(settings), sort_keys=False))
        return folder

    def finish(self, stage: str, summary: dict[str, Any]) -> None:
        """Mark a stage as finished, with what is worth knowing about it."""
        _write_text(self.stage_folder(stage) / "done.json", json.dumps(summary, indent=2) + "\n")

    def is_finished(self, stage: str) -> bool:
        return (self.folder / stage / "done.json").exists()

    def summary(self, stage: str) -> dict[str, Any]:
        """What a finished stage left in ``done.json``.

        Raises:
            RunError: the stage has not finished; names the command that runs it.
        """
        path = self.folder / stage / "done.json"
        if not path.exists():
            raise RunError(
                f"stage {stage!r} of run {self.name!r} has not finished: "
                f"python -m radvlm_course {stage} --profile {self.settings.get('name', 'laptop')} --run {self.name}"
            )
        return json.loads(path.read_text(encoding="utf-8"))

    def model_folder(self, stage: str) -> Path:
        """The finished model of a stage. Raises RunError if there is none."""
        self.summary(stage)
        return self.folder / stage / "model"


def append_jsonl(path: str | os.PathLike[str], rows: Iterable[dict[str, Any]]) -> None:
    """Append rows and flush them, so that a killed run keeps what it had.

    A last line that a kill left unfinished is cut off first.
    """
    _cut_torn_line(Path(path))
    with open(path, "a", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()


def _cut_torn_line(path: Path) -> None:
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        raise RunError(f"{path} does not exist: the stage has not been run")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith("\n"):
                return  # the line that a kill cut short; the next append removes it
            try:
                row = json.loads(line)
                row["step"]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise RunError(f"{path}, line {number}: expected a JSON object with 'step' ({error})") from error
            yield row


def read_metrics(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The logged steps of a stage, in order; a step logged again after a resume replaces the first."""
    rows: dict[int, dict[str, Any]] = {}
    for row in _read_lines(Path(folder) / "metrics.jsonl"):
        rows[row["step"]] = row
    return [rows[step] for step in sorted(rows)]


def read_rollouts(folder: str | os.PathLike[str], weights: dict[str, float] | None = None) -> list[Rollout]:
    """Every recorded rollout of a GRPO stage, step by step.

    TRL writes them (``log_completions``): one Parquet file a logged step in ``completions/``, with a
    column for each reward function and, from our reward functions, ``example_id``. Where several updates share
    one generation, TRL writes the same rollouts again at each; they are given once, at the first.

    Args:
        weights: reward name -> weight in the sum that the advantage is made of; 1 if not given.

    Raises:
        RunError: the stage recorded no rollouts.
    """
    import pyarrow.parquet as pq

    files = sorted(Path(folder).glob("completions/completions_*.parquet"))
    if not files:
        raise RunError(f"no rollouts in {Path(folder) / 'completions'}: the GRPO stage has not been run")
    rollouts: list[Rollout] = []
    previous: list[tuple[Any, ...]] = []
    for path in files:
        rows = pq.read_table(path).to_pylist()
        content = [(row["example_id"], row["completion"], row["advantage"]) for row in rows]
        if content == previous:
            continue
        previous = content
        for row in rows:
            known = ("step", "prompt", "completion", "example_id", "advantage")
            rewards = {name: value for name, value in row.items() if name not in known}
            rewards = {name: value for name, value in rewards.items() if value is not None and value == value}
            reward = sum((weights or {}).get(name, 1.0) * value for name, value in rewards.items())
            rollouts.append(
                Rollout(row["step"], row["example_id"], row["completion"], rewards, reward, row["advantage"])
            )
    return rollouts


def _plain(values: Any) -> Any:
    return json.loads(json.dumps(values, default=str))


def _differences(first: Any, second: Any, where: str = "") -> list[str]:
    if isinstance(first, dict) and isinstance(second, dict):
        return [
            line
            for key in sorted(set(first) | set(second), key=str)
            for line in _differences(first.get(key), second.get(key), f"{where}.{key}" if where else str(key))
        ]
    return [] if _plain(first) == _plain(second) else [f"{where}: {first!r} there, {second!r} now"]


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
