"""f1chexbert 0.0.2 on transformers 5, huggingface_hub 1 and scikit-learn 1.8 and later.

Three breaks: ``tokenize`` hands a list of wordpieces to ``encode_plus``, which is gone (and whose successors would
take the pieces for words and give wrong ids in silence); ``download_model`` asks for an option that huggingface_hub
no longer has and swallows the error, so that the checkpoint is never where it is read; and scikit-learn's private
``_check_targets`` returns more values than the three that are unpacked.
"""

from __future__ import annotations

import functools
import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from radvlm_course.rewards.compat import Patch, apply, import_package

__all__ = ["MAX_TOKENS", "PATCHES", "load"]

MAX_TOKENS = 512
MODULE = "f1chexbert.f1chexbert"


def _encode_plus_is_missing() -> bool:
    from transformers import PreTrainedTokenizerBase

    return not hasattr(PreTrainedTokenizerBase, "encode_plus")


def _with_ids(tokenize: Callable) -> Callable:
    @functools.wraps(tokenize)
    def patched(impressions: Any, tokenizer: Any) -> list[list[int]]:
        rows = []
        for text in impressions:
            pieces = tokenizer.tokenize(" ".join(str(text).split()))
            ids = tokenizer.convert_tokens_to_ids(pieces)[: MAX_TOKENS - 2]
            rows.append([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id])
        return rows

    return patched


def _force_filename_is_missing() -> bool:
    from huggingface_hub import hf_hub_download

    return "force_filename" not in inspect.signature(hf_hub_download).parameters


def _that_puts_the_file_where_it_is_read(download_model: Callable) -> Callable:
    @functools.wraps(download_model)
    def patched(repo_id: str, cache_dir: str, filename: str) -> None:
        from huggingface_hub import hf_hub_download

        Path(cache_dir).mkdir(parents=True, exist_ok=True)
        source = hf_hub_download(repo_id=repo_id, filename=filename)
        target = Path(cache_dir) / filename
        try:
            target.symlink_to(source)
        except OSError:  # a file system or a user without links
            shutil.copyfile(source, target)

    return patched


def _check_targets_returns_more_than_three() -> bool:
    from sklearn.metrics._classification import _check_targets

    return len(_check_targets([[0, 1]], [[0, 1]])) != 3


def _of_three_values(check_targets: Callable) -> Callable:
    @functools.wraps(check_targets)
    def patched(true: Any, predicted: Any) -> tuple[str, Any, Any]:
        import numpy as np
        from scipy.sparse import csr_matrix

        return "multilabel-indicator", csr_matrix(np.asarray(true)), csr_matrix(np.asarray(predicted))

    return patched


PATCHES = (
    Patch(
        touches=f"{MODULE}:tokenize",
        reason="transformers 5 removed encode_plus",
        needed=_encode_plus_is_missing,
        replacement=_with_ids,
    ),
    Patch(
        touches=f"{MODULE}:download_model",
        reason="huggingface_hub removed force_filename",
        needed=_force_filename_is_missing,
        replacement=_that_puts_the_file_where_it_is_read,
    ),
    Patch(
        touches=f"{MODULE}:_check_targets",
        reason="scikit-learn's _check_targets returns more than three values",
        needed=_check_targets_returns_more_than_three,
        replacement=_of_three_values,
    ),
)


def load() -> ModuleType:
    """The module ``f1chexbert.f1chexbert``, patched where needed.

    Raises:
        RewardError: it is not installed.
    """
    module = import_package(MODULE)
    apply(PATCHES)
    return module
