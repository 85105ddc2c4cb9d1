"""gleu: n-gram overlap with the reference report (Google BLEU), the cheap reward for reports.

GLEU is the smaller of precision and recall over all 1- to 4-grams of a pair (Wu et al. 2016,
arXiv 1609.08144, section 5.2), made for single sentences as rewards. The paper takes ``google_bleu`` of the
``evaluate`` package, which downloads a script when it runs; the same number comes from
``nltk.translate.gleu_score.sentence_gleu`` over the tokens of sacrebleu's ``13a`` tokenizer. Case is kept and
nothing is cut off, as there.

It counts words, not meanings: "no effusion" shares most n-grams with "effusion". That is what makes it a
good lesson next to the clinical rewards.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from radvlm_course.records import Example
from radvlm_course.rewards.base import TextReward

if TYPE_CHECKING:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

__all__ = ["Gleu"]


class Gleu(TextReward):
    """Sentence GLEU against the example's answer; range 0 to 1, higher is better, equal texts give 1."""

    name = "gleu"
    range = (0.0, 1.0)
    empty_value = 0.0

    @cached_property
    def _tokenizer(self) -> Tokenizer13a:
        from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

        return Tokenizer13a()

    def tokens(self, text: str) -> list[str]:
        """The 13a tokens of a text: punctuation apart from words, numbers whole, case kept."""
        return self._tokenizer(text).split()

    def score(self, response: str, example: Example) -> float:
        from nltk.translate.gleu_score import sentence_gleu

        return float(sentence_gleu([self.tokens(example.answer)], self.tokens(response)))
