"""Who may use the service: anyone on this machine, elsewhere only holders of the token.

The token is a secret that both sides read from a file or from an environment variable. It is never a command-line
argument, since those are visible to every user of the machine. It protects from strangers, not from listeners on
the network: between machines use a private network or a TLS proxy.
"""

from __future__ import annotations

import os
from pathlib import Path

from radvlm_course.hosts import is_loopback
from radvlm_course.rewards.service.wire import TOKEN_VARIABLE

__all__ = ["AccessError", "check_host", "is_loopback", "read_token"]

_SHORTEST_TOKEN = 16


class AccessError(ValueError):
    """A token that is missing or unfit; says where one is expected. Never shows the token."""


def read_token(file: str | os.PathLike[str] | None = None) -> str | None:
    """The token: the content of ``file`` if one is named, else the environment variable, else None.

    Raises:
        AccessError: the file cannot be read, or the token is shorter than 16 characters or not plain ASCII.
    """
    if file is not None:
        origin = f"the token file {os.fspath(file)}"
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AccessError(f"{origin} cannot be read: {error}") from error
    else:
        origin = f"the environment variable {TOKEN_VARIABLE}"
        if TOKEN_VARIABLE not in os.environ:
            return None
        token = os.environ[TOKEN_VARIABLE].strip()
    if len(token) < _SHORTEST_TOKEN or not all("!" <= character <= "~" for character in token):
        raise AccessError(
            f"{origin}: expected at least {_SHORTEST_TOKEN} ASCII characters without spaces, found {len(token)} "
            "characters. Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token


def check_host(host: str, token: str | None) -> None:
    """Refuse an address that other machines can reach if there is no token.

    Raises:
        AccessError: says how to give a token.
    """
    if token is None and not is_loopback(host):
        raise AccessError(
            f"{host} can be reached from other machines, so a token is required: put it into the environment "
            f"variable {TOKEN_VARIABLE} or into a file (option token_file), or use 127.0.0.1"
        )
