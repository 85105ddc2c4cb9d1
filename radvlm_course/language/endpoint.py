"""Where a language model is served, and what may be sent there.

The data-use agreements of the credentialed datasets forbid to hand their text or images to third parties. So a call
that carries such data to another machine is refused before anything is sent, unless the user states the agreement
that covers the endpoint. A dataset that is not known to be open counts as credentialed.

This looks at addresses only: a program on this machine that forwards to another one is the user's responsibility.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from radvlm_course.hosts import is_loopback
from radvlm_course.sources.catalogue import CATALOGUE

if TYPE_CHECKING:
    from httpx2 import URL

__all__ = ["OPEN_SOURCES", "Endpoint", "EndpointError", "EndpointRefused"]

# Datasets whose text and images may be sent to anyone. Everything else stays here.
OPEN_SOURCES = frozenset(name for name, known in CATALOGUE.items() if not known.credentialed)


class EndpointError(RuntimeError):
    """An endpoint that cannot be used at all (address, key, model, redirect): the run stops."""


class EndpointRefused(EndpointError):
    """A call that would carry credentialed data away; nothing was sent."""


@dataclass(frozen=True)
class Endpoint:
    """A language model behind an OpenAI-compatible interface.

    Attributes:
        base_url: as in ``http://127.0.0.1:8000/v1``.
        model: the model's name there.
        covered_by: the agreement under which credentialed data may be sent to it, in words; empty if there is none.
            It is recorded with the answers.
        api_key_variable: the environment variable that holds the key; empty if the endpoint needs none.

    Raises:
        EndpointError: the address is not a plain http or https one.
    """

    base_url: str
    model: str
    covered_by: str = ""
    api_key_variable: str = ""

    def __post_init__(self) -> None:
        url = self.url
        if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
            raise EndpointError(
                f"endpoint: expected an address like http://127.0.0.1:8000/v1 (no password, no query), "
                f"found {self.base_url!r}"
            )

    @cached_property
    def url(self) -> URL:
        """The address as the HTTP client reads it, so that the check and the call cannot differ."""
        import httpx2

        try:
            return httpx2.URL(self.base_url)
        except (httpx2.InvalidURL, TypeError) as error:
            raise EndpointError(f"endpoint: expected an address, found {self.base_url!r} ({error})") from error

    @property
    def is_local(self) -> bool:
        """Whether only this machine can be reached under the address."""
        return is_loopback(self.url.host)

    def check(self, source: str) -> None:
        """Refuse to send data of a dataset where it must not go.

        Args:
            source: the dataset's name, as in ``Study.source``.

        Raises:
            EndpointRefused: says why, and what to do.
        """
        if self.is_local or self.covered_by or source in OPEN_SOURCES:
            return
        raise EndpointRefused(
            f"nothing was sent: data of {source!r} must not leave this machine, and {self.url.host} is not this "
            f"machine. Open datasets are {', '.join(sorted(OPEN_SOURCES))}; any other counts as credentialed. Serve "
            "the model here (vllm serve, address 127.0.0.1), or, if the data-use agreement covers the endpoint, say "
            "so: --covered-by-agreement TEXT (Endpoint(covered_by=TEXT))"
        )

    def api_key(self) -> str:
        """The key; a placeholder if the endpoint needs none.

        Raises:
            EndpointError: the environment variable is not set.
        """
        if not self.api_key_variable:
            return "none"
        if key := os.environ.get(self.api_key_variable, "").strip():
            return key
        raise EndpointError(f"expected the endpoint's key in the environment variable {self.api_key_variable}")
