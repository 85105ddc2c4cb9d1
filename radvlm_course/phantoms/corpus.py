"""A phantom corpus on disk: pictures, a table of studies, a manifest.

::

    root/corpus.json              settings, counts, SHA-256 of the table, complete or not
    root/studies.jsonl            one ``records.Study`` a line, image paths relative to root
    root/images/<study_id>.png    8-bit grey

Patients have one to three films that share the body and nothing else. Splits are by patient, and the seeds of a split
do not depend on the size of the others: more training patients leave the test films as they are. Every file appears
whole or not at all, so an interrupted run is taken up where it stopped, with the same bytes in the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from radvlm_course.phantoms.film import describe_film, plan_film
from radvlm_course.records import Study, write_jsonl

__all__ = ["MANIFEST", "TABLE", "CorpusError", "write_corpus"]

VERSION = 2
MANIFEST, TABLE, IMAGES = "corpus.json", "studies.jsonl", "images"
SPLITS = ("train", "validation", "test")
_PNG_END = b"IEND\xaeB`\x82"


class CorpusError(RuntimeError):
    """A corpus that cannot be written, or that was written with other settings."""


@dataclass(frozen=True)
class _Settings:
    patients: dict[str, int]
    size: int
    seed: int
    version: int = VERSION

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.patients) - set(SPLITS)):
            raise CorpusError(f"patients: expected the splits {', '.join(SPLITS)}, found {', '.join(unknown)}")
        if any(count < 0 for count in self.patients.values()) or not sum(self.patients.values()):
            raise CorpusError(f"patients: expected counts of at least 0 and some patient, found {self.patients}")
        if self.size < 16 or self.seed < 0:
            raise CorpusError(f"expected size >= 16 and seed >= 0, found size {self.size} and seed {self.seed}")


@dataclass(frozen=True)
class _Job:
    """One patient to make."""

    root: str
    split: str
    split_index: int
    number_in_split: int
    number: int
    size: int
    seed: int


def write_corpus(
    root: str | os.PathLike[str],
    patients: dict[str, int],
    size: int = 128,
    seed: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> Path:
    """Write a corpus, or finish one that was interrupted; a complete one is left as it is.

    Args:
        root: the folder, made if it does not exist.
        patients: split -> number of patients.
        size: pixels along each side of the pictures.
        seed: draws everything; the same seed gives the same bytes with any number of workers.
        workers: processes; 1 makes everything in this one.
        progress: show a progress bar, one tick a patient.

    Returns:
        ``root``.

    Raises:
        CorpusError: the settings are no settings, the folder holds a corpus of other settings or files that are none,
            or a file cannot be written (the corpus stays marked as incomplete).
    """
    folder = Path(root)
    settings = _Settings({split: patients.get(split, 0) for split in SPLITS} | patients, size, seed)
    if workers < 1:
        raise CorpusError(f"workers: expected at least 1, found {workers}")
    if _is_complete(folder, settings):
        return folder
    try:
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
        _write_manifest(folder, settings, {"complete": False})
        studies = _made(_jobs(folder, settings), workers, progress)
        count = write_jsonl(studies, folder / TABLE)
        for leftover in (folder / IMAGES).glob("*.partial"):  # of a run that was killed
            leftover.unlink()
        _write_manifest(folder, settings, {"complete": True, "studies": count, "sha256": _digest(folder / TABLE)})
    except OSError as error:
        raise CorpusError(
            f"the corpus in {folder} is incomplete: {error}. Make the folder writable or free some space, "
            "then run the same again: it goes on where it stopped"
        ) from error
    return folder


# -- manifest --------------------------------------------------------------------------------------------------------


def _is_complete(folder: Path, settings: _Settings) -> bool:
    """Whether the folder holds exactly this corpus, whole.

    Raises:
        CorpusError: it holds another corpus, or something else.
    """
    path = folder / MANIFEST
    if not path.exists():
        if (folder / TABLE).exists() or (folder / IMAGES).exists():
            raise CorpusError(f"{folder} holds {TABLE} or {IMAGES}/ but no {MANIFEST}: choose an empty folder")
        return False
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = manifest["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path}: expected the manifest of a corpus, found {error!r}; remove {folder}") from error
    for name, expected in asdict(settings).items():
        if found.get(name) != expected:
            raise CorpusError(
                f"{folder} holds a corpus made with {name} = {found.get(name)!r}, asked for {name} = {expected!r}: "
                "choose another folder, or remove this one"
            )
    return bool(manifest.get("complete")) and _files_are_there(folder, manifest)


def _files_are_there(folder: Path, manifest: dict[str, Any]) -> bool:
    table = folder / TABLE
    if not table.exists() or _digest(table) != manifest.get("sha256"):
        return False
    with table.open(encoding="utf-8") as file:
        return all((folder / json.loads(line)["image_path"]).exists() for line in file)


def _write_manifest(folder: Path, settings: _Settings, state: dict[str, Any]) -> None:
    text = json.dumps({"settings": asdict(settings), **state}, indent=2) + "\n"
    _write_atomically(folder / MANIFEST, lambda path: path.write_text(text, encoding="utf-8"))


def _write_atomically(target: Path, write: Callable[[Path], Any]) -> None:
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- making ----------------------------------------------------------------------------------------------------------


def _jobs(folder: Path, settings: _Settings) -> list[_Job]:
    jobs: list[_Job] = []
    for index, split in enumerate(SPLITS):
        for number in range(settings.patients[split]):
            jobs.append(_Job(str(folder), split, index, number, len(jobs), settings.size, settings.seed))
    return jobs


def _made(jobs: list[_Job], workers: int, progress: bool) -> Iterator[Study]:
    """The studies of all patients, in order."""
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=len(jobs), desc="phantoms", unit="patient", disable=not progress))
        results: Iterator[list[Study]]
        if workers == 1:
            results = map(_make_patient, jobs)
        else:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))))
            results = pool.imap(_make_patient, jobs, chunksize=4)
        for studies in results:
            bar.update()
            yield from studies


def _make_patient(job: _Job) -> list[Study]:
    patient_seed = _stable_seed(job, 0)
    count = int(np.random.default_rng(patient_seed).choice([1, 2, 3], p=[0.5, 0.3, 0.2]))
    return [_make_study(job, number, patient_seed) for number in range(1, count + 1)]


def _stable_seed(job: _Job, study: int) -> int:
    sequence = np.random.SeedSequence([job.seed, job.split_index, job.number_in_split, study])
    return int(sequence.generate_state(1, np.uint64)[0])


def _make_study(job: _Job, number: int, patient_seed: int) -> Study:
    seed = _stable_seed(job, number)
    film = plan_film(seed, patient_seed)
    patient_id = f"phantom-{job.number:05d}"
    study_id = f"{patient_id}-{number}"
    path = Path(job.root) / IMAGES / f"{study_id}.png"
    if not _is_whole_png(path):
        picture = Image.fromarray(film.picture(job.size))
        _write_atomically(path, lambda partial: picture.save(partial, format="PNG"))
    phantom = describe_film(film, seed, None)
    return Study(
        image_path=f"{IMAGES}/{path.name}",
        image_size=(job.size, job.size),
        patient_id=patient_id,
        study_id=study_id,
        source="phantom",
        split=job.split,
        view="PA",
        report=phantom.report,
        findings=phantom.findings,
        structures=phantom.structures,
        abnormalities=phantom.abnormalities,
        phrases=phantom.phrases,
    )


def _is_whole_png(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-len(_PNG_END), os.SEEK_END)
            return file.read() == _PNG_END
    except OSError:
        return False
