"""The words that the filters of traces look for, from ``filter_rules.yaml``."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources

import yaml

__all__ = ["FilterRules", "filter_rules"]


@dataclass(frozen=True)
class FilterRules:
    """Compiled expressions and lists of words; the file says what each is for."""

    hidden_source: re.Pattern[str]
    answer_marker: re.Pattern[str]
    refusal: re.Pattern[str]
    other_format: re.Pattern[str]
    normal_film: re.Pattern[str]
    observation: frozenset[str]
    english: frozenset[str]
    own_sign: frozenset[str]
    known_findings: tuple[str, ...]
    other_names: dict[str, tuple[str, ...]]

    def names_of(self, finding: str) -> tuple[str, ...]:
        """What a finding is called, in lower case."""
        return (finding.lower(), *self.other_names.get(finding.lower(), ()))


@functools.cache
def filter_rules() -> FilterRules:
    """The rules, read once."""
    content = yaml.safe_load(resources.files(__package__).joinpath("filter_rules.yaml").read_text("utf-8"))
    words = content["words"]

    def compiled(name: str, words_only: bool = True) -> re.Pattern[str]:
        joined = "|".join(f"(?:{expression})" for expression in content[name])
        for word, value in words.items():
            joined = joined.replace(f"{{{word}}}", value)
        return re.compile(rf"(?<!\w)(?:{joined})(?!\w)" if words_only else joined, re.IGNORECASE)

    return FilterRules(
        hidden_source=compiled("hidden_source"),
        answer_marker=compiled("answer_marker"),
        refusal=compiled("refusal"),
        other_format=compiled("other_format", words_only=False),
        normal_film=compiled("normal_film"),
        observation=frozenset(content["observation"]),
        english=frozenset(content["english"]),
        own_sign=frozenset(content["own_sign"]),
        known_findings=tuple(content["known_findings"]),
        other_names={name: tuple(others) for name, others in content["other_names"].items()},
    )
