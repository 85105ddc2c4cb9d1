"""The rules by which a report is read for observations: loaded from ``observation_rules.yaml``, checked, compiled.

The YAML file is the documentation of the rules; :mod:`radvlm_course.evaluation.observations` applies them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from radvlm_course.rewards.scorers.chexbert import OBSERVATIONS

__all__ = ["NO_FINDING", "RULES_FILE", "Cue", "Predicate", "RuleError", "Rules", "Subject", "load_rules"]

RULES_FILE = Path(__file__).with_name("observation_rules.yaml")
NO_FINDING = "No Finding"
_KINDS = ("affirmation", "negation", "uncertainty", "elsewhere")
_PLACES = ("before", "after", "both")
_SAYS = ("normal", "borderline", "abnormal", "nothing")


class RuleError(ValueError):
    """A file of rules that cannot be used; names the rule."""


@dataclass(frozen=True)
class Cue:
    """Words that change what a mention means; the fields are explained in the YAML file."""

    name: str
    kind: str
    where: str
    pattern: re.Pattern[str]
    reach: int | None = None
    only_between_mentions: bool = False


@dataclass(frozen=True)
class Subject:
    """A structure of which reports say that it is normal or not."""

    name: str
    pattern: re.Pattern[str]
    abnormal: tuple[str, ...]
    normal: tuple[str, ...]


@dataclass(frozen=True)
class Predicate:
    """What is said of a structure: ``normal``, ``borderline``, ``abnormal``, or ``nothing`` that matters here."""

    name: str
    says: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Rules:
    """All rules, compiled.

    Attributes:
        mentions: observation -> (what names it, longer phrases that do not; None if there are none).
        subjects, predicates, longest_gap, interruptions: of structures.
        cues: in order; earlier ones claim their words.
        scope_ends: name -> where the scope of a cue ends.
        affirmed_item, new_clause, list_gap: see the YAML file.
    """

    mentions: Mapping[str, tuple[re.Pattern[str], re.Pattern[str] | None]]
    subjects: tuple[Subject, ...]
    predicates: tuple[Predicate, ...]
    longest_gap: int
    interruptions: re.Pattern[str]
    cues: tuple[Cue, ...]
    scope_ends: Mapping[str, re.Pattern[str]]
    affirmed_item: re.Pattern[str]
    new_clause: re.Pattern[str]
    list_gap: re.Pattern[str]


@lru_cache(maxsize=4)
def load_rules(path: Path = RULES_FILE) -> Rules:
    """Read, check and compile a file of rules.

    Raises:
        RuleError: a key is missing or unknown, a pattern is no regular expression, or an observation is none of the
            fourteen; names the rule.
    """
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        structures = values["structures"]
        return Rules(
            mentions=_mentions(values["mentions"]),
            subjects=tuple(_subject(item) for item in structures["subjects"]),
            predicates=tuple(_predicate(item) for item in structures["predicates"]),
            longest_gap=int(structures["longest_gap"]),
            interruptions=_words(structures["interruptions"], "interruptions"),
            cues=tuple(_cue(item) for item in values["cues"]),
            scope_ends={item["name"]: _compiled(item["pattern"], item["name"]) for item in values["scope_ends"]},
            affirmed_item=_plain(values["affirmed_item"], "affirmed_item"),
            new_clause=_plain(values["new_clause"], "new_clause"),
            list_gap=_plain(values["list_gap"], "list_gap"),
        )
    except (KeyError, TypeError) as error:
        raise RuleError(f"{path}: missing or wrong key {error}") from error


def _plain(pattern: str, name: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise RuleError(f"rule {name!r}: {pattern!r} is not a regular expression ({error})") from error


def _words(pattern: str, name: str) -> re.Pattern[str]:
    """A pattern that stands between word boundaries."""
    return _plain(rf"(?<!\w)(?:{pattern})(?!\w)", name)


def _compiled(pattern: str, name: str) -> re.Pattern[str]:
    return _plain(pattern, name) if pattern == ":" else _words(pattern, name)


def _mentions(values: Mapping[str, Any]) -> dict[str, tuple[re.Pattern[str], re.Pattern[str] | None]]:
    expected = set(OBSERVATIONS) - {NO_FINDING}
    if set(values) != expected:
        raise RuleError(f"mentions: expected {', '.join(sorted(expected))}; found {', '.join(sorted(values))}")
    return {
        name: (
            _words("|".join(values[name]["patterns"]), name),
            _words("|".join(values[name]["except"]), name) if values[name].get("except") else None,
        )
        for name in OBSERVATIONS
        if name != NO_FINDING
    }


def _subject(item: Mapping[str, Any]) -> Subject:
    for name in (*item["abnormal"], *item["normal"]):
        if name not in OBSERVATIONS:
            raise RuleError(f"structure {item['name']!r}: {name!r} is not one of {', '.join(OBSERVATIONS)}")
    return Subject(item["name"], _words(item["pattern"], item["name"]), tuple(item["abnormal"]), tuple(item["normal"]))


def _predicate(item: Mapping[str, Any]) -> Predicate:
    if item["says"] not in _SAYS:
        raise RuleError(f"predicate {item['name']!r}: expected says {', '.join(_SAYS)}; found {item['says']!r}")
    return Predicate(item["name"], item["says"], _words(item["pattern"], item["name"]))


def _cue(item: Mapping[str, Any]) -> Cue:
    known = {"name", "kind", "where", "pattern", "reach", "raw", "only_between_mentions"}
    if unknown := set(item) - known:
        raise RuleError(f"cue {item.get('name')!r}: unknown key {', '.join(sorted(unknown))}")
    name, kind, where = item["name"], item["kind"], item["where"]
    if kind not in _KINDS or where not in _PLACES:
        found = f"{kind!r} and {where!r}"
        raise RuleError(f"cue {name!r}: expected kind of {_KINDS} and where of {_PLACES}, found {found}")
    pattern = (_plain if item.get("raw") else _words)(item["pattern"], name)
    return Cue(name, kind, where, pattern, item.get("reach"), bool(item.get("only_between_mentions")))
