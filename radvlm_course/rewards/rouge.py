"""rouge_1, rouge_2, rouge_l: words, pairs of words and the longest common subsequence shared with the reference.

F-measures as ``rouge_score`` computes them with stemming on (Lin 2004), the setting of the paper's tables: lower
case, letters and digits only, Porter stems. For ROUGE-L word order counts and gaps are free.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from radvlm_course.records import Example
from radvlm_course.rewards.base import RewardError, TextReward

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

__all__ = ["Rouge"]

_NAMES = {"1": ("rouge_1", "rouge1"), "2": ("rouge_2", "rouge2"), "l": ("rouge_l", "rougeL")}


class Rouge(TextReward):
    """ROUGE F-measure against the example's answer; range 0 to 1, higher is better, equal texts give 1.

    Args:
        kind: ``1``, ``2`` or ``l``. A text of a single word has no pair of words, so that ROUGE-2 gives it 0.
    """

    range = (0.0, 1.0)
    empty_value = 0.0

    def __init__(self, kind: Literal["1", "2", "l"] = "l") -> None:
        if kind not in _NAMES:
            raise ValueError(f"rouge: expected kind '1', '2' or 'l', found {kind!r}")
        self.name, self._key = _NAMES[kind]

    @cached_property
    def _scorer(self) -> RougeScorer:
        from rouge_score.rouge_scorer import RougeScorer

        return RougeScorer([self._key], use_stemmer=True)

    def check_example(self, example: Example) -> None:
        """As in the base class; also refuses an example whose reference has no word.

        Raises:
            RewardError: wrong task, or nothing to compare with; names the example.
        """
        super().check_example(example)
        if not any(character.isascii() and character.isalnum() for character in example.answer):
            raise RewardError(
                f"{self.name}: the reference of example {example.id!r} has no word ({example.answer!r:.80}): "
                "leave the example out"
            )

    def score(self, response: str, example: Example) -> float:
        return float(self._scorer.score(example.answer, response)[self._key].fmeasure)
