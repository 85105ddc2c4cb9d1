"""The settings of a mixture: which tasks of which datasets, how much of each in each split, worded and labelled how.

Two forms. A mixture of **one dataset**, which is given at build time, says how much of each task::

    splits:
      train:
        report_generation: {share: 0.35}

A mixture of **several datasets** lists entries, each a task of a dataset::

    splits:
      train:
        - {task: phrase_grounding, source: ms_cxr, reads: [train, validation], repeat: 3}

``base: NAME`` at the top of a file takes another mixture and changes what the file says.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from radvlm_course.instructions.labels import PAPER, LabelSemantics
from radvlm_course.records import TASKS
from radvlm_course.settings import ProfileError, build_settings, close_matches, limits, parse_yaml

__all__ = ["SPLITS", "Entry", "Mixture", "MixtureError", "TaskAmount", "load_mixture", "wanted_counts"]

SPLITS = ("train", "validation", "test")
MIXTURES = Path(__file__).parent.parent / "configs" / "mixtures"
_CHOICES = {
    "image_check": ("content", "pixels", "path"),
    "order": ("reading", "shuffled"),
    "cross_source_leaks": ("leave_out", "allow"),
    "held_out": ("splits", "pairs"),
}


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
class Entry(TaskAmount):
    """One task of one dataset in one split of a mixture.

    Attributes:
        task, source: what, and from which dataset; no source in a mixture of one dataset.
        reads: the dataset's splits that feed this split; empty: the one of the same name.
        views: only these views, for example PA and AP; empty: all.
        targets: a grounding task asks about ``all`` names with boxes of a film, or about ``one``, drawn.
        semantics: fields of :class:`LabelSemantics` that differ from the mixture's.
        options: of the dataset's reader, beside the mixture's ``reader_options``.
        paper_pairs: question targets that the paper counts, before ``repeat``; for comparison only.
    """

    task: str = field(default="", metadata=limits(choices=TASKS))
    source: str = ""
    reads: list[str] = field(default_factory=list, metadata=limits(choices=SPLITS))
    views: list[str] = field(default_factory=list, metadata=limits(choices=("PA", "AP", "lateral")))
    targets: str = field(default="all", metadata=limits(choices=("all", "one")))
    semantics: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    paper_pairs: int | None = field(default=None, metadata=limits(1))

    @property
    def key(self) -> str:
        """Names the entry within its split."""
        return f"{self.source}/{self.task}" if self.source else self.task


@dataclass(frozen=True)
class Mixture:
    """The settings of a mixture.

    Attributes:
        splits: split -> task -> how much of it (one dataset), or split -> entries (several datasets).
        templates: the set of wordings, see :func:`instructions.templates.load_templates`.
        semantics: what labels mean.
        image_check: besides their names, images are compared by ``content``, the bytes of the files; by
            ``pixels``, which finds a copy that was saved anew without loss and takes decoding every image; or not
            (``path``).
        order: pairs stand in the order of ``reading``, or ``shuffled``, which does not depend on it.
        cross_source_leaks: what an evaluation split of one dataset holds and a lower split of another dataset
            holds too is left out of the lower (``leave_out``), or stays (``allow``, for comparison).
        held_out: an evaluation split holds all films that were read for it (``splits``), or only those of the
            pairs that were kept (``pairs``).
        scale: split -> fraction of each entry's pairs that is kept.
        reader_options: dataset -> options of its reader.
        parquet, llava, verl, verl_thinking, verl_thinking_no_suffix: which files to write beside the JSON lines.
    """

    name: str
    splits: Mapping[str, Mapping[str, TaskAmount] | Sequence[Entry]]
    templates: str = "full"
    semantics: LabelSemantics = PAPER
    image_check: str = "content"
    order: str = "reading"
    cross_source_leaks: str = "leave_out"
    held_out: str = "splits"
    scale: Mapping[str, float] = field(default_factory=dict)
    reader_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parquet: bool = True
    llava: bool = False
    verl: bool = False
    verl_thinking: bool = False
    verl_thinking_no_suffix: bool = False

    def __post_init__(self) -> None:
        if not self.splits or set(self.splits) - set(SPLITS):
            raise MixtureError(
                f"splits: expected some of {', '.join(SPLITS)}; found {', '.join(self.splits) or 'none'}"
            )
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise MixtureError(f"{name}: expected one of {', '.join(allowed)}; found {getattr(self, name)!r}")
        for name in ("parquet", "llava", "verl", "verl_thinking", "verl_thinking_no_suffix"):
            if not isinstance(getattr(self, name), bool):
                raise MixtureError(f"{name}: expected true or false, found {getattr(self, name)!r}")
        for split in self.splits:
            _check_split(split, self.entries(split), self.semantics)
        _check_sources(self)
        for split, factor in self.scale.items():
            if split not in self.splits or not isinstance(factor, (int, float)) or not 0 < factor <= 1:
                raise MixtureError(f"scale: expected split -> a fraction above 0 up to 1, found {split}: {factor!r}")

    def entries(self, split: str) -> tuple[Entry, ...]:
        """The entries of a split, in either form."""
        found = self.splits[split]
        if isinstance(found, Mapping):
            return tuple(Entry(**vars(amount), task=task) for task, amount in found.items())
        return tuple(found)

    def sources(self) -> tuple[str, ...]:
        """The datasets that the entries name, in order of appearance; none for a mixture of one dataset."""
        return tuple(dict.fromkeys(e.source for split in self.splits for e in self.entries(split) if e.source))

    def without(self, names: Sequence[str]) -> Mixture:
        """The mixture without some entries, named by their dataset or by their key."""
        splits = {
            split: [entry for entry in self.entries(split) if entry.source not in names and entry.key not in names]
            for split in self.splits
        }
        return dataclasses.replace(self, splits=splits)


def _check_split(split: str, entries: Sequence[Entry], semantics: LabelSemantics) -> None:
    if unknown := [entry.task for entry in entries if entry.task not in TASKS]:
        raise MixtureError(f"{split}: expected tasks of {', '.join(TASKS)}; found {', '.join(unknown)}")
    keys = [entry.key for entry in entries]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise MixtureError(f"{split}: expected each task of a dataset once, found {', '.join(twice)} several times")
    shares = [entry.share for entry in entries if entry.share is not None]
    total, all_shared = sum(shares), len(shares) == len(entries)
    if shares and (abs(total - 1) > 1e-6 if all_shared else total >= 1):
        wanted = "to sum to 1" if all_shared else "to leave room for the tasks without a share"
        raise MixtureError(f"{split}: expected the shares {wanted}, found {total:g}")
    for entry in entries:
        try:
            dataclasses.replace(semantics, **entry.semantics)
        except (TypeError, ValueError) as error:
            raise MixtureError(f"{split}: {entry.key}: semantics: {error}") from error


def _check_sources(mixture: Mixture) -> None:
    entries = [(split, entry) for split in mixture.splits for entry in mixture.entries(split)]
    if len({bool(entry.source) for _, entry in entries}) > 1:
        raise MixtureError("splits: expected a source in every entry or in none, found both")
    goes_to: dict[tuple[str, str], str] = {}
    for split, entry in entries:
        for read in entry.reads or [split]:
            if goes_to.setdefault((entry.source, read), split) != split:
                raise MixtureError(
                    f"{entry.key}: expected the dataset's split {read!r} in one split of the mixture, "
                    f"found it in {goes_to[entry.source, read]} and {split}"
                )


def load_mixture(source: str | os.PathLike[str] | Mapping[str, Any]) -> Mixture:
    """A mixture from a YAML file, from the name of a packaged one (``laptop``), or from a mapping.

    Raises:
        MixtureError: there is no such file, it is not YAML, or a setting is unknown or senseless.
    """
    content, where = _content(source, [])
    known = [entry.name for entry in dataclasses.fields(Mixture)]
    for key in content:
        if key not in known:
            raise MixtureError(f"{where}: unknown key {key}{close_matches(str(key), known)}; known: {', '.join(known)}")
    if missing := [key for key in ("name", "splits") if key not in content]:
        raise MixtureError(f"{where}: expected name, splits and options of a Mixture; missing: {', '.join(missing)}")
    try:
        splits = content["splits"] or {}
        values = content | {"splits": {split: _amounts(split, found, where) for split, found in splits.items()}}
        values["semantics"] = LabelSemantics(**(content.get("semantics") or {}))
        return Mixture(**values)
    except (MixtureError, ProfileError) as error:
        message = str(error)
        raise MixtureError(message if message.startswith(where) else f"{where}: {message}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise MixtureError(f"{where}: expected name, splits and options of a Mixture; found {error!r}") from error


def _content(source: str | os.PathLike[str] | Mapping[str, Any], above: list[str]) -> tuple[dict[str, Any], str]:
    """The keys of a mixture, those of its base included, and what to call it in messages."""
    beside = Path()
    if isinstance(source, Mapping):
        found: Any = dict(source)
        where = "mixture"
    else:
        packaged = MIXTURES / f"{os.fspath(source)}.yaml"
        path = packaged if packaged.is_file() else Path(source)
        where, beside = path.name, path.parent
        if not path.is_file():
            names = ", ".join(sorted(file.stem for file in MIXTURES.glob("*.yaml")))
            raise MixtureError(f"mixture: expected a YAML file or one of {names}; found no {path}")
        try:
            found = parse_yaml(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise MixtureError(f"{where}: expected a readable YAML file, found: {error}") from error
    if not isinstance(found, dict):
        raise MixtureError(f"{where}: expected keys with values, found {type(found).__name__}")
    if "base" not in found:
        return found, where
    base = str(found.pop("base"))
    if base in above:
        chain = " -> ".join([*above, base])
        raise MixtureError(f"{where}: expected a base that does not lead back here, found {chain}")
    return _content(beside / base if (beside / base).is_file() else base, [*above, base])[0] | found, where


def _amounts(split: Any, found: Any, where: str) -> dict[str, TaskAmount] | list[Entry]:
    name = f"splits.{split}"
    if isinstance(found, list):
        return [build_settings(Entry, entry, where, f"{name}[{number}]") for number, entry in enumerate(found)]
    if not isinstance(found, Mapping):
        raise MixtureError(f"{name}: expected tasks with amounts or a list of entries, found {found!r:.80}")
    return {task: build_settings(TaskAmount, amount or {}, where, f"{name}.{task}") for task, amount in found.items()}


def wanted_counts(
    available: Mapping[str, int], amounts: Mapping[str, TaskAmount], scale: float = 1.0
) -> dict[str, int]:
    """How many pairs of each task (or entry) stay.

    Tasks without a share keep all (up to ``samples``). Tasks with a share fill up to it beside those; if every
    task has a share, the scarcest keeps all and the others follow. Tasks with nothing available do not count.
    ``scale`` is the fraction of each that is there to take, at least one pair.

    >>> amounts = {"report_generation": TaskAmount(), "anatomical_grounding": TaskAmount(share=0.2)}
    >>> wanted_counts({"report_generation": 80, "anatomical_grounding": 900}, amounts)
    {'report_generation': 80, 'anatomical_grounding': 20}
    """
    limits = {
        task: max(1, round(scale * min(count, amounts[task].samples or count)))
        for task, count in available.items()
        if count
    }
    shares = {task: share for task in limits if (share := amounts[task].share) is not None}
    counts = {task: limits.get(task, 0) for task in available}
    if shares:
        if len(shares) == len(limits):
            total = min(limits[task] / share for task, share in shares.items())
        else:
            total = sum(limits[task] for task in limits if task not in shares) / (1 - sum(shares.values()))
        counts.update({task: min(limits[task], round(share * total)) for task, share in shares.items()})
    return counts
