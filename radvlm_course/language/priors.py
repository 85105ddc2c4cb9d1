"""Does a text refer to an earlier study? Rules in ``prior_references.yaml``, one a way of speaking.

A model that sees one film cannot know that an effusion is *unchanged* or a line *new*; trained on such reports it
learns to make priors up (Ramesh et al., "Improving Radiology Report Generation Systems by Removing Hallucinated
References to Non-existent Priors", ML4H 2022). So every rewritten report and every conversation passes this check.

Each rule lists expressions and, where words also have an innocent sense, the contexts in which they are allowed:
``prior granulomatous disease`` is seen on one film, ``worse on the left`` compares sides, ``high-resolution CT`` is
no resolution. When in doubt a rule fires: the language model is then asked again with the reason, which costs one
call, while a missed reference teaches the model to hallucinate. *No new effusion* fires too, by a rule of its own
(``no_new``) that a caller may ignore: it says something about an earlier film, and it must not simply become "no
effusion", since an old one may be there.

Left out: history that names no study ("known cancer"), and languages other than English.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from importlib import resources
from typing import NamedTuple

import yaml

__all__ = ["PriorReference", "Rule", "find_prior_references", "prior_rules"]

_DASHES_AND_APOSTROPHES = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2019": "'"})
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


class PriorReference(NamedTuple):
    """Words of a text that refer to an earlier study, the sentence they stand in, and the rule that found them."""

    rule: str
    words: str
    sentence: str


class Rule(NamedTuple):
    """One way to refer to an earlier study; ``allowed`` are contexts in which the same words are innocent."""

    name: str
    found: re.Pattern[str]
    allowed: re.Pattern[str] | None

    def matches(self, sentence: str) -> list[str]:
        """The words of a sentence (on one line, single spaces) that are a reference."""
        innocent = [match.span() for match in self.allowed.finditer(sentence)] if self.allowed else []
        return [
            match.group()
            for match in self.found.finditer(sentence)
            if not any(start < match.end() and match.start() < end for start, end in innocent)
        ]


def find_prior_references(text: str, ignore: Collection[str] = ()) -> list[PriorReference]:
    """Every place of a text that refers to an earlier study, sentence by sentence.

    Args:
        ignore: names of rules that are not applied.

    Raises:
        ValueError: ``ignore`` names a rule that does not exist.

    >>> find_prior_references("Heart size is normal. The effusion is unchanged.")
    [PriorReference(rule='unchanged', words='unchanged', sentence='The effusion is unchanged.')]
    """
    rules = prior_rules()
    if unknown := sorted(set(ignore) - {rule.name for rule in rules}):
        raise ValueError(
            f"ignore: expected names of rules ({', '.join(rule.name for rule in rules)}), found {', '.join(unknown)}"
        )
    applied = [rule for rule in rules if rule.name not in ignore]
    found = []
    for part in _SENTENCE_END.split(text.translate(_DASHES_AND_APOSTROPHES)):
        sentence = " ".join(part.split())
        found += [PriorReference(rule.name, words, sentence) for rule in applied for words in rule.matches(sentence)]
    return found


@functools.cache
def prior_rules() -> tuple[Rule, ...]:
    """The rules of ``prior_references.yaml``, in its order."""
    content = yaml.safe_load(resources.files(__package__).joinpath("prior_references.yaml").read_text("utf-8"))

    def compiled(expressions: list[str]) -> re.Pattern[str]:
        joined = "|".join(f"(?:{expression})" for expression in expressions)
        for name, value in content["words"].items():
            joined = joined.replace(f"{{{name}}}", value)
        return re.compile(rf"\b(?:{joined})(?!\w)", re.IGNORECASE)

    return tuple(
        Rule(name, compiled(rule["found"]), compiled(rule["allowed"]) if "allowed" in rule else None)
        for name, rule in content["rules"].items()
    )
