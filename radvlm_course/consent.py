"""Ask before something that costs money, hours or a full disk."""

from __future__ import annotations

import sys

__all__ = ["confirmed"]


def confirmed(question: str, yes: bool) -> bool:
    """Whether the user agrees; ``yes`` is the answer given in advance (option ``--yes``).

    Raises:
        SystemExit: there is nobody to ask, and no answer in advance.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise SystemExit(f"{question} Nobody can answer here: add --yes if you agree. Nothing was done.")
    return input(f"{question} [y/N] ").strip().casefold() in ("y", "yes")
