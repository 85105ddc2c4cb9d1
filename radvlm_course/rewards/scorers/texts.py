"""What happens to a text before a model reads it, the same for every scorer."""

from __future__ import annotations

__all__ = ["MAX_CHARACTERS", "prepare"]

MAX_CHARACTERS = 2048
"""The paper's rewards read no further; RadGraph's relations cost the square of the length."""


def prepare(text: str, lower: bool = False, max_characters: int | None = None) -> str:
    """A text as a scorer reads it.

    Stripped, cut to its first ``max_characters`` characters, then lower-cased if asked. Half surrogate pairs, which
    no tokenizer takes, become question marks.

    >>> prepare("No Effusion.", lower=True, max_characters=6)
    'no eff'
    """
    text = text.strip()[:max_characters].encode("utf-8", "replace").decode("utf-8")
    return text.lower() if lower else text
