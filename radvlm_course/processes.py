"""Several processes of one run: one of them writes, the others wait, and if one fails all end with an error.

``accelerate launch`` starts the same command once for every GPU. Training runs in all of them; what makes files, prints
or decides (is a stage finished?) must happen in one, the *main process*, and the others must learn of it. Two calls say
that:

* :func:`from_main` does something in the main process and gives its result to all of them;
* :func:`wait_for_all` lets nobody pass before all have come.

They talk through the small key-value store that torch's launcher keeps for its processes, not through the collectives
of training: those end a wait after half an hour, and evaluating or curating takes longer. There is no limit here. A
process that fails says so in the store, which ends the waiting of all others; one that is killed is noticed by the
launcher, which ends the others itself. Alone, a process does everything on the spot. torch is imported only by several
processes.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from torch.distributed import Store

__all__ = [
    "OtherProcessFailed",
    "OutOfStep",
    "Sharding",
    "from_main",
    "main_process",
    "process_count",
    "process_index",
    "report_failure",
    "sharding",
    "wait_for_all",
]

T = TypeVar("T")

Sharding = Literal["none", "fsdp", "zero2", "zero3"]
"""What is shared out among the processes: nothing; weights, gradients and optimiser by FSDP or by DeepSpeed's ZeRO-3;
gradients and optimiser by ZeRO-1 or ZeRO-2."""

_CONNECT_SECONDS = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0  # seconds between two looks into the store
_FAILURE, _SEEN = "failure", "failure/seen"
# That a failed main process waits for the others to learn of it, where it keeps the store itself.
_LINGER_SECONDS = 30.0

_numbers = itertools.count()  # of the meetings, the same in every process
_stores: list[Store] = []
_alone: list[str] = []  # what this process does while the others wait for it


class OtherProcessFailed(RuntimeError):
    """Another process of the run has failed; the message says which and why. That process has told the rest."""


class OutOfStep(RuntimeError):
    """Two processes of the run wait for different things: the commands differ, or there is an error here."""


def process_count() -> int:
    """How many processes run this command, on all machines; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """This process's number, from 0."""
    return int(os.environ.get("RANK", "0")) if process_count() > 1 else 0


def main_process() -> bool:
    """Whether this is the process that writes, prints and decides."""
    return process_index() == 0


def from_main(what: str, make: Callable[[], T]) -> T:
    """What ``make`` gives in the main process, in every process. The others wait for it, however long it takes.

    Every process must make the call, in the same order among the calls of this module. What ``make`` itself calls of
    this module stays in the main process.

    Args:
        what: in words, for messages.
        make: its result must survive JSON: no paths, no tuples.

    Raises:
        OtherProcessFailed: it failed in the main process, which raises the error itself.
        OutOfStep: the main process is elsewhere.
    """
    if process_count() == 1 or _alone:
        return make()
    number = next(_numbers)
    if main_process():
        _alone.append(what)
        try:
            text = json.dumps({"what": what, "value": make()})
        except BaseException as error:
            report_failure(error, what)
            raise
        finally:
            _alone.pop()
        _store().set(f"{number}/answer", text)
        return json.loads(text)["value"]
    _wait_until(what, lambda store: store.check([f"{number}/answer"]))
    answer: dict[str, Any] = json.loads(_store().get(f"{number}/answer"))
    if answer["what"] != what:
        raise OutOfStep(
            f"process {process_index()} waits for {what!r} and the main process did {answer['what']!r}: expected the "
            "same command with the same settings in every process"
        )
    return answer["value"]


def wait_for_all(what: str) -> None:
    """Wait until every process is here. Nobody leaves before everybody has seen that.

    Args:
        what: in words, for messages.

    Raises:
        OtherProcessFailed: one of them failed before it came.
    """
    if process_count() == 1 or _alone:
        return
    number, count = next(_numbers), process_count()
    for step in ("here", "seen"):
        key = f"{number}/{step}"
        _store().add(key, 1)
        if step == "here" or main_process():  # the main process may keep the store, and so goes last
            _wait_until(what, lambda store, key=key: store.add(key, 0) == count)  # type: ignore[misc]


def report_failure(error: BaseException, what: str = "") -> None:
    """Tell all other processes that this one has failed, which ends their waiting; nothing if there are none.

    A failure that another process has told is not told again.
    """
    if process_count() == 1 or isinstance(error, OtherProcessFailed):
        return
    where = f" ({what})" if what else ""
    text = f"process {process_index()} failed{where}: {type(error).__name__}: {error}"
    try:
        if not _store().check([_FAILURE]):
            _store().set(_FAILURE, text)
            if main_process() and not _kept_by_launcher() and isinstance(error, Exception):  # Ctrl-C reaches all
                _let_others_see()
    except (RuntimeError, OSError):  # the store is gone, and with it the launcher, which ends the others
        return


def sharding() -> Sharding:
    """What the launcher was told to share out, from its environment (``accelerate launch --config_file ...``).

    Raises:
        OSError: DeepSpeed's settings are in a file that cannot be read.
        ValueError: that file is no JSON.
    """
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        return "fsdp"
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true":
        return "zero3" if _zero_stage() == 3 else "zero2"
    return "none"


def _zero_stage() -> int:
    path = os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE", "none")
    if path == "none":
        return int(os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2"))
    with open(path, encoding="utf-8") as file:
        return int(json.load(file)["zero_optimization"]["stage"])


def _wait_until(what: str, is_so: Callable[[Store], bool]) -> None:
    """Look into the store until it is so, or until a process has failed."""
    pause = _FIRST_PAUSE
    try:
        while not is_so(_store()):
            if _store().check([_FAILURE]):
                told = _store().get(_FAILURE).decode("utf-8")
                _store().add(_SEEN, 1)
                raise OtherProcessFailed(f"process {process_index()} waited for {what}, and {told}")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
    except OtherProcessFailed:
        raise
    except (RuntimeError, OSError) as error:  # torch's network errors are RuntimeErrors
        raise OtherProcessFailed(
            f"process {process_index()} waited for {what}, and the store of the run is gone with the process that kept "
            f"it: the first error in the output of the main machine says why ({error})"
        ) from error


def _let_others_see() -> None:
    """Keep the store, which ends with this process, until the others have read of the failure, but not for long."""
    end = time.monotonic() + _LINGER_SECONDS
    while _store().add(_SEEN, 0) < process_count() - 1 and time.monotonic() < end:
        time.sleep(_FIRST_PAUSE)


def _kept_by_launcher() -> bool:
    """Whether the store outlives this process."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _store() -> Store:
    """The store of this launch, joined at the first call.

    Raises:
        RuntimeError: the environment names no place for it: these processes were not started by a launcher.
    """
    if not _stores:
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "RANK") if name not in os.environ]
        if missing:
            raise RuntimeError(
                f"WORLD_SIZE is {process_count()} and {', '.join(missing)} not set: expected processes started by "
                "accelerate launch or torchrun, which set all of them; for one process unset WORLD_SIZE"
            )
        _stores.append(_join())
    return _stores[0]


def _join() -> Store:
    from datetime import timedelta

    from torch.distributed import PrefixStore, TCPStore

    store = TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=main_process() and not _kept_by_launcher(),
        timeout=timedelta(seconds=_CONNECT_SECONDS),
        wait_for_workers=False,
        multi_tenant=True,  # torch.distributed opens the same one for training
    )
    return PrefixStore(f"radvlm_course/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
