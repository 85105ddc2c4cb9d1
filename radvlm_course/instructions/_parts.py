"""One reading of one dataset: its pairs as lines in a file, and of each pair what choosing among them needs to know.

A mixture is built in two steps. Here, in any number of processes, each reading becomes a :class:`Part`: all pairs that
it can give, on disk, and some numbers for each of them. Then one process chooses (``_selection``) and copies the
chosen lines. Strings stay on disk; in memory a film is three numbers and a pair six, so that a million fit easily.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radvlm_course.instructions._files import LeakError, sha256
from radvlm_course.instructions.build_report import PROBLEMS, BuildReport
from radvlm_course.instructions.builder import BuildError, BuildOptions, pairs_of_study
from radvlm_course.instructions.labels import LabelSemantics
from radvlm_course.instructions.mixture_settings import Entry, MixtureError
from radvlm_course.instructions.written import ConversationFolder, image_name
from radvlm_course.records import Example, Study, json_line
from radvlm_course.sources.catalogue import dataset

__all__ = ["Job", "Part", "Reading", "build_part", "digest"]

_NO_BREAKS = str.maketrans("\t\n\r", "   ")
_TICK = 256  # films between two signs of life
_UNREADABLE = PROBLEMS["unreadable"]
_NOT_LISTED = {"phrase_grounding": ("(phrase)",)}  # the labels of phrases are sentences of reports: counted, not shown


@dataclass(frozen=True)
class Reading:
    """One reading of one split of one dataset, for all entries that want it with the same options.

    Attributes:
        split: of the mixture.
        source: the dataset; empty in a mixture of one dataset.
        read: the dataset's split.
        options: of its reader.
        entries: (number of the entry within the split, entry).
    """

    split: str
    source: str
    read: str
    options: Mapping[str, Any]
    entries: tuple[tuple[int, Entry], ...]


@dataclass(frozen=True)
class Job:
    """All that a process needs to build a part.

    Attributes:
        studies: called with the dataset's split and the reader's options.
        lines, names: files to write: pairs as JSON lines; study and image of each film.
        conversations: the dataset's folder of written conversations, if any.
    """

    reading: Reading
    studies: Callable[..., Iterable[Study]]
    lines: Path
    names: Path
    seed: int
    templates: str
    semantics: LabelSemantics
    image_check: str
    conversations: str | None


@dataclass
class Part:
    """What a job made.

    Attributes:
        patients, images, contents: of each film a digest of its patient, its image's name, its image's content
            (uint64; no contents if only names are compared).
        ranks: of each pair a digest of its identifier, the same on any machine (uint64).
        entries, films, labels: of each pair the number of its entry, of its film, of its labels in ``label_sets``
            (uint32).
        starts: where each pair's line begins in ``lines``, and where the last one ends.
        sources: the datasets that the studies named.
        report: pairs that could not be built.
        read: what the reader left out, if it says.
    """

    reading: Reading
    lines: Path
    names: Path
    patients: np.ndarray
    images: np.ndarray
    contents: np.ndarray
    ranks: np.ndarray
    entries: np.ndarray
    films: np.ndarray
    labels: np.ndarray
    starts: np.ndarray
    label_sets: list[tuple[str, ...]]
    sources: list[str]
    report: BuildReport
    read: dict[str, Any] | None = None

    def line(self, pair: int) -> bytes:
        """The JSON line of a pair."""
        with self.lines.open("rb") as file:
            return os.pread(file.fileno(), int(self.starts[pair + 1] - self.starts[pair]), int(self.starts[pair]))

    def film_name(self, film: int) -> list[str]:
        """Study, image and patient of a film, for messages."""
        with self.names.open(encoding="utf-8") as file:
            return next(itertools.islice(file, film, None)).rstrip("\n").split("\t")


def digest(text: str) -> int:
    """64 bits of a text, the same in any process."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


def build_part(job: Job, tick: Callable[[int], object]) -> Part:
    """Read the studies of a job and write every pair that they give.

    Args:
        tick: called with the number of films read since the last call.

    Raises:
        LeakError: a study says that it belongs to another split.
        MixtureError: an entry cannot be built at all.
    """
    entries = [(number, entry, _build_options(job, entry)) for number, entry in job.reading.entries]
    columns, report, sources = _Columns(), BuildReport(), set[str]()
    with job.lines.open("wb") as lines, job.names.open("w", encoding="utf-8", errors="backslashreplace") as names:
        for study in _read(job, tick):
            try:
                columns.add_film(study, _content(study, job.image_check))
            except OSError as error:
                for _, entry in job.reading.entries:
                    report.skip(entry.task, _UNREADABLE, f"{study.study_id} ({error})")
                continue
            names.write(_told(study))
            sources.add(study.source)
            if job.reading.read != job.reading.split:
                study = dataclasses.replace(study, split=job.reading.split)
            for number, entry, options in entries:
                if entry.views and study.view not in entry.views:
                    report.skip(entry.task, f"view that is not {' or '.join(entry.views)}", study.study_id)
                    continue
                for example in _pairs(study, entry, job.seed, options, report):
                    columns.add_pair(example, number, job.seed, lines.write(json_line(example)))
    read = getattr(job.studies, "reports", {}).get(job.reading.read)
    told = None if read is None else read.to_dict()
    return Part(
        job.reading,
        job.lines,
        job.names,
        **columns.arrays(),
        label_sets=list(columns.label_codes),
        sources=sorted(sources),
        report=report,
        read=told,
    )


