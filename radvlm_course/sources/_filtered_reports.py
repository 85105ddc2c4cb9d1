"""Reports that a language model has rewritten so that they speak of one film only: one text file a study."""

from __future__ import annotations

from pathlib import Path

from radvlm_course.sources._report import SourceError

__all__ = ["filtered_folder", "filtered_text", "read_text"]

FILTERED_FOLDER = "filtered_reports"
WHERE = "write them with the report rewriting of data_scripts, one text file a study"


def read_text(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Text of a file in UTF-8, with a remark if it is not."""
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return content.decode("utf-8", errors="replace"), ("report that is not UTF-8, damaged characters replaced",)


def filtered_folder(root: Path) -> Path:
    """The folder of rewritten reports: ``root/filtered_reports``, or ``root`` if it holds text files itself."""
    for folder in (root / FILTERED_FOLDER, root):
        if folder.is_dir() and next(folder.glob("*.txt"), None) is not None:
            return folder
    raise SourceError(f"expected rewritten reports in {root / FILTERED_FOLDER} or {root}, found none; {WHERE}")


def filtered_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """The rewritten report in a file. A file that holds the word None and nothing else says that nothing remained.

    A report in which the word occurs is a report: dropping it, as is sometimes done, loses studies.
    """
    try:
        text, remarks = read_text(path.read_bytes())
    except FileNotFoundError:
        return "", ("study without a rewritten report",)
    except OSError:
        return "", ("report file that cannot be read",)
    text = " ".join(text.split())
    if text.strip(" .\"'").lower() in ("none", ""):
        return "", (*remarks, "rewritten report in which nothing remained")
    return text, remarks
