"""The process of the reward service: address, uvicorn, signals, exit status.

On SIGTERM or Ctrl+C the service closes its port at once (a successor may take it), answers the requests that it
has accepted, and ends with status 0. A reward that cannot be loaded ends it with status 1.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import uvicorn

from radvlm_course.rewards import get_reward
from radvlm_course.rewards.base import Reward
from radvlm_course.rewards.service.access import check_host
from radvlm_course.rewards.service.server import RewardService, ServiceSettings, create_app

__all__ = ["serve"]

logger = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 75


def serve(
    rewards: Mapping[str, Mapping[str, Any]],
    host: str,
    port: int,
    token: str | None,
    settings: ServiceSettings,
    drain_seconds: int = 60,
) -> int:
    """Serve rewards until a signal ends it.

    Args:
        rewards: registered name -> options of the reward.
        host, port: where to listen; port 0 takes a free one. The address is printed.
        token: required of callers if given; must be given unless ``host`` is a loopback address.
        settings: limits.
        drain_seconds: how long accepted requests may take after the signal.

    Returns:
        The exit status: 0 ended by a signal, 1 a reward could not be loaded or did not finish its last batch.

    Raises:
        AccessError: other machines can reach ``host`` and there is no token.
        OSError: the address is taken or not of this machine.
    """
    check_host(host, token)
    builders: dict[str, Callable[[], Reward]] = {
        name: partial(get_reward, name, **options) for name, options in rewards.items()
    }
    failed: list[str] = []

    def end(name: str) -> None:
        failed.append(name)
        server.should_exit = True

    service = RewardService(builders, settings, token, on_load_failure=end)
    server = uvicorn.Server(_configuration(create_app(service), drain_seconds))
    with _listen(host, port) as listener:
        address = listener.getsockname()
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        print(f"serving {', '.join(rewards)} on http://{shown}:{address[1]}", flush=True)
        _run_until_signal(server, listener)
    if failed:
        print(f"error: {', '.join(failed)} could not be loaded: the reason is above", file=sys.stderr, flush=True)
    return _end(service, 1 if failed else 0)


def _configuration(app: Any, drain_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host.strip("[]"), port), family=family, backlog=1024)


def _run_until_signal(server: uvicorn.Server, listener: socket.socket) -> None:
    """Run; uvicorn raises the signal that ended it once more afterwards, and here it has done its work."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = {}
    if in_main_thread:
        previous = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _ignore(number: int, frame: object) -> None:
    """A signal that has been obeyed already."""


def _end(service: RewardService, status: int) -> int:
    """The exit status. A thread that is still busy cannot be ended and may not be left to the interpreter's end."""
    busy = {name: batcher for name, batcher in service.batchers.items() if batcher.alive}
    if hung := [name for name, batcher in busy.items() if batcher.busy_seconds]:
        print(f"error: {', '.join(hung)} did not finish its batch", file=sys.stderr, flush=True)
        status = 1
    if busy and threading.current_thread() is threading.main_thread():
        sys.stdout.flush()
        os._exit(status)
    return status
