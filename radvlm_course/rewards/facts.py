"""fact_precision, fact_recall, fact_f1: the facts of a phantom's report against those of its reference.

A fact is what a sentence claims of one finding: that it is present on a side, or that it is absent. Facts are read by
the rule labeller of the phantoms' grammar and compared as sets, as RadGraph's are, only without a model:

    precision = agreed / stated        recall = agreed / to be stated        F1 = 2 agreed / (stated + to be stated)

Three rewards out of one count, because they teach three policies. **Precision** is gamed by shortening: a report that
states only what is surest has the fewest wrong facts. **Recall** is gamed by the opposite, saying everything and its
contrary. **F1** charges for both. It is no cure for a reader that is mostly wrong, though: one more fact raises F1
only if its chance of being right is above half of the F1 so far (:mod:`radvlm_course.rewards.lab.shortening`).

Left out: severity and place within a lung, so ``small`` and ``large`` are the same fact; and every text outside the
phantoms' grammar. For real reports there are ``radgraph`` and ``chexbert``.
"""

from __future__ import annotations

import functools
from collections.abc import Set
from typing import Literal

from radvlm_course.phantoms.labeller import label_report, report_findings, split_sentences
from radvlm_course.records import Example
from radvlm_course.rewards.base import RewardError, TextReward

__all__ = ["Fact", "FactReward", "Kind", "compare_facts", "report_facts"]

Fact = tuple[str, str, bool]
"""(finding, side, present): side is ``left``, ``right`` or empty, and always empty for what is absent."""

Kind = Literal["precision", "recall", "f1"]
KINDS: tuple[Kind, ...] = ("precision", "recall", "f1")


def report_facts(text: str) -> frozenset[Fact]:
    """What a report states, once each; doubt counts as present.

    Sentences are read one by one: a report that affirms a finding here and denies it there states both.

    >>> sorted(report_facts("Small left pleural effusion. No pneumothorax."))
    [('pleural effusion', 'left', True), ('pneumothorax', '', False)]
    """
    return frozenset(fact for sentence in split_sentences(text) for fact in _sentence_facts(sentence))


@functools.lru_cache(maxsize=8192)  # the grammar has far fewer sentences
def _sentence_facts(sentence: str) -> frozenset[Fact]:
    present = {(finding, side, True) for finding, side in report_findings(sentence)}
    return frozenset(present | {(name, "", False) for name, value in label_report(sentence).items() if value == 0})


def compare_facts(stated: Set[Fact], true: Set[Fact]) -> dict[Kind, float]:
    """Precision, recall and F1 of two sets, each 0 to 1, higher is better.

    All are 1 if both sets are empty, and 0 if one of them is.
    """
    if not stated or not true:
        return dict.fromkeys(KINDS, float(not stated and not true))
    agreed = len(stated & true)
    return {
        "precision": agreed / len(stated),
        "recall": agreed / len(true),
        "f1": 2 * agreed / (len(stated) + len(true)),
    }


class FactReward(TextReward):
    """Agreement of a report's facts with the reference's; range 0 to 1, higher is better. A blank report earns 0.

    A text that states no fact earns 0, unless the reference states none either: then it earns 1.

    Args:
        kind: ``precision``, ``recall`` or ``f1`` (see the module for what each of them teaches).

    Raises:
        ValueError: there is no such kind.
    """

    range = (0.0, 1.0)
    empty_value = 0.0
    tasks = ("report_generation",)

    def __init__(self, kind: Kind = "f1") -> None:
        if kind not in KINDS:
            raise ValueError(f"facts: expected kind {', '.join(KINDS)}; found {kind!r}")
        self.kind: Kind = kind
        self.name = f"fact_{kind}"

    def check_example(self, example: Example) -> None:
        """As in the base class; also refuses reports that are not the phantoms', which the labeller cannot read.

        Raises:
            RewardError: wrong task, another source, or nothing to compare with; names the example.
        """
        super().check_example(example)
        if example.source not in ("", "phantom"):
            raise RewardError(
                f"{self.name} reads the phantoms' grammar only; example {example.id!r} comes from {example.source}: "
                "use radgraph or chexbert"
            )

    def score(self, response: str, example: Example) -> float:
        return compare_facts(report_facts(response), report_facts(example.answer))[self.kind]
