"""From the records of a run to a dataset of examples with thoughts, and to a mixture with direct answers.

::

    FOLDER/traces.jsonl      the accepted traces: examples with a thought, ids ending in "/thought"
    FOLDER/provenance.json   teachers, prompts, settings and counts that made them, and the digest of the file

Every reply of a record passes the filters once more here, so that other budgets can be tried on the replies that are
there: stricter ones drop traces, wider ones may take a reply that was rejected. Nothing is asked.

Direct answers are mixed in so that the model does not forget them: with the suffix it thinks, without it answers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from radvlm_course.chat import join_thought
from radvlm_course.language.jobs import REFUSED_BY_ENDPOINT, AnswerRejected, Attempt, Record
from radvlm_course.language.store import AnswerStore
from radvlm_course.records import Example, write_jsonl
from radvlm_course.thinking.cold_start import mix_with_direct
from radvlm_course.thinking.filters import check_trace
from radvlm_course.thinking.traces import DRAFT_FOLDER, TRACE_FOLDER, TraceSettings, trace_key
from radvlm_course.whole_files import write_whole

__all__ = ["Collected", "RejectedTrace", "collect_traces", "mix_traces", "rejected", "write_trace_dataset"]

ID_SUFFIX = "/thought"
DATASET_FILE, PROVENANCE_FILE = "traces.jsonl", "provenance.json"
_NOT_ABOUT_THE_TEXT = ("cut_off", "refusal", "empty", "unreadable_film", REFUSED_BY_ENDPOINT)


class MixError(ValueError):
    """Traces and direct answers that cannot be mixed as asked."""


class RejectedTrace(NamedTuple):
    """A reply that was not accepted, and why; ``final`` if none after it was."""

    example: Example
    code: str
    explanation: str
    text: str
    final: bool


@dataclass
class Collected:
    """What the records of a run give.

    Attributes:
        examples: with thoughts, in the order of the examples given.
        rejected: code of the last reply -> examples.
        corrected: code of a reply after which another one was accepted -> replies.
        without_record: examples that were not asked about, or got no answer for now.
    """

    examples: list[Example] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    corrected: Counter[str] = field(default_factory=Counter)
    without_record: int = 0

    def counts(self) -> dict[str, Any]:
        """JSON-ready counts."""
        return {
            "accepted": len(self.examples),
            "accepted_by_task": dict(sorted(Counter(example.task for example in self.examples).items())),
            "rejected": dict(sorted(self.rejected.items())),
            "corrected_after_the_reason_was_given": dict(sorted(self.corrected.items())),
            "without_record": self.without_record,
        }

    def text(self) -> str:
        """One line a matter."""
        lines = [f"{len(self.examples)} traces accepted, {self.without_record} examples without a reply for now"]
        for title, counter in (("rejected", self.rejected), ("corrected", self.corrected)):
            lines += [f"{title}: {count} x {code}" for code, count in sorted(counter.items())]
        return "\n".join(lines)


def collect_traces(
    folder: str | os.PathLike[str], examples: Iterable[Example], settings: TraceSettings | None = None
) -> Collected:
    """The accepted traces of the examples.

    Args:
        folder: the one that the run wrote into.
        examples: those that were asked about, or more.
        settings: with the filters that the replies must pass.
    """
    settings = settings or TraceSettings()
    found = Collected()
    for example in examples:
        attempts = _attempts(folder, example)
        if not attempts:
            found.without_record += 1
            continue
        codes: list[str] = []
        for attempt in attempts:
            code, thought = _judge(attempt, example, settings)
            if not code:
                found.examples.append(dataclasses.replace(example, id=example.id + ID_SUFFIX, thought=thought))
                found.corrected.update(codes)
                break
            codes.append(code)
        else:
            found.rejected[codes[-1]] += 1
    return found


def rejected(
    folder: str | os.PathLike[str],
    examples: Iterable[Example],
    code: str | None = None,
    settings: TraceSettings | None = None,
) -> Iterator[RejectedTrace]:
    """Every reply that was not accepted, for study.

    Args:
        code: only replies that were rejected under it.
    """
    settings = settings or TraceSettings()
    for example in examples:
        attempts = _attempts(folder, example)
        for number, attempt in enumerate(attempts):
            found, words = _judge(attempt, example, settings)
            if not found:
                break
            if code in (None, found):
                yield RejectedTrace(example, found, words, attempt.text, number == len(attempts) - 1)


def _attempts(folder: str | os.PathLike[str], example: Example) -> Sequence[Attempt]:
    """The replies about an example; a thought that was put there by hand counts as one."""
    key = trace_key(example)
    record = AnswerStore(folder, TRACE_FOLDER, ".txt", {}).read(key)
    if isinstance(record, Record):
        return record.attempts
    by_hand = Path(folder) / TRACE_FOLDER / f"{key}.txt"
    if not by_hand.is_file():
        return ()
    return (Attempt(join_thought(by_hand.read_text(encoding="utf-8").strip(), example.answer), "stop", 0, 0),)


def _judge(attempt: Attempt, example: Example, settings: TraceSettings) -> tuple[str, str]:
    """("", thought) or (code, explanation)."""
    if attempt.code in _NOT_ABOUT_THE_TEXT:
        return attempt.code, attempt.explanation
    try:
        return "", check_trace(attempt.text, example, settings.filters, settings.labeller)
    except AnswerRejected as error:
        return error.code, error.explanation


def write_trace_dataset(
    folder: str | os.PathLike[str], examples: Iterable[Example], settings: TraceSettings | None = None
) -> Collected:
    """Collect the accepted traces of a run and write them with their provenance.

    Returns:
        what was collected; with no trace nothing is written.
    """
    settings = settings or TraceSettings()
    collected = collect_traces(folder, examples, settings)
    if not collected.examples:
        return collected
    target = Path(folder) / DATASET_FILE
    write_jsonl(collected.examples, target)
    provenance = {
        "file": DATASET_FILE,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "teachers": _runs(Path(folder)),
        "filters": settings.to_dict(),
        "counts": collected.counts(),
    }
    text = json.dumps(provenance, indent=1, ensure_ascii=False)
    write_whole(Path(folder) / PROVENANCE_FILE, text.encode())
    return collected


def _runs(folder: Path) -> dict[str, Any]:
    """Run -> its settings as the store keeps them: model, agreement, digests of prompts, budgets."""
    paths = {name: folder / f"{name}.run" / "settings.json" for name in (DRAFT_FOLDER, TRACE_FOLDER)}
    return {name: json.loads(path.read_bytes()) for name, path in paths.items() if path.is_file()}


def mix_traces(traces: Iterable[Example], direct: Iterable[Example], direct_share: float, seed: int) -> list[Example]:
    """:func:`~radvlm_course.thinking.cold_start.mix_with_direct` of examples from anywhere: checked, and in full.

    Which direct answers are taken, and the order, depend on the seed and on the ids, not on the order in which the
    examples come. An example may stand in it twice, with its thought and with its direct answer.

    Args:
        direct_share: of the mixture, 0 to below 1.

    Raises:
        MixError: an id stands twice, a patient stands in two splits, or there are too few direct answers.
        ValueError: the share is out of range, or an example is on the wrong side.
    """
    thinking, answering = (sorted(given, key=lambda example: example.id) for given in (traces, direct))
    _check([*thinking, *answering])
    mixed = mix_with_direct(thinking, answering, direct_share, seed)
    wanted = round(len(thinking) * direct_share / (1 - direct_share))
    if len(mixed) < len(thinking) + wanted:
        raise MixError(
            f"a share of {direct_share:g} beside {len(thinking)} traces takes {wanted} direct answers, found "
            f"{len(answering)}: give more, or a smaller share"
        )
    return mixed


def _check(examples: Sequence[Example]) -> None:
    ids = Counter(example.id for example in examples)
    if twice := next((name for name, count in ids.items() if count > 1), None):
        raise MixError(f"{twice}: expected each id once, found it {ids[twice]} times")
    splits: dict[tuple[str, str], str] = {}
    for example in examples:
        patient = (example.source, example.patient_id)
        if example.patient_id and splits.setdefault(patient, example.split) != example.split:
            raise MixError(
                f"patient {example.patient_id} of {example.source!r} stands in {splits[patient]} and {example.split}: "
                "a mixture must not hold patients of two splits"
            )
