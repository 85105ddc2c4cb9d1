"""A folder of DICOM films to a folder of pictures that training can load, with a table of the original sizes.

::

    output/<same path>.png     8 bits, as dicom.read_film shows the film
    output/image_sizes.csv     one row a picture: image, source, width, height, view, remarks
    output/conversion.json     the settings, so that no folder mixes two of them

``width`` and ``height`` are those of the DICOM film, whatever the size of the picture: boxes are given in its pixels.
Pictures are never squashed: a smaller one keeps the proportions. Every picture appears whole or not at all, and its
row is written when it has appeared, so an interrupted conversion goes on where it stopped. A file that cannot be
converted, even one that makes a decoder crash, is reported with its reason and stops nothing; the next run tries it
again.
"""

from __future__ import annotations

import csv
import json
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image
from tqdm.auto import tqdm

from radvlm_course.dicom import DICOM_SUFFIXES, DicomError, read_film

__all__ = ["SIZES_COLUMNS", "SIZES_TABLE", "ConversionError", "ConversionReport", "convert_folder"]

SIZES_TABLE = "image_sizes.csv"
SIZES_COLUMNS = ("image", "source", "width", "height", "view", "remarks")
SETTINGS = "conversion.json"
FORMATS = {"png": ".png", "jpeg": ".jpg"}
JPEG_QUALITY = 95
_MAGIC_AT, _MAGIC = 128, b"DICM"


class ConversionError(RuntimeError):
    """A conversion that cannot start: says what was expected, what was found and what to do."""


@dataclass(frozen=True)
class _Settings:
    format: str
    longest_side: int | None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConversionError(f"format: expected {' or '.join(FORMATS)}, found {self.format!r}")
        if self.longest_side is not None and self.longest_side < 1:
            raise ConversionError(f"longest_side: expected at least 1 pixel, found {self.longest_side}")


@dataclass
class ConversionReport:
    """What a run did.

    Attributes:
        converted: pictures made by this run.
        done_before: pictures that an earlier run had made.
        no_dicom: files in the folder that are no DICOM files.
        remarks: remark -> count over all pictures of the folder, old and new.
        failed: source -> why it could not be converted.
    """

    converted: int = 0
    done_before: int = 0
    no_dicom: int = 0
    remarks: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    def summary(self) -> str:
        """One line a count, one a remark, one a failed file."""
        lines = [f"{self.converted} converted, {self.done_before} done before, {len(self.failed)} failed"]
        if self.no_dicom:
            lines.append(f"{self.no_dicom} files that are no DICOM files passed over")
        lines += [f"{count} x {remark}" for remark, count in sorted(self.remarks.items())]
        lines += [f"failed: {source}: {reason}" for source, reason in sorted(self.failed.items())]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Job:
    root: str
    output: str
    source: str  # relative to root
    image: str  # relative to output
    settings: _Settings


def convert_folder(
    root: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    format: str = "png",
    longest_side: int | None = None,
    workers: int = 1,
    progress: bool = True,
) -> ConversionReport:
    """Convert every DICOM file below ``root``, or finish a conversion that was interrupted.

    Args:
        root: a folder; files are DICOM by their extension, or by the mark in their preamble, or if they have neither
            extension nor a name that begins with a dot.
        output: the folder of the pictures and their table.
        format: ``png``, or ``jpeg`` (quality 95), about a fifth of the size.
        longest_side: pixels; larger films are reduced to it, keeping their proportions. ``None`` keeps the size.
        workers: processes.
        progress: show a progress bar, one tick a file.

    Raises:
        ConversionError: there is no such folder or no DICOM file in it, or the output was made with other settings.
    """
    source, target, settings = Path(root).absolute(), Path(output).absolute(), _Settings(format, longest_side)
    if workers < 1:
        raise ConversionError(f"workers: expected at least 1, found {workers}")
    report = ConversionReport()
    jobs = list(_jobs(source, target, settings, report))
    if not jobs:
        raise ConversionError(f"expected DICOM files in {source}, found {report.no_dicom} other files")
    _check_settings(target, settings)
    done = _rows_done(target)
    report.done_before = sum(job.source in done for job in jobs)
    report.remarks.update(remark for row in done.values() for remark in _remarks(row))
    waiting = [job for job in jobs if job.source not in done]
    with (
        (target / SIZES_TABLE).open("a", encoding="utf-8", newline="") as table,
        tqdm(total=len(waiting), desc="films", unit="film", disable=not progress) as bar,
    ):
        for job, outcome in run_each(_convert, waiting, workers):
            bar.update()
            if isinstance(outcome, str):
                report.failed[job.source] = outcome
                continue
            csv.writer(table, lineterminator="\n").writerow(outcome.values())
            table.flush()
            report.converted += 1
            report.remarks.update(_remarks(outcome))
    return report


