"""One phantom film: anatomy, findings, report and picture put together from seeds.

The patient's seed draws the body, the film's seed draws positioning, findings, wording and exposure, each from a
random stream of its own: the boxes and the report of a seed are the same at every picture size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radvlm_course.boxes import Box
from radvlm_course.phantoms.anatomy import ANALYSIS_SIZE, Grid
from radvlm_course.phantoms.findings import FINDINGS, Case, sample_case
from radvlm_course.phantoms.patients import sample_body, sample_pose
from radvlm_course.phantoms.rendering import Exposure, render, sample_exposure
from radvlm_course.phantoms.reports import Clause, write_report
from radvlm_course.phantoms.shapes import Lesion, lesion_box

__all__ = ["Attribute", "Film", "Phantom", "describe_film", "make_phantom", "plan_film"]

# Random streams, so that drawing more in one place moves nothing in another.
_BODY, _CASE, _WORDS, _EXPOSURE = range(4)


@dataclass(frozen=True)
class Attribute:
    """How one shape of a finding is described; empty where it does not apply.

    Attributes:
        side: ``left`` or ``right``, the patient's.
        zone: ``upper``, ``mid`` or ``lower``.
        severity: ``mild``/``moderate``/``severe``, ``small``/``moderate``/``large``, ``nodule``/``mass``,
            ``linear``/``segmental``.
        kind: the shape, for example ``pacemaker``.
    """

    side: str
    zone: str
    severity: str
    kind: str


@dataclass(frozen=True)
class Phantom:
    """A synthetic chest radiograph and all that is true of it.

    The left of the image is the patient's right. All boxes are in unit coordinates.

    Attributes:
        image: uint8 array of shape (size, size), 0 black to 255 white.
        structures: name -> its box, for every structure on the film.
        abnormalities: finding -> its boxes, for the findings that are present.
        findings: every finding -> 1 present, 0 absent, -1 present but worded with doubt.
        attributes: finding -> one entry a box of ``abnormalities``, in the same order.
        phrases: a positive sentence of the report, in lower case without full stop -> the boxes it speaks of.
        report: the report.
        seed: what drew it.
    """

    image: np.ndarray
    structures: dict[str, tuple[Box, ...]]
    abnormalities: dict[str, tuple[Box, ...]]
    findings: dict[str, int]
    attributes: dict[str, tuple[Attribute, ...]]
    phrases: dict[str, tuple[Box, ...]]
    report: str
    seed: int

    @property
    def affirmed(self) -> frozenset[tuple[str, str]]:
        """Pairs (finding, side) that are present; side is ``left``, ``right`` or, for the heart, empty."""
        return frozenset((name, attribute.side) for name, every in self.attributes.items() for attribute in every)


@dataclass(frozen=True)
class Film:
    """A phantom before its picture is drawn: cheap to make, and enough for the tables."""

    case: Case
    exposure: Exposure
    report: str
    clauses: tuple[Clause, ...]

    def picture(self, size: int) -> np.ndarray:
        """uint8 array of shape (size, size)."""
        return render(self.case, self.exposure, size)

    def by_finding(self) -> dict[str, list[tuple[Lesion, Box]]]:
        """Finding -> its lesions with their boxes, findings in the order of ``FINDINGS``."""
        boxed = [(lesion, lesion_box(lesion, self.case.thorax)) for lesion in self.case.lesions]
        return {
            finding: found
            for finding in FINDINGS
            if (found := [(lesion, box) for lesion, box in boxed if lesion.finding == finding and box is not None])
        }


def plan_film(seed: int, patient_seed: int | None = None) -> Film:
    """Draw everything of a film but its picture.

    Args:
        seed: draws the film. patient_seed: draws the body; ``seed`` if not given.
    """
    body = sample_body(np.random.default_rng([_BODY, seed if patient_seed is None else patient_seed]))
    rng = np.random.default_rng([_CASE, seed])
    pose = sample_pose(rng, body)
    case = sample_case(rng, body, pose, Grid(ANALYSIS_SIZE, pose))
    report, clauses = write_report(case.lesions, np.random.default_rng([_WORDS, seed]))
    return Film(case, sample_exposure(np.random.default_rng([_EXPOSURE, seed])), report, clauses)


def make_phantom(seed: int, size: int = 128, patient_seed: int | None = None) -> Phantom:
    """Make one phantom.

    Args:
        seed: non-negative; the same seed gives the same phantom.
        size: pixels along each side of the picture, at least 16.
        patient_seed: draws the body alone, so that one patient can have several films; ``seed`` if not given.

    Raises:
        ValueError: a seed is negative or the size too small.
    """
    if size < 16:
        raise ValueError(f"size: expected at least 16 pixels, found {size}")
    if seed < 0 or (patient_seed is not None and patient_seed < 0):
        raise ValueError(f"seed: expected a non-negative integer, found {seed if seed < 0 else patient_seed}")
    return describe_film(plan_film(seed, patient_seed), seed, size)


def describe_film(film: Film, seed: int, size: int | None) -> Phantom:
    """The record of a film; without a size the picture is left out (an empty array)."""
    found = film.by_finding()
    abnormalities = {name: tuple(box for _, box in shapes) for name, shapes in found.items()}
    doubted = {name for clause in film.clauses if clause.value == -1 for name in clause.findings}
    return Phantom(
        image=np.zeros((0, 0), np.uint8) if size is None else film.picture(size),
        structures=film.case.thorax.boxes(),
        abnormalities=abnormalities,
        findings={name: (-1 if name in doubted else int(name in found)) for name in FINDINGS},
        attributes={
            name: tuple(Attribute(each.side, each.zone, each.severity, each.kind) for each, _ in shapes)
            for name, shapes in found.items()
        },
        phrases={clause.text: abnormalities[clause.findings[0]] for clause in film.clauses if clause.value},
        report=film.report,
        seed=seed,
    )
