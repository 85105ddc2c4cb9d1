"""PhantomCXR: the synthetic corpus that ``phantoms.corpus.write_corpus`` writes.

Citation, licence, access: none needed, it is made on this machine. Synthetic: see docs/phantoms.md for what it models.

Files below ``root``:

- ``corpus.json``: how it was made, and whether it is complete;
- ``studies.jsonl``: one study a line (``records.Study``), image paths relative to ``root``;
- ``images/<study_id>.png``: 8-bit grey.

Every finding of ``phantoms.FINDINGS`` is labelled on every film: 1, 0, or -1 where the report doubts a finding that
is there.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

from radvlm_course.records import RecordError, Study, read_jsonl
from radvlm_course.sources._common import ImageError, ReadReport, SourceError, check_split, image_size

__all__ = ["NAME", "read"]

NAME = "phantom"
WHERE = "make the corpus with `python -m radvlm_course.phantoms write FOLDER` or phantoms.corpus.write_corpus"


def read(
    root: str | os.PathLike[str],
    split: str,
    *,
    report: ReadReport | None = None,
    check_images: bool = True,
) -> Iterator[Study]:
    """The studies of one split, image paths joined to ``root``.

    Args:
        root: folder of the corpus.
        split: ``train``, ``validation`` or ``test``.
        report: filled with what was kept and left out; if not given, a ``SourceWarning`` counts what was left out.
        check_images: decode every picture, which finds truncated files (about 1 ms each at 128 pixels); without it
            only missing files are found.

    Raises:
        SourceError: there is no complete corpus in the folder, or its table is damaged; says how to make one.
    """
    check_split(split)
    folder = Path(root)
    table = _table(folder)
    counted = ReadReport() if report is None else report
    return _read(folder, table, split, counted, check_images, warn=report is None)


def _read(folder: Path, table: Path, split: str, report: ReadReport, check_images: bool, warn: bool) -> Iterator[Study]:
    try:
        for study in read_jsonl(table, Study):
            if study.split == split and _has_image(folder / study.image_path, report, check_images):
                report.read += 1
                yield dataclasses.replace(study, image_path=str(folder / study.image_path))
    except RecordError as error:
        raise SourceError(f"expected a table of studies, found a damaged one: {error}; {WHERE}") from error
    if warn:
        report.warn(f"{NAME}, {split}")


def _has_image(path: Path, report: ReadReport, check: bool) -> bool:
    if not path.is_file():
        report.skip("image file not found", str(path))
        return False
    if check:
        try:
            image_size(path)
        except ImageError as error:
            report.skip("image file that cannot be decoded", str(error))
            return False
    return True


def _table(folder: Path) -> Path:
    manifest, table = folder / "corpus.json", folder / "studies.jsonl"
    for path in (manifest, table):
        if not path.is_file():
            raise SourceError(f"expected {path}, found none; {WHERE}")
    try:
        complete = json.loads(manifest.read_text(encoding="utf-8"))["complete"]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{manifest}: expected the manifest of a corpus, found {error!r}; {WHERE}") from error
    if not complete:
        raise SourceError(f"{folder}: expected a complete corpus, found one whose writing was interrupted; {WHERE}")
    return table
