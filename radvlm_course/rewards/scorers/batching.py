"""Batches of token sequences: sorted by length, bounded by their padded size.

Padding is arithmetic spent on nothing. Sequences of like length share a batch, and a batch holds as many of them as
fit a number of padded tokens, so that long ones come in small batches and short ones in large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["batches_by_length", "choose_device", "encoded", "max_tokens_for", "padded", "set_precision"]

MAX_TOKENS = {"cpu": 1024, "cuda": 16_384}
"""Padded tokens of a batch. On a CPU larger ones gain nothing; a GPU wants work, but has a policy in its memory."""


def choose_device(device: str | None) -> torch.device:
    """The device asked for; if None, this process's GPU if there is one, else the CPU. A GPU comes with its number."""
    import torch

    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device("cuda", torch.cuda.current_device()) if name == "cuda" else torch.device(name)


def max_tokens_for(device: torch.device) -> int:
    """Padded tokens of a batch on a device."""
    return MAX_TOKENS.get(device.type, MAX_TOKENS["cpu"])


def batches_by_length(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Indices of sequences, longest first, in batches of at most ``max_tokens`` padded tokens.

    A sequence that is longer than that gets a batch of its own.

    >>> list(batches_by_length([2, 9, 3, 3], 9))
    [[1], [2, 3, 0]]
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[batch[0]] > max_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def padded(
    rows: Sequence[Sequence[int]], padding: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Token ids of shape (rows, longest) and their mask, or no mask if nothing is padded.

    Args:
        padding: the id that fills the ends.
    """
    import numpy as np
    import torch

    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    longest = int(lengths.max())
    mask = np.arange(longest) < lengths[:, None]
    ids = np.full(mask.shape, padding, dtype=np.int64)
    ids[mask] = np.fromiter((token for row in rows for token in row), dtype=np.int64, count=int(lengths.sum()))
    attention = None if mask.all() else torch.from_numpy(mask.astype(np.int64)).to(device)
    return torch.from_numpy(ids).to(device), attention


def encoded(model: Any, rows: Sequence[Sequence[int]], padding: int, device: torch.device) -> torch.Tensor:
    """The last hidden state of an encoder, float32, shape (rows, longest, hidden); finite.

    Args:
        model: a ``transformers`` encoder on ``device``.

    Raises:
        ValueError: a value is infinite or no number. What is made of it (a label, a maximum) may look sound, and a
            broken model would be taken for bad reports.
    """
    ids, mask = padded(rows, padding, device)
    hidden: torch.Tensor = model(input_ids=ids, attention_mask=mask)[0].float()
    if not hidden.sum().isfinite():  # cheaper than a look at each value
        raise ValueError(
            f"expected finite numbers from {type(model).__name__} (dtype {model.dtype}), found others: fetch its "
            "weights again, or take dtype 'float32' or 'bfloat16' if it is float16, whose range is small"
        )
    return hidden


def set_precision(encoder: Any, dtype: str) -> Any:
    """An encoder in the precision asked for.

    Raises:
        ValueError: the precision is none of ``float32``, ``bfloat16`` and ``float16``.
    """
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype not in known:
        raise ValueError(f"expected dtype to be one of {', '.join(known)}; found {dtype!r}")
    return encoder.to(known[dtype])
