"""Where the report of a MIMIC-CXR study comes from: delivered text files, a table of sections, or rewritten files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from radvlm_course.sources._archive import FolderOrZip
from radvlm_course.sources._common import find_table, read_rows
from radvlm_course.sources._filtered_reports import filtered_folder, filtered_text, read_text
from radvlm_course.sources._report import ReadReport, SourceError
from radvlm_course.sources.report_sections import ISSUES, describe_film

__all__ = ["TextFrom", "TextReader", "open_texts"]

TextFrom = Literal["files", "sectioned", "filtered", "none"]
SECTIONED_TABLES = ("mimic_cxr_sectioned.csv", "reports.csv")
SECTIONED_COLUMNS = ("study", "findings", "impression", "last_paragraph")
WHERE_FILES = "download mimic-cxr-reports.zip from https://physionet.org/content/mimic-cxr/ (credentialed access)"
WHERE_SECTIONED = "make it with create_section_files.py of https://github.com/MIT-LCP/mimic-cxr"

# (subject_id, study_id) -> (text or empty, remarks); a remark is a reason for ``ReadReport.note``.
TextReader = Callable[[str, str], tuple[str, tuple[str, ...]]]


def open_texts(text_from: TextFrom, root: Path, counted: ReadReport) -> TextReader:
    """The reader of one kind of text.

    Args:
        text_from: ``files`` cuts the delivered text files into sections, ``sectioned`` reads them from
            ``mimic_cxr_sectioned.csv``, ``filtered`` takes rewritten files as they are, ``none`` gives no text.
        root: the folder that holds ``files/``, the table or ``filtered_reports/``; or the last two themselves.
        counted: counts rows of a table that cannot be used.

    Raises:
        SourceError: nothing of that kind is there.
    """
    if text_from == "files":
        archive = FolderOrZip(root, "files", "mimic-cxr-reports.zip", "p1?/p1*/s5*.txt", WHERE_FILES)
        return lambda subject, study: _from_file(archive, subject, study)
    if text_from == "sectioned":
        table = _sectioned(root, counted)
        return lambda subject, study: table.get(study, ("", ("study without a row of sections",)))
    if text_from == "filtered":
        folder = filtered_folder(root)
        return lambda subject, study: filtered_text(folder / f"{study}.txt")
    if text_from == "none":
        return lambda subject, study: ("", ())
    raise SourceError(f"text_from: expected files, sectioned, filtered or none; found {text_from!r}")


def _from_file(archive: FolderOrZip, subject: str, study: str) -> tuple[str, tuple[str, ...]]:
    try:
        content = archive.read(f"files/p{subject[:2]}/p{subject}/s{study}.txt")
    except OSError:
        return "", ("report file that cannot be read",)
    if content is None:
        return "", ("study without a report file",)
    text, remarks = read_text(content)
    found = describe_film(text)
    return found.text, (*remarks, *(ISSUES[issue] for issue in found.issues))


def _sectioned(root: Path, counted: ReadReport) -> dict[str, tuple[str, tuple[str, ...]]]:
    """study_id -> the first of findings, impression and last paragraph that is not empty."""
    path = root if root.is_file() else find_table(root, SECTIONED_TABLES, WHERE_SECTIONED)
    texts: dict[str, tuple[str, tuple[str, ...]]] = {}
    short = "row of sections with too few cells"
    for place, row in read_rows(path, SECTIONED_COLUMNS, WHERE_SECTIONED, lambda place: counted.skip(short, place)):
        study = row["study"].removeprefix("s")
        if not study.isdigit():
            counted.skip("row of sections without a study", place)
            continue
        if study in texts:
            counted.skip("second row of sections of a study", place)
            continue
        text = " ".join((row["findings"] or row["impression"] or row["last_paragraph"]).split())
        texts[study] = (text, () if text else (ISSUES["no text"],))
    return texts
