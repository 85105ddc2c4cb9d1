"""Jobs in this process or in several, with one progress bar."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from types import TracebackType
from typing import Any

from tqdm import tqdm

from radvlm_course.instructions.mixture_settings import MixtureError

__all__ = ["Workers"]

Tick = Callable[[int], object]  # called with how much was done since the last call
_shared: Any = None  # in a worker: (counter, event that tells it to stop)


class _Stopped(RuntimeError):
    """Another job failed, so this one need not go on."""


class Workers:
    """Some processes; one means this one. A context manager: at its end none is left.

    Attributes:
        count: how many.
    """

    def __init__(self, count: int, progress: bool) -> None:
        if count < 1:
            raise MixtureError(f"workers: expected at least 1, found {count}")
        self.count, self._progress = count, progress

    def __enter__(self) -> Workers:
        if self.count > 1:
            context = multiprocessing.get_context("spawn")
            self._done, self._stop = context.Value("q", 0), context.Event()
            self._pool = ProcessPoolExecutor(
                self.count, mp_context=context, initializer=_start, initargs=(self._done, self._stop)
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self.count > 1:
            self._stop.set()
            self._pool.shutdown(cancel_futures=True)

    def run(
        self, function: Callable[[Any, Tick], Any], jobs: Sequence[Any], title: str, unit: str, total: int | None = None
    ) -> Iterator[tuple[int, Any]]:
        """(number of the job, its result) as they come; the first jobs are begun first.

        Args:
            function: of a module, so that other processes find it; called with the job and a function to tell progress.
            total: of the units that the jobs tell, if known.

        Raises:
            MixtureError: a job cannot be sent to another process.
        """
        with tqdm(total=total, desc=title, unit=unit, disable=not self._progress) as bar:
            if self.count == 1:
                for number, job in enumerate(jobs):
                    yield number, function(job, bar.update)
                return
            _check_picklable(jobs)
            before = self._done.value
            running = {self._pool.submit(_call, function, job): number for number, job in enumerate(jobs)}
            while running:
                finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                bar.update(self._done.value - before - bar.n)
                for future in finished:
                    yield running.pop(future), future.result()


def _check_picklable(jobs: Sequence[Any]) -> None:
    try:
        pickle.dumps(jobs)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise MixtureError(
            f"workers: expected studies that can be sent to another process, such as a sources.Source, found {error}; "
            "use one worker"
        ) from error


def _start(done: Any, stop: Any) -> None:
    global _shared
    _shared = done, stop
    gc.set_threshold(200_000)  # jobs make many records and no cycles; the search for cycles took a tenth of the time


def _call(function: Callable[[Any, Tick], Any], job: Any) -> Any:
    return function(job, _tick)


def _tick(count: int) -> None:
    done, stop = _shared
    if stop.is_set():
        raise _Stopped
    with done.get_lock():
        done.value += count
