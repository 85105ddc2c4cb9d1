"""From texts to features, each distinct text once.

A GRPO batch of 64 prompts with 8 rollouts is 512 pairs, but at most 576 distinct texts: the reference is shared, and
rollouts repeat each other. :class:`TextScorer` computes what is new, takes references from a bounded cache in memory
(and on disk, if asked), and forgets the rollouts, which hardly ever come back.
"""

from __future__ import annotations

import hashlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from radvlm_course.rewards.scorers.cache import DiskCache

__all__ = ["CacheInfo", "TextScorer", "fingerprint"]

Features = TypeVar("Features")


@dataclass(frozen=True)
class CacheInfo:
    """What a scorer has done since it was built.

    Attributes:
        hits: distinct texts of all calls that came from the cache.
        computed: distinct texts that the model read.
        entries: texts in memory now.
    """

    hits: int = 0
    computed: int = 0
    entries: int = 0

    def __add__(self, other: CacheInfo) -> CacheInfo:
        return CacheInfo(self.hits + other.hits, self.computed + other.computed, self.entries + other.entries)


class TextScorer(ABC, Generic[Features]):
    """Base class of the scorers: caches around :meth:`compute`. Calls from several threads take turns.

    Args:
        cache_bytes: bound on the references in memory.
        cache_path: also keep references in this SQLite file; see
            :class:`~radvlm_course.rewards.scorers.cache.DiskCache`.
        remember_last_call: also keep the texts of the last call, for another reward that asks for the same.
    """

    def __init__(
        self, cache_bytes: int, cache_path: str | os.PathLike[str] | None = None, remember_last_call: bool = False
    ) -> None:
        from cachetools import LRUCache

        self._references: Any = LRUCache(cache_bytes, getsizeof=self.size)
        self._disk = None if cache_path is None else DiskCache(cache_path, self.identity())
        self._remember, self._last_call = remember_last_call, dict[str, Features]()
        self._lock = threading.RLock()
        self._hits = self._computed = 0

    @abstractmethod
    def compute(self, texts: list[str]) -> list[Features]:
        """The features of distinct texts, in order."""

    @abstractmethod
    def size(self, features: Features) -> int:
        """Bytes that the features take in memory, about."""

    @abstractmethod
    def identity(self) -> str:
        """What made the features: the model, its weights and settings. Asked for once, if there is a file."""

    @abstractmethod
    def to_bytes(self, features: Features) -> bytes:
        """The features as they are kept on disk."""

    @abstractmethod
    def from_bytes(self, data: bytes) -> Features:
        """The inverse of :meth:`to_bytes`."""

    def features(self, texts: Iterable[str], references: Collection[str] = ()) -> dict[str, Features]:
        """The features of texts.

        Args:
            texts: in any order, with repetitions.
            references: those of them that will come back and belong into the cache.
        """
        with self._lock:
            wanted = dict.fromkeys(texts)
            found = self._known(wanted, set(references))
            new = [text for text in wanted if text not in found]
            computed = dict(zip(new, self.compute(new), strict=True)) if new else {}
            self._hits, self._computed = self._hits + len(found), self._computed + len(new)
            found.update(computed)
            self._keep({text: found[text] for text in references if text in found}, computed)
            if self._remember:
                self._last_call = found
            return found

    def forget(self) -> None:
        """Empty all caches in memory; a file keeps what it has."""
        with self._lock:
            self._references.clear()
            self._last_call = {}

    def cache_info(self) -> CacheInfo:
        """Hits, computed texts and entries."""
        return CacheInfo(self._hits, self._computed, len(self._references))

    def _known(self, texts: Collection[str], references: Collection[str]) -> dict[str, Features]:
        found = {text: self._references[text] for text in texts if text in self._references}
        found.update((text, self._last_call[text]) for text in texts if text in self._last_call)
        if self._disk is not None and (unknown := [text for text in references if text in texts and text not in found]):
            found.update((text, self.from_bytes(data)) for text, data in self._disk.get(unknown).items())
        return found

    def _keep(self, references: dict[str, Features], computed: Collection[str]) -> None:
        for text, features in references.items():
            if self.size(features) <= self._references.maxsize:
                self._references[text] = features
        if self._disk is not None:
            new = {text: self.to_bytes(features) for text, features in references.items() if text in computed}
            if new:
                self._disk.put(new)


def fingerprint(module: Any, *settings: object) -> str:
    """A digest of a torch module's weights and of settings, to tell apart the features that it makes."""
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(_bytes_type()).numpy().data)
    return digest.hexdigest()


def _bytes_type() -> Any:
    import torch

    return torch.uint8
