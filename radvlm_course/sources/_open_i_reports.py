"""The two forms in which the reports of Open-i come: XML files, or the two tables of Kaggle."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.sources._common import find_table, read_rows
from radvlm_course.sources._report import ReadReport, SourceError

__all__ = ["OpenIReport", "image_key", "read_projections", "read_reports"]

WHERE = "download NLMCXR_png.tgz and NLMCXR_reports.tgz from https://openi.nlm.nih.gov"
REPORT_FOLDERS = ("ecgen-radiology", "reports_xml", "reports")
REPORTS, REPORT_COLUMNS = "indiana_reports.csv", ("uid", "MeSH", "image", "findings", "impression")
PROJECTIONS, PROJECTION_COLUMNS = "indiana_projections.csv", ("uid", "filename", "projection")
SECTIONS = ("findings", "impression")

Projections = dict[str, list[tuple[str, str]]]  # report number -> (file name, projection) of its films


@dataclass(frozen=True)
class OpenIReport:
    """One report as delivered.

    Attributes:
        patient: like ``CXR1``.
        place: where it stands, for messages.
        sections: findings and impression, as they are; empty if the file cannot be read.
        labels: the hand-made labels.
        images: names of its films.
        caption: what the examination was, like "Xray Chest PA and Lateral".
    """

    patient: str
    place: str
    sections: Mapping[str, str]
    labels: tuple[str, ...]
    images: tuple[str, ...]
    caption: str


def image_key(image: str) -> str:
    """What the names of a film have in common: ``CXR1_1_IM-0001-3001`` and ``1_IM-0001-3001.dcm.png``."""
    return re.sub(r"^CXR(\d+)_(?:\d+_)?(?=IM)", r"\1_", image.removesuffix(".png").removesuffix(".dcm"))


def read_projections(folder: Path, split: str, report: ReadReport) -> Projections | None:
    """The table of projections; ``None`` if there is none."""
    path = next((folder / name for name in (PROJECTIONS, f"{PROJECTIONS}.gz") if (folder / name).is_file()), None)
    if path is None:
        return None
    found: Projections = {}
    for _, row in _rows(path, PROJECTION_COLUMNS, split, report):
        found.setdefault(row["uid"], []).append((row["filename"], row["projection"]))
    return found


def read_reports(
    folder: Path, projections: Projections | None, split: str, report: ReadReport
) -> Iterator[OpenIReport]:
    """All reports, whatever their split, in the order of their numbers or of the table.

    Raises:
        SourceError: there are neither XML files nor both tables.
    """
    xml = next((folder / name for name in REPORT_FOLDERS if any((folder / name).glob("*.xml"))), None)
    if xml is not None:
        paths = sorted(xml.glob("*.xml"), key=lambda path: (len(path.stem), path.stem))
        return (_xml_report(path) for path in paths)
    if not any((folder / name).is_file() for name in (REPORTS, f"{REPORTS}.gz")):
        expected = ", ".join(f"{name}/*.xml" for name in REPORT_FOLDERS)
        raise SourceError(f"expected {expected} or {REPORTS} in {folder}, found none of them; {WHERE}")
    rows = list(_rows(find_table(folder, (REPORTS,), WHERE), REPORT_COLUMNS, split, report))
    if projections is None:
        raise SourceError(f"expected {PROJECTIONS} beside {REPORTS} in {folder}, found none; {WHERE}")
    return (_kaggle_report(place, row, projections) for place, row in rows)


def _rows(path: Path, columns: tuple[str, ...], split: str, report: ReadReport) -> Iterator[tuple[str, dict[str, str]]]:
    def damaged(place: str) -> None:
        if split == "train":  # every split reads the same tables
            report.skip("row with too few cells", place)

    return read_rows(path, columns, WHERE, damaged)


def _kaggle_report(place: str, row: dict[str, str], projections: Projections) -> OpenIReport:
    texts = {name: row[name] for name in SECTIONS}
    images = tuple(name for name, _ in projections.get(row["uid"], ()))
    return OpenIReport(f"CXR{row['uid']}", place, texts, tuple(row["MeSH"].split(";")), images, row["image"])


def _xml_report(path: Path) -> OpenIReport:
    """One file; of a damaged one only the patient, by the file's name."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        return OpenIReport(f"CXR{path.stem}", f"{path.name}: {error}", {}, (), (), "")
    texts: dict[str, str] = {}
    for element in root.iter("AbstractText"):
        name = str(element.get("Label")).lower()
        texts[name] = f"{texts.get(name, '')} {element.text or ''}".strip()
    images = list(root.iter("parentImage"))
    uid = root.find("uId")
    return OpenIReport(
        patient=(uid.get("id") if uid is not None else None) or f"CXR{path.stem}",
        place=path.name,
        sections={name: texts.get(name, "") for name in SECTIONS},
        labels=tuple(element.text or "" for element in root.iterfind("MeSH/major")),
        images=tuple(image.get("id") or "" for image in images),
        caption=next((image.findtext("caption") or "" for image in images), ""),
    )
