"""radgraph 0.1.18 on transformers 5.

Its tokenizer code calls ``encode_plus`` and ``build_inputs_with_special_tokens``, which tokenizers lost in
transformers 5. Every tokenizer of the package comes out of one function, ``cached_transformers.get_tokenizer``; the
patch gives each tokenizer that leaves it the two methods. ``radgraph`` also imports ``requests`` without declaring
it; the extra ``metrics`` does.

With the patch RadGraph's JSON is, byte for byte, the one of transformers 4.57 without it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from radvlm_course.rewards.compat import Patch, apply, import_package

__all__ = ["PATCHES", "load"]


def _methods_are_missing() -> bool:
    from transformers import PreTrainedTokenizerBase

    names = ("encode_plus", "build_inputs_with_special_tokens")
    return not all(hasattr(PreTrainedTokenizerBase, name) for name in names)


def add_methods(tokenizer: Any) -> Any:
    """Give one tokenizer the two methods of transformers 4 that it lacks. Returns the tokenizer."""
    if not hasattr(tokenizer, "encode_plus"):
        tokenizer.encode_plus = lambda text, text_pair=None, **options: tokenizer(text, text_pair, **options)
    if not hasattr(tokenizer, "build_inputs_with_special_tokens"):
        before, after = special_tokens(tokenizer)
        tokenizer.build_inputs_with_special_tokens = lambda ids, ids_b=None: [*before, *ids, *after]
    return tokenizer


def special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that a tokenizer puts before and after one sequence, found with a probe."""
    inner = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    start = whole.index(inner[0])
    return whole[:start], whole[start + len(inner) :]


def _with_methods(get_tokenizer: Callable) -> Callable:
    @functools.wraps(get_tokenizer)
    def patched(model_name: str, **options: Any) -> Any:
        return add_methods(get_tokenizer(model_name, **options))

    return patched


PATCHES = (
    Patch(
        touches="radgraph.allennlp.common.cached_transformers:get_tokenizer",
        reason="transformers 5 removed encode_plus and build_inputs_with_special_tokens",
        needed=_methods_are_missing,
        replacement=_with_methods,
    ),
)


def load() -> ModuleType:
    """The package ``radgraph``, patched where needed.

    Raises:
        RewardError: it is not installed.
    """
    package = import_package("radgraph")
    apply(PATCHES)
    return package