def _remarks(row: dict[str, str]) -> list[str]:
    return [remark for remark in row["remarks"].split("; ") if remark]


# -- what there is to do ---------------------------------------------------------------------------------------------


def _jobs(root: Path, output: Path, settings: _Settings, report: ConversionReport) -> Iterator[_Job]:
    if not root.is_dir():
        raise ConversionError(f"expected a folder of DICOM files at {root}, found none")
    images: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.is_relative_to(output):
            continue
        if not _is_dicom(path):
            report.no_dicom += 1
            continue
        source = path.relative_to(root)
        stem = source.with_suffix("") if path.suffix.lower() in DICOM_SUFFIXES else source
        image = stem.as_posix() + FORMATS[settings.format]
        if image in images:  # a.dcm and a.dicom
            report.failed[source.as_posix()] = f"its picture would overwrite that of {images[image]}"
            continue
        images[image] = source.as_posix()
        yield _Job(str(root), str(output), source.as_posix(), image, settings)


def _is_dicom(path: Path) -> bool:
    if path.suffix.lower() in DICOM_SUFFIXES or (not path.suffix and not path.name.startswith(".")):
        return True
    with path.open("rb") as file:
        file.seek(_MAGIC_AT)
        return file.read(len(_MAGIC)) == _MAGIC


def _check_settings(output: Path, settings: _Settings) -> None:
    path = output / SETTINGS
    output.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        if (output / SIZES_TABLE).exists():
            raise ConversionError(f"{output} holds {SIZES_TABLE} but no {SETTINGS}: choose an empty folder")
        _write_atomically(path, lambda partial: partial.write_text(json.dumps(asdict(settings)) + "\n"))
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConversionError(f"{path}: expected the settings of a conversion, found {error}; remove it") from error
    if found != asdict(settings):
        raise ConversionError(
            f"{output} holds pictures made with {found}, asked for {asdict(settings)}: choose another"
        )


def _rows_done(output: Path) -> dict[str, dict[str, str]]:
    """Source -> row of the pictures that exist; the table is rewritten with these rows only.

    Of a run that was killed, the last row may be cut off, or its picture may be missing.
    """
    path = output / SIZES_TABLE
    rows: dict[str, dict[str, str]] = {}
    if path.exists():
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for cells in csv.reader(file):
                row = dict(zip(SIZES_COLUMNS, cells, strict=False))
                if len(cells) == len(SIZES_COLUMNS) and (output / row["image"]).is_file():
                    rows[row["source"]] = row

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(SIZES_COLUMNS)
            writer.writerows(row.values() for row in rows.values())

    _write_atomically(path, write)
    return rows


# -- one film --------------------------------------------------------------------------------------------------------


def _convert(job: _Job) -> dict[str, str] | str:
    """The row of a film, or why it could not be converted."""
    try:
        film = read_film(Path(job.root) / job.source)
        height, width = film.pixels.shape
        picture = Image.fromarray(film.pixels)
        if job.settings.longest_side is not None:
            picture.thumbnail((job.settings.longest_side, job.settings.longest_side), Image.Resampling.LANCZOS)
        target = Path(job.output) / job.image
        target.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"quality": JPEG_QUALITY} if job.settings.format == "jpeg" else {}
        _write_atomically(target, lambda partial: picture.save(partial, format=job.settings.format, **options))
    except (DicomError, OSError) as error:
        return str(error).removeprefix(f"{Path(job.root) / job.source}: ")
    cells = (job.image, job.source, str(width), str(height), film.view, "; ".join(film.remarks))
    return dict(zip(SIZES_COLUMNS, cells, strict=True))


def _write_atomically(target: Path, write: Callable[[Path], Any]) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


# -- many films ------------------------------------------------------------------------------------------------------

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_each(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[Item, Result | str]]:
    """``function`` of every item, in processes, as they finish; a reason instead if the process died of it.

    Which item killed a process is not known at once: all that were under way are then run again one by one, each in
    a process of its own.
    """
    waiting = deque(items)
    while waiting:
        running: dict[Future[Result], Item] = {}
        with _pool(workers) as pool, suppress(BrokenProcessPool):
            while running or waiting:
                while waiting and len(running) < 4 * workers:
                    running[pool.submit(function, waiting[0])] = waiting[0]
                    waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()  # raises if a process died
                    yield running.pop(future), result
        for item in running.values():
            yield item, _run_alone(function, item)


def _run_alone(function: Callable[[Item], Result], item: Item) -> Result | str:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return "its decoder crashed, or ran out of memory"


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_the_parent)


def _end_with_the_parent() -> None:
    """Have a worker end when the process that started it is killed, which would otherwise leave it waiting for ever."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