class _Columns:
    """The numbers of a part while it grows: 8 bytes each, or 4."""

    def __init__(self) -> None:
        self.patients, self.images, self.contents, self.ranks, self.starts = (array("Q") for _ in range(5))
        self.entries, self.films, self.labels = (array("I") for _ in range(3))
        self.label_codes: dict[tuple[str, ...], int] = {}
        self.starts.append(0)

    def add_film(self, study: Study, content: int | None) -> None:
        known, path = dataset(study.source), study.image_path
        name = f"{known.patients}/{image_name(path)}" if known.unique_image_names else _real_path(path)
        self.patients.append(digest(f"{known.patients}/{study.patient_id}"))
        self.images.append(digest(name))
        if content is not None:
            self.contents.append(content)

    def add_pair(self, example: Example, entry: int, seed: int, size: int) -> None:
        """A pair of the film that was added last, whose line has ``size`` bytes."""
        shown = _NOT_LISTED.get(example.task, example.labels)
        self.ranks.append(digest(f"{seed}\x1f{example.id}"))
        self.entries.append(entry)
        self.films.append(len(self.patients) - 1)
        self.labels.append(self.label_codes.setdefault(shown, len(self.label_codes)))
        self.starts.append(self.starts[-1] + size)

    def arrays(self) -> dict[str, np.ndarray]:
        """By the names of the fields of :class:`Part`."""
        wide = ("patients", "images", "contents", "ranks", "starts")
        found = {name: np.array(getattr(self, name), np.uint64) for name in wide}
        return found | {name: np.array(getattr(self, name), np.uint32) for name in ("entries", "films", "labels")}


def _build_options(job: Job, entry: Entry) -> BuildOptions:
    talks = job.conversations is not None and entry.task in ("conversation", "grounded_conversation")
    return BuildOptions(
        job.templates,
        dataclasses.replace(job.semantics, **entry.semantics),
        "one" if entry.targets == "one" else "all",
        ConversationFolder.find(job.conversations or "", job.reading.read, entry.task) if talks else None,
    )


def _read(job: Job, tick: Callable[[int], object]) -> Iterator[Study]:
    reading, count = job.reading, 0
    for study in job.studies(reading.read, **reading.options):
        if study.split != reading.read:
            raise LeakError(f"expected studies of {reading.read}, found {study.study_id} of {study.split} among them")
        count += 1
        if count % _TICK == 0:
            tick(_TICK)
        yield study
    tick(count % _TICK)


def _pairs(study: Study, entry: Entry, seed: int, options: BuildOptions, report: BuildReport) -> Iterator[Any]:
    try:
        yield from pairs_of_study(study, entry.task, seed, entry.repeat, options, report)
    except BuildError as error:
        raise MixtureError(f"{entry.key}: {error}") from error


def _told(study: Study) -> str:
    """A line about a film, for messages: study, image and patient."""
    fields = (study.study_id, study.image_path, f"{study.source}/{study.patient_id}")
    return "\t".join(field.translate(_NO_BREAKS) for field in fields) + "\n"


def _content(study: Study, image_check: str) -> int | None:
    """A digest of an image's content, if images are compared by it. Raises OSError if it cannot be read."""
    if image_check == "content":
        return int(sha256(Path(study.image_path))[:16], 16)
    return _pixels(study.image_path) if image_check == "pixels" else None


def _real_path(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(_real_folder(folder), name)


@functools.lru_cache(maxsize=1024)
def _real_folder(folder: str) -> str:
    """The folder with symbolic links resolved: ``os.path.realpath``, but each folder is looked at once."""
    above, name = os.path.split(folder)
    if not above or name in ("", ".", "..") or os.path.islink(folder):
        return os.path.realpath(folder)
    return os.path.join(_real_folder(above), name)


def _pixels(path: str) -> int:
    from radvlm_course.images import load_image

    image = load_image(path).convert("L")
    return int.from_bytes(hashlib.blake2b(repr(image.size).encode() + image.tobytes(), digest_size=8).digest(), "big")
