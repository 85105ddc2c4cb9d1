"""The settings of a mixture: which tasks, how much of each in each split, with which wordings and label semantics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from radvlm_course.instructions.labels import PAPER, LabelSemantics
from radvlm_course.records import TASKS

__all__ = ["SPLITS", "Mixture", "MixtureError", "TaskAmount", "load_mixture", "wanted_counts"]

SPLITS = ("train", "validation", "test")
MIXTURES = Path(__file__).parent.parent / "configs" / "mixtures"


class MixtureError(ValueError):
    """Settings of a mixture that do not make sense, or a mixture that would be empty."""


@dataclass(frozen=True)
class TaskAmount:
    """How much of a task goes into a split.

    Attributes:
        repeat: pairs per question target, each with newly drawn wordings.
        share: wanted fraction of the split's pairs, 0 to 1; ``None`` takes all.
        samples: at most so many pairs; ``None`` sets no limit.
    """

    repeat: int = 1
    share: float | None = None
    samples: int | None = None

    def __post_init__(self) -> None:
        if self.repeat < 1 or (self.samples is not None and self.samples < 1):
            raise MixtureError(f"repeat and samples: expected at least 1, found {self}")
        if self.share is not None and not 0 < self.share < 1:
            raise MixtureError(f"share: expected a fraction between 0 and 1, found {self.share}")


@dataclass(frozen=True)
class Mixture:
    """The settings of a mixture.

    Attributes:
        splits: split -> task -> how much of it.
        templates: the set of wordings, see :func:`instructions.templates.load_templates`.
        semantics: what labels mean.
        image_check: ``content`` finds an image that stands in two splits even under two names, by reading
            every file once more; ``path`` compares names only.
        parquet: write Parquet files beside the JSON lines.
    """

    name: str
    splits: Mapping[str, Mapping[str, TaskAmount]]
    templates: str = "full"
    semantics: LabelSemantics = PAPER
    image_check: str = "content"
    parquet: bool = True

    def __post_init__(self) -> None:
        if not self.splits or set(self.splits) - set(SPLITS):
            raise MixtureError(
                f"splits: expected some of {', '.join(SPLITS)}; found {', '.join(self.splits) or 'none'}"
            )
        for split, tasks in self.splits.items():
            if unknown := [task for task in tasks if task not in TASKS]:
                raise MixtureError(f"{split}: expected tasks of {', '.join(TASKS)}; found {', '.join(unknown)}")
            shares = [amount.share for amount in tasks.values() if amount.share is not None]
            total, all_shared = sum(shares), len(shares) == len(tasks)
            if shares and (abs(total - 1) > 1e-6 if all_shared else total >= 1):
                wanted = "to sum to 1" if all_shared else "to leave room for the tasks without a share"
                raise MixtureError(f"{split}: expected the shares {wanted}, found {total:g}")
        if self.image_check not in ("content", "path"):
            raise MixtureError(f"image_check: expected content or path, found {self.image_check!r}")


def load_mixture(source: str | os.PathLike[str] | Mapping[str, Any]) -> Mixture:
    """A mixture from a YAML file, from the name of a packaged one (``laptop``), or from a mapping.

    Raises:
        MixtureError: there is no such file, or a setting is unknown or senseless.
    """
    if isinstance(source, Mapping):
        content: Any = dict(source)
    else:
        packaged = MIXTURES / f"{os.fspath(source)}.yaml"
        path = packaged if packaged.is_file() else Path(source)
        if not path.is_file():
            names = ", ".join(sorted(file.stem for file in MIXTURES.glob("*.yaml")))
            raise MixtureError(f"mixture: expected a YAML file or one of {names}; found no {path}")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        values = dict(content)
        values["splits"] = {
            split: {task: TaskAmount(**(amount or {})) for task, amount in tasks.items()}
            for split, tasks in values["splits"].items()
        }
        values["semantics"] = LabelSemantics(**values.get("semantics", {}))
        return Mixture(**values)
    except MixtureError:
        raise
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise MixtureError(f"mixture: expected name, splits and options of a Mixture; {error!r} in {source}") from error


def wanted_counts(available: Mapping[str, int], amounts: Mapping[str, TaskAmount]) -> dict[str, int]:
    """How many pairs of each task stay.

    Tasks without a share keep all (up to ``samples``). Tasks with a share fill up to it beside those; if every
    task has a share, the scarcest keeps all and the others follow. Tasks with nothing available do not count.

    >>> amounts = {"report_generation": TaskAmount(), "anatomical_grounding": TaskAmount(share=0.2)}
    >>> wanted_counts({"report_generation": 80, "anatomical_grounding": 900}, amounts)
    {'report_generation': 80, 'anatomical_grounding': 20}
    """
    limits = {task: min(count, amounts[task].samples or count) for task, count in available.items() if count}
    shares = {task: share for task in limits if (share := amounts[task].share) is not None}
    counts = {task: limits.get(task, 0) for task in available}
    if shares:
        if len(shares) == len(limits):
            total = min(limits[task] / share for task, share in shares.items())
        else:
            total = sum(limits[task] for task in limits if task not in shares) / (1 - sum(shares.values()))
        counts.update({task: min(limits[task], round(share * total)) for task, share in shares.items()})
    return counts
