"""Run jobs: a fixed number at a time, a progress bar, a count of everything that happened.

Four ends of a job: accepted, nothing left, rejected (all three are recorded), and failed: the endpoint gave no answer
for now. A failed job is not recorded, so that the next run asks again. When many fail in a row, or are refused by the
endpoint, something is wrong with it and the run stops, with everything so far kept.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tqdm.auto import tqdm

from radvlm_course.language.client import CallFailed, LanguageClient
from radvlm_course.language.endpoint import EndpointError
from radvlm_course.language.jobs import REFUSED_BY_ENDPOINT, Job, Record, ask_until_accepted
from radvlm_course.language.store import AnswerStore

__all__ = ["RunSummary", "run_jobs"]


@dataclass
class RunSummary:
    """What a run did.

    Attributes:
        jobs, done_before: how many there are, and how many of them earlier runs had done.
        outcomes: accepted, nothing_left, rejected -> jobs of this run.
        rejected: code of the last attempt -> jobs.
        corrected: code of an attempt after which another one was accepted -> attempts.
        failed: reason -> jobs without an answer for now; run again to do them.
        failed_tries: reason -> tries of calls that failed; most of them succeeded later.
        input_tokens, output_tokens: as the endpoint counted them.
    """

    jobs: int = 0
    done_before: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    corrected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failed_tries: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0

    def count(self, record: Record) -> None:
        """Count a finished job."""
        self.outcomes[record.outcome] += 1
        if record.outcome == "rejected":
            self.rejected[record.code] += 1
        else:
            self.corrected.update(attempt.code for attempt in record.attempts if attempt.code)

    def text(self) -> str:
        """One line a matter."""
        lines = [f"{self.jobs} jobs, {self.done_before} of them done before"]
        for title, counter in (
            ("outcome", self.outcomes),
            ("rejected in the end", self.rejected),
            ("corrected after the reason was given", self.corrected),
            ("no answer for now, run again", self.failed),
            ("tries of calls that failed", self.failed_tries),
        ):
            lines += [f"{title}: {count} x {name}" for name, count in sorted(counter.items())]
        return "\n".join([*lines, f"tokens: {self.input_tokens:,} in, {self.output_tokens:,} out"])


async def run_jobs(
    jobs: Iterable[Job],
    client: LanguageClient,
    store: AnswerStore,
    concurrency: int = 16,
    attempts: int = 3,
    again: bool = False,
    failures_in_a_row: int = 32,
    progress: bool = True,
) -> RunSummary:
    """Do the jobs that are not done.

    Args:
        store: entered, so that no other process writes there.
        concurrency: calls under way at a time.
        attempts: how often an answer may be rejected.
        again: do those again that an earlier run rejected.
        failures_in_a_row: stop after so many jobs that failed or were refused by the endpoint, one after the other.

    Raises:
        EndpointRefused: a job carries data that must not go to the endpoint; found before the first call.
        EndpointError: the endpoint refuses every call or is down; finished jobs are kept.
        ValueError: an argument is out of bounds.
    """
    if concurrency < 1 or attempts < 1:
        raise ValueError(f"expected at least one call at a time and one attempt, found {concurrency} and {attempts}")
    everything = list(jobs)
    for source in sorted({job.source for job in everything}):
        client.endpoint.check(source)
    waiting = store.pending(everything, again)
    summary = RunSummary(jobs=len(everything), done_before=len(everything) - len(waiting))
    bar = tqdm(total=len(everything), initial=summary.done_before, unit="study", disable=not progress)
    runner = _Runner(client, store, attempts, failures_in_a_row, summary, bar)
    queue = iter(waiting)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(waiting))):
                group.create_task(runner.work(queue))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    finally:
        bar.close()
        summary.failed_tries = client.failed_tries
        summary.input_tokens, summary.output_tokens = client.input_tokens, client.output_tokens
    return summary


@dataclass
class _Runner:
    client: LanguageClient
    store: AnswerStore
    attempts: int
    failures_in_a_row: int
    summary: RunSummary
    bar: tqdm
    _in_a_row: int = 0

    async def work(self, queue: Iterable[Job]) -> None:
        for job in queue:
            try:
                record = await ask_until_accepted(self.client, job, self.attempts)
            except CallFailed as error:
                self.summary.failed[error.reason] += 1
                self._stop_if_many(str(error))
                continue
            self.store.write(record)
            self.summary.count(record)
            self.bar.update()
            self.bar.set_postfix(self.summary.outcomes, refresh=False)
            if record.code == REFUSED_BY_ENDPOINT:
                self._stop_if_many(record.attempts[-1].explanation)
            else:
                self._in_a_row = 0

    def _stop_if_many(self, last: str) -> None:
        self._in_a_row += 1
        if self._in_a_row >= self.failures_in_a_row:
            raise EndpointError(
                f"{self.client.endpoint.base_url}: {self._in_a_row} studies in a row got no answer (last: {last}). "
                "What is done is kept; run again when the endpoint is mended, with --again if it refused requests"
            )
