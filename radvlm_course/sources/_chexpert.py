"""What CheXpert, CheXpert Plus and MIMIC-CXR-JPG share: 14 labels; and the first two of them: the names of films.

A cell of a label is 1 (present), 0 (absent), -1 (uncertain) or blank (not mentioned). They are delivered as they
are; what an uncertain or a missing label means for an answer is decided in ``instructions.labels``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from radvlm_course.sources._report import ReadReport, SourceError

__all__ = [
    "COLUMNS",
    "FINDINGS",
    "FilmPath",
    "LabelParser",
    "assumed_or_none",
    "image_base",
    "parse_path",
    "view_name",
]

# The labeller's names -> the course's names. No Finding is a label like the others here.
FINDINGS: Mapping[str, str] = {
    name: name.lower()
    for name in (
        "Atelectasis",
        "Cardiomegaly",
        "Consolidation",
        "Edema",
        "Enlarged Cardiomediastinum",
        "Fracture",
        "Lung Lesion",
        "Lung Opacity",
        "No Finding",
        "Pleural Effusion",
        "Pleural Other",
        "Pneumonia",
        "Pneumothorax",
        "Support Devices",
    )
}
COLUMNS = tuple(FINDINGS)
_CELLS = operator.itemgetter(*COLUMNS)
_VALUES: Mapping[str, int | None] = {
    **dict.fromkeys(("1", "1.0"), 1),
    **dict.fromkeys(("0", "0.0"), 0),
    **dict.fromkeys(("-1", "-1.0"), -1),
    **dict.fromkeys(("", "nan", "None"), None),
}


class LabelParser:
    """Turns rows of cells into findings, each combination once, so that large tables take little memory.

    Args:
        report: counts cells that are no label.
    """

    def __init__(self, report: ReadReport) -> None:
        self._report = report
        self._known: dict[tuple[str, ...], Mapping[str, int]] = {}

    def parse(self, row: Mapping[str, str], place: str) -> Mapping[str, int]:
        """Label -> 1, 0 or -1 of what was mentioned; shared between calls, so copy it before changing it.

        Args:
            row: has the :data:`COLUMNS`, each cell without surrounding spaces.
        """
        cells = _CELLS(row)
        found = self._known.get(cells)
        if found is None:
            found, good = self._parse(cells, place)
            if good:
                self._known[cells] = found
        return found

    def _parse(self, cells: tuple[str, ...], place: str) -> tuple[Mapping[str, int], bool]:
        findings: dict[str, int] = {}
        good = True
        for column, text in zip(COLUMNS, cells, strict=True):
            if text not in _VALUES:
                good = False
                self._report.skip("label that is not 1, 0, -1 or blank", f"{place}: {column} {text!r:.40}")
                continue
            value = _VALUES[text]
            if value is not None:
                findings[FINDINGS[column]] = value
        return findings, good


_PATH = re.compile(r"(?:[^/]+/)*?((train|valid|test)/(patient\d{5})/(study\d+)/(view\d+_(frontal|lateral)))\.\w+")


@dataclass(frozen=True)
class FilmPath:
    """What the path of a film says, for example ``CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg``.

    Attributes:
        stem: from ``train``, ``valid`` or ``test`` on, without the extension.
        part: ``train``, ``valid`` or ``test``.
        frontal: frontal or lateral.
    """

    stem: str
    part: str
    patient: str
    study: str
    view: str
    frontal: bool

    @property
    def record_id(self) -> str:
        """The ``study_id`` of the record of this film; a study has several films."""
        return f"{self.patient}_{self.study}_{self.view}"


def parse_path(path: str) -> FilmPath | None:
    """``None`` if a path is not as CheXpert writes it. What stands before the part is left out."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    stem, part, patient, study, view, direction = match.groups()
    return FilmPath(stem, part, patient, study, view, direction == "frontal")


def image_base(candidates: Sequence[Path], part: str) -> Path:
    """The first folder that holds ``part``; the first of all if none does."""
    return next((folder for folder in candidates if (folder / part).is_dir()), candidates[0])


def assumed_or_none(assumed_size: Sequence[int] | None, check_images: bool) -> tuple[int, int] | None:
    """The size that every film is to get, if any.

    Raises:
        SourceError: it is no size, or the images are to be checked, which gives their sizes.
    """
    if assumed_size is None:
        return None
    if check_images:
        raise SourceError("assumed_size: expected check_images=False with it, found check_images=True")
    if len(assumed_size) != 2 or min(assumed_size) < 1:
        raise SourceError(f"assumed_size: expected (width, height) in pixels, found {assumed_size!r}")
    return assumed_size[0], assumed_size[1]


def view_name(film: FilmPath, ap_pa: str) -> str:
    """``PA``, ``AP``, ``lateral``, or empty for a frontal film of which neither is said."""
    if not film.frontal:
        return "lateral"
    return ap_pa if ap_pa in ("AP", "PA") else ""
