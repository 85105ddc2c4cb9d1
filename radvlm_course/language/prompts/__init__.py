"""The texts that language models are given: files in this folder, read and filled here.

A ``$name`` in a file is a place to fill. The digest of a prompt is recorded with every answer, so that answers to two
versions of a prompt cannot be mixed unnoticed.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from string import Template

__all__ = ["Prompt", "load_prompt"]


@dataclass(frozen=True)
class Prompt:
    """A text with places to fill."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Digest of the unfilled text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def fill(self, **values: str) -> str:
        """The text with its places filled.

        Raises:
            KeyError: a place was not given a value.
            ValueError: there is no such place, or the text has a ``$`` that starts none.
        """
        places = Template(self.text).get_identifiers()
        if unknown := sorted(set(values) - set(places)):
            raise ValueError(f"prompt {self.name}: no place called {', '.join(unknown)}; there are {places}")
        return Template(self.text).substitute(values)


@functools.cache
def load_prompt(name: str) -> Prompt:
    """The prompt in the file ``name``.txt of this folder.

    Raises:
        FileNotFoundError: there is none.
    """
    return Prompt(name, resources.files(__package__).joinpath(f"{name}.txt").read_text("utf-8").strip())
