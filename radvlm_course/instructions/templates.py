"""The wordings of questions and answers, as data.

They stand in ``templates.yaml``, written for this course, in two sets: ``full`` varies the wording for models that
know English, ``compact`` has one wording a task so that a tiny model spends its capacity on the image. Another
YAML file of the same shape can be given by its path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

__all__ = ["TemplateError", "Templates", "load_templates", "template_digest"]

_FILE = Path(__file__).with_name("templates.yaml")
# Task -> group of wordings -> the fields that each wording must have, no more and no fewer.
_FIELDS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "report_generation": {"questions": frozenset(), "answers": frozenset({"report"})},
    "abnormality_classification": {
        "questions": frozenset(),
        "several": frozenset({"labels"}),
        "one": frozenset({"labels"}),
        "none": frozenset(),
    },
    "grounding": {"questions": frozenset({"name"}), "answers": frozenset({"name", "boxes"})},
    "phrase_grounding": {"questions": frozenset({"name"}), "answers": frozenset({"boxes"})},
    "abnormality_detection": {
        "questions": frozenset(),
        "answers": frozenset({"findings"}),
        "finding": frozenset({"name", "boxes"}),
        "none": frozenset(),
    },
}
_OPTIONAL = {("grounding", "answers"): frozenset({"name"})}


class TemplateError(ValueError):
    """A set of wordings that is missing or malformed."""


@dataclass(frozen=True)
class Templates:
    """One set of wordings.

    Attributes:
        name: the set's name.
        groups: (task, group) -> its wordings; anatomical and abnormality grounding share ``grounding``.
        digest: changes whenever a wording does.
    """

    name: str
    groups: Mapping[tuple[str, str], tuple[str, ...]]
    digest: str

    def wordings(self, task: str, group: str) -> tuple[str, ...]:
        """The wordings of one group of one task, at least one."""
        return self.groups[task, group]

    def combinations(self, task: str) -> int:
        """In how many ways a pair of a task can be worded at least; a task without wordings of its own has one."""
        kind = "grounding" if task in ("anatomical_grounding", "abnormality_grounding") else task
        groups = {group: len(set(found)) for (owner, group), found in self.groups.items() if owner == kind}
        questions = groups.pop("questions", 1)
        return questions * min((count for group, count in groups.items() if group != "finding"), default=1)


@cache
def load_templates(name: str = "full") -> Templates:
    """A set of wordings: ``full`` or ``compact``, or ``path.yaml:set`` for a set of another file.

    Raises:
        TemplateError: there is no such set, or a wording has other fields than its task gives.
    """
    path, _, chosen = name.rpartition(":")
    file = Path(path) if path else _FILE
    if not file.is_file():
        raise TemplateError(f"templates: expected a YAML file at {file}, found none")
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or chosen not in content:
        found = ", ".join(map(str, content)) if isinstance(content, dict) else "no mapping"
        raise TemplateError(f"templates: expected the set {chosen!r} in {file}, found {found}")
    groups = {
        (task, group): _wordings(content[chosen], task, group, fields)
        for task, task_groups in _FIELDS.items()
        for group, fields in task_groups.items()
    }
    digest = hashlib.sha256(repr(sorted(groups.items())).encode()).hexdigest()
    return Templates(chosen, groups, digest)


def template_digest(name: str) -> str:
    """The digest of a set of wordings; two machines that agree on it write the same text."""
    return load_templates(name).digest


def _wordings(content: Any, task: str, group: str, fields: frozenset[str]) -> tuple[str, ...]:
    found = content.get(task, {}).get(group) if isinstance(content, dict) else None
    wordings = (found,) if isinstance(found, str) else tuple(found or ())
    if not wordings or not all(isinstance(wording, str) for wording in wordings):
        raise TemplateError(f"templates: expected at least one wording in {task}.{group}, found {found!r}")
    optional = _OPTIONAL.get((task, group), frozenset())
    for wording in wordings:
        used = {field for _, field, _, _ in Formatter().parse(wording) if field is not None}
        if used - fields or (fields - optional) - used:
            wanted = ", ".join(sorted(fields)) or "no field"
            raise TemplateError(f"templates: {task}.{group}: expected {wanted} in {wording!r}, found {sorted(used)}")
    return wordings
