"""Patches that let the metric packages run on today's transformers, huggingface_hub and scikit-learn.

``radgraph`` 0.1.18, ``f1chexbert`` 0.0.2 and ``bert-score`` 0.3.13 were written for transformers 4. Each module
here imports one of them and mends what has broken: it replaces names inside that package and nothing else, and
only where the break is there. Nothing in transformers or scikit-learn is changed.

Every patch says when it is needed (:attr:`Patch.needed`) and what it touches (:attr:`Patch.touches`), so that a
test can fail once a new version has made a patch superfluous or has rewritten what it replaces.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType

from radvlm_course.rewards.base import RewardError

__all__ = ["Patch", "apply", "import_package", "source_digest"]

_MARK = "_radvlm_course_original"


@dataclass(frozen=True)
class Patch:
    """One mended break.

    Attributes:
        touches: ``module:name``, the global that is replaced.
        reason: what is broken, in a sentence.
        needed: looks at the installed versions and says whether the break is there.
        replacement: the new object, made from the old one.
    """

    touches: str
    reason: str
    needed: Callable[[], bool]
    replacement: Callable[[Callable], Callable]


def import_package(name: str) -> ModuleType:
    """Import a module of a metric package without the warning filters that it would leave behind.

    Raises:
        RewardError: the package is not installed; names the extra that brings it.
    """
    try:
        with warnings.catch_warnings():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise RewardError(
            f"this reward needs the package {name.partition('.')[0]!r}, and {error.name!r} is not installed: "
            "python -m pip install -c constraints/cpu.txt -e '.[metrics]'"
        ) from error


def apply(patches: Iterable[Patch]) -> list[str]:
    """Apply the patches that are needed; a patch that is in place stays. Returns what they touch."""
    applied = []
    for patch in patches:
        module, name = _find(patch)
        current = getattr(module, name)
        if not hasattr(current, _MARK):
            if not patch.needed():
                continue
            replacement = patch.replacement(current)
            setattr(replacement, _MARK, current)
            setattr(module, name, replacement)
        applied.append(patch.touches)
    return applied


def original(patch: Patch) -> Callable:
    """What the package itself defines under the patched name."""
    current = getattr(*_find(patch))
    found: Callable = getattr(current, _MARK, current)
    return found


def source_digest(patch: Patch) -> str:
    """SHA-256 of the source of what a patch replaces, the first 16 hexadecimal digits."""
    return hashlib.sha256(inspect.getsource(original(patch)).encode()).hexdigest()[:16]


def _find(patch: Patch) -> tuple[ModuleType, str]:
    module, _, name = patch.touches.partition(":")
    return import_package(module), name
