"""bert-score 0.3.13 on transformers 5.

Two breaks in what it asks of a tokenizer: ``build_inputs_with_special_tokens``, called for an empty text, is gone;
and ``add_prefix_space=True``, passed to ``encode`` for RoBERTa, is ignored in silence, so that the first word of a
text gets the wrong id and every score shifts. ``BERTScorer`` makes its tokenizer with ``get_tokenizer``; the patch
builds it with the prefix space from the start and gives it the missing method. The scores are then those of
transformers 4.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from radvlm_course.rewards.compat import Patch, apply, import_package
from radvlm_course.rewards.compat.radgraph import add_methods

__all__ = ["PATCHES", "load"]


def _method_is_missing() -> bool:
    from transformers import PreTrainedTokenizerBase

    return not hasattr(PreTrainedTokenizerBase, "build_inputs_with_special_tokens")


def _with_prefix_space(get_tokenizer: Callable) -> Callable:
    @functools.wraps(get_tokenizer)
    def patched(model_type: str, use_fast: bool = False) -> Any:
        from transformers import AutoTokenizer, GPT2Tokenizer, RobertaTokenizer

        tokenizer = get_tokenizer(model_type, use_fast)
        if isinstance(tokenizer, (GPT2Tokenizer, RobertaTokenizer)):
            tokenizer = AutoTokenizer.from_pretrained(model_type, add_prefix_space=True)
        return add_methods(tokenizer)

    return patched


PATCHES = (
    Patch(
        touches="bert_score.scorer:get_tokenizer",
        reason="transformers 5 removed build_inputs_with_special_tokens and ignores add_prefix_space in encode",
        needed=_method_is_missing,
        replacement=_with_prefix_space,
    ),
)


def load() -> ModuleType:
    """The package ``bert_score``, patched where needed.

    Raises:
        RewardError: it is not installed.
    """
    package = import_package("bert_score")
    import_package("bert_score.scorer")
    apply(PATCHES)
    return package
