"""Classification metrics: which abnormalities an answer names, against the labels of the film.

Answers are text. Two readers turn them into sets of labels:

- **paper-compatible**: a label is named if its name, in lower case, is a substring of the answer. "No pneumothorax" is
  then a pneumothorax, and "lung opacity" is missed in "opacities".
- **corrected**: the rules of :mod:`~radvlm_course.evaluation.observations` for the labels of CheXpert (synonyms,
  negation, doubt), and for other labels their own names under the same cues. Doubted labels count as named, as
  uncertain labels count as present in the paper's data.

Precision, recall and F1 are pooled over labels (*micro*), averaged over labels (*macro*), and of each label. In the
paper-compatible macro average a label that neither the films nor the answers have counts 0, as in scikit-learn; the
corrected one leaves it out. A film without any label is right if nothing is named: ``exact`` counts that, the others
cannot.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from radvlm_course.evaluation.label_counts import MEASURES, label_counts, macro, micro, of_label
from radvlm_course.evaluation.observation_rules import NO_FINDING, Rules, load_rules
from radvlm_course.evaluation.observations import explain
from radvlm_course.evaluation.statistics import CountStatistic, mean_statistic
from radvlm_course.records import PRESENT, UNCERTAIN, Example
from radvlm_course.rewards.scorers.chexbert import OBSERVATIONS

__all__ = [
    "PATHOLOGIES",
    "label_statistics",
    "named_by_rules",
    "named_by_substring",
    "score_response",
    "statistics",
    "vocabulary_of",
]

PATHOLOGIES = tuple(sorted(set(OBSERVATIONS) - {NO_FINDING}))
"""The paper's thirteen labels."""

_READERS = {"_paper": "named_paper", "": "named"}  # ending of a metric's name -> what it reads of a row


def vocabulary_of(examples: Iterable[Example]) -> tuple[str, ...]:
    """The labels to look for: the paper's thirteen if all labels of the examples are among them, else the examples'.

    Case does not matter for the comparison with the thirteen.
    """
    found = {label for example in examples for label in example.labels}
    known = {name.lower() for name in PATHOLOGIES}
    return PATHOLOGIES if {label.lower() for label in found} <= known else tuple(sorted(found - {NO_FINDING}))


def named_by_substring(text: str, vocabulary: Sequence[str] = PATHOLOGIES) -> list[str]:
    """The labels whose names occur anywhere in a text, as the paper counts them.

    >>> named_by_substring("No pneumothorax. Pleural effusion.")
    ['Pleural Effusion', 'Pneumothorax']
    """
    lowered = text.lower()
    return [label for label in vocabulary if label.lower() in lowered]


def named_by_rules(text: str, vocabulary: Sequence[str] = PATHOLOGIES) -> list[str]:
    """The labels that a text affirms or doubts.

    >>> named_by_rules("No pneumothorax. Pleural effusion.")
    ['Pleural Effusion']
    """
    rules, names = _rules_for(tuple(vocabulary))
    found = {item.observation for item in explain(text, rules) if item.value in (PRESENT, UNCERTAIN)}
    return [label for label in vocabulary if names[label] in found]


@lru_cache(maxsize=8)
def _rules_for(vocabulary: tuple[str, ...]) -> tuple[Rules, dict[str, str]]:
    """Rules that know each label, and the name under which they know it."""
    rules = load_rules()
    by_lower = {name.lower(): name for name in rules.mentions}
    names = {label: by_lower.get(label.lower(), label) for label in vocabulary}
    added = {
        label: (re.compile(rf"(?<!\w){_plain_name(label)}(?:s|es)?(?!\w)"), None)
        for label, name in names.items()
        if name not in rules.mentions
    }
    return (dataclasses.replace(rules, mentions={**rules.mentions, **added}) if added else rules), names


def _plain_name(label: str) -> str:
    """A pattern of a label's name; ``Nodule/Mass`` is either of the two."""
    parts = [re.escape(part).replace(r"\ ", r"[ -]").replace("_", "[ _-]") for part in label.lower().split("/")]
    return f"(?:{'|'.join(parts)})"


def score_response(response: str | None, example: Example, vocabulary: Sequence[str] = PATHOLOGIES) -> dict[str, Any]:
    """The row of one classification example.

    Args:
        response: the answer without its thought; None or blank names nothing.
        vocabulary: the labels to look for.

    Returns:
        ``labels_true``, ``named_paper`` and ``named`` (sorted lists), ``labels_known`` (the vocabulary) and
        ``claims_nothing``: the answer has text and names no label.

    Raises:
        ValueError: a label of the example is not in the vocabulary; names the example.
    """
    text = response or ""
    known = {label.lower(): label for label in vocabulary}
    if unknown := [label for label in example.labels if label.lower() not in known and label != NO_FINDING]:
        raise ValueError(f"example {example.id!r}: its label {unknown[0]!r} is not among {', '.join(vocabulary)}")
    named = named_by_rules(text, vocabulary)
    return {
        "labels_known": list(vocabulary),
        "labels_true": sorted({known[label.lower()] for label in example.labels if label != NO_FINDING}),
        "named_paper": sorted(named_by_substring(text, vocabulary)),
        "named": sorted(named),
        "claims_nothing": bool(text.strip()) and not named,
    }


def statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, CountStatistic]:
    """The metrics of a set of rows, each with higher values better.

    For both readers (``_paper`` in the name for the paper's) ``precision``, ``recall`` and ``f1``, each ``_micro`` and
    ``_macro``; and ``exact``, the share of films of which exactly the right labels are named, where nothing is to be
    named: said so in words.
    """
    result: dict[str, CountStatistic] = {}
    for reader, key in _READERS.items():
        counts = _counts(rows, key)
        for name, measure in MEASURES.items():
            result[f"{name}_micro{reader}"] = CountStatistic(counts, micro(measure))
            result[f"{name}_macro{reader}"] = CountStatistic(counts, macro(measure, empty_as_zero=bool(reader)))
    return result | {"exact": mean_statistic([_is_exact(row) for row in rows])}


def label_statistics(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, CountStatistic]]:
    """Each label's precision, recall and F1 under both readers; n is the films that have the label."""
    tables = {reader: _counts(rows, key) for reader, key in _READERS.items()}
    result: dict[str, dict[str, CountStatistic]] = {}
    for place, label in enumerate(rows[0]["labels_known"] if rows else ()):
        n = sum(label in row["labels_true"] for row in rows)
        result[label] = {
            name + reader: CountStatistic(counts, of_label(measure, place), n)
            for reader, counts in tables.items()
            for name, measure in MEASURES.items()
        }
    return result


def _is_exact(row: Mapping[str, Any]) -> float:
    same = row["named"] == row["labels_true"]
    return float(same and (bool(row["labels_true"]) or row["claims_nothing"]))


def _counts(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    known = rows[0]["labels_known"] if rows else []
    return label_counts([row[key] for row in rows], [row["labels_true"] for row in rows], known)
