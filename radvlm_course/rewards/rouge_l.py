"""rouge_l: longest common subsequence of words with the reference report.

F-measure of ROUGE-L as ``rouge_score`` computes it with stemming on (Lin 2004), the setting of the paper's
tables: lower case, letters and digits only, Porter stems. Word order counts, gaps are free.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from radvlm_course.records import Example
from radvlm_course.rewards.base import TEXT_TASKS, Reward, RewardError

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

__all__ = ["RougeL"]


class RougeL(Reward):
    """ROUGE-L F-measure against the example's answer; range 0 to 1, higher is better, equal texts give 1."""

    name = "rouge_l"
    range = (0.0, 1.0)
    empty_value = 0.0
    tasks = TEXT_TASKS

    @cached_property
    def _scorer(self) -> RougeScorer:
        from rouge_score.rouge_scorer import RougeScorer

        return RougeScorer(["rougeL"], use_stemmer=True)

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
        return float(self._scorer.score(example.answer, response)["rougeL"].fmeasure)
