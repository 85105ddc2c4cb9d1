"""What is abnormal in a phantom: which findings a film has, and where they are placed.

Shapes are drawn at random until they are visible: inside the aerated lung where that is meant, large enough, and not
hidden by a shape placed before. A finding for which no place is found is left out of the film and of the report alike.

Left out on purpose: progression over time, and findings outside the chest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radvlm_course.phantoms.anatomy import SIDES, Grid, Thorax, zone_of
from radvlm_course.phantoms.patients import Body, Pose
from radvlm_course.phantoms.shapes import Lesion, lesion_box, lesion_field

__all__ = ["FINDINGS", "Case", "sample_case"]

FINDINGS = (
    "cardiomegaly",
    "pleural effusion",
    "pneumothorax",
    "consolidation",
    "nodule",
    "atelectasis",
    "edema",
    "support devices",
)
# Placed in this order: what claims the most room, or constrains the others, comes first.
_ORDER = (
    "support devices",
    "pleural effusion",
    "pneumothorax",
    "nodule",
    "atelectasis",
    "consolidation",
    "edema",
)
NORMAL_SHARE = 0.19
PROBABILITY = {
    "cardiomegaly": 0.34,
    "pleural effusion": 0.36,
    "pneumothorax": 0.28,
    "consolidation": 0.34,
    "nodule": 0.32,
    "atelectasis": 0.28,
    "edema": 0.26,
    "support devices": 0.3,
}
BOTH_SIDES = {"pleural effusion": 0.25, "consolidation": 0.2, "nodule": 0.12, "atelectasis": 0.12, "edema": 0.55}
MOST_FINDINGS = 4
SMALLEST_SIDE = 0.11  # of a box on the placing grid, unit coordinates
_ATTEMPTS = 16
_PLACING_SIZE = 80  # pixels; placing needs shares of areas only, boxes come from the analysis grid


@dataclass(frozen=True)
class Case:
    """A thorax with its lesions, on the analysis grid."""

    thorax: Thorax
    lesions: tuple[Lesion, ...]


def sample_case(rng: np.random.Generator, body: Body, pose: Pose, grid: Grid) -> Case:
    """Draw which findings a film has, and place them."""
    wanted = _wanted(rng)
    ratio = body.heart_ratio + rng.uniform(-0.015, 0.015)
    lesions: list[Lesion] = []
    if "cardiomegaly" in wanted:
        ratio = rng.uniform(0.52, 0.85)
        severity = "mild" if ratio < 0.62 else "moderate" if ratio < 0.73 else "severe"
        lesions.append(Lesion("cardiomegaly", severity=severity))
    coarse = Thorax(body, pose, ratio, Grid(_PLACING_SIZE, pose))
    taken = np.zeros(coarse.grid.x.shape, dtype=bool)
    for finding in _ORDER:
        if finding in wanted:
            for side in _sides(rng, finding, lesions):
                lesion = _place(rng, finding, side, coarse, taken)
                if lesion is not None:
                    lesions.append(lesion)
                    taken |= lesion_field(lesion, coarse) > 0
    return Case(Thorax(body, pose, ratio, grid), tuple(lesions))


def _wanted(rng: np.random.Generator) -> set[str]:
    normal = rng.random() < NORMAL_SHARE
    drawn = [finding for finding in FINDINGS if rng.random() < PROBABILITY[finding]]
    kept = rng.permutation(len(drawn))[:MOST_FINDINGS]
    return set() if normal else {drawn[index] for index in kept}


def _sides(rng: np.random.Generator, finding: str, lesions: list[Lesion]) -> list[str]:
    sides = ["right", "left"] if rng.random() < 0.5 else ["left", "right"]
    both = rng.random() < BOTH_SIDES.get(finding, 0.0)
    if finding == "pneumothorax":  # air and fluid in one pleural space would make a third sign, an air-fluid level
        fluid = {lesion.side for lesion in lesions if lesion.finding == "pleural effusion"}
        sides = [side for side in sides if side not in fluid]
    return sides if both else sides[:1]


def _place(rng: np.random.Generator, finding: str, side: str, thorax: Thorax, taken: np.ndarray) -> Lesion | None:
    """The first drawn shape that is visible; None if there is none in a fixed number of attempts."""
    aerated = thorax.aerated[side] > 0
    for _ in range(_ATTEMPTS):
        lesion = _SAMPLERS[finding](rng, side, thorax)
        box = lesion_box(lesion, thorax)
        if box is None or min(box.width, box.height) < SMALLEST_SIDE:
            continue
        mask = lesion_field(lesion, thorax) > 0
        area = max(int(mask.sum()), 1)
        free = (mask & ~taken).sum() / area
        inside = (mask & aerated).sum() / area
        if free >= _FREE[finding] and inside >= _INSIDE[finding]:
            return lesion
    return None


# Smallest share of a shape that must be free of earlier shapes, and that must lie in the aerated lung.
_FREE = {name: 0.85 for name in FINDINGS} | {"edema": 0.65, "support devices": 0.0, "nodule": 0.95}
_INSIDE = {name: 0.75 for name in FINDINGS} | {"support devices": 0.0, "nodule": 0.86, "pleural effusion": 0.5}


# -- sampling ----------------------------------------------------------------------------------------------------


def _sample_effusion(rng: np.random.Generator, side: str, thorax: Thorax) -> Lesion:
    height = rng.uniform(0.14, 0.4)
    severity = "small" if height < 0.22 else "moderate" if height < 0.31 else "large"
    geometry = {"height": height, "climb": rng.uniform(0.03, 0.12), "tilt": rng.uniform(-0.02, 0.05)}
    return Lesion("pleural effusion", side, "lower", severity, "meniscus", geometry)


def _sample_pneumothorax(rng: np.random.Generator, side: str, thorax: Thorax) -> Lesion:
    collapse = rng.uniform(0.26, 0.64)
    severity = "small" if collapse < 0.38 else "moderate" if collapse < 0.51 else "large"
    low = rng.uniform(-0.12, 0.06) if collapse < 0.4 else rng.uniform(-0.05, 0.36)
    geometry = {"collapse": collapse, "low": low, "rise": rng.uniform(0.25, 0.8)}
    return Lesion("pneumothorax", side, "", severity, "apical" if low < 0 else "lateral", geometry)


def _sample_nodule(rng: np.random.Generator, side: str, thorax: Thorax) -> Lesion:
    radius = rng.uniform(0.072, 0.11)
    lateral, height = rng.uniform(0.08, 0.34), rng.uniform(-0.26, 0.24)
    center = thorax.pose.to_image(np.array([SIDES[side] * lateral, height]))
    geometry = {"x": float(center[0]), "y": float(center[1]), "radius": radius}  # image units: a disc on the film
    return Lesion("nodule", side, zone_of(height), "mass" if radius > 0.091 else "nodule", "disc", geometry)


def _sample_consolidation(rng: np.random.Generator, side: str, thorax: Thorax) -> Lesion:
    geometry = {"x": rng.uniform(0.13, 0.29), "y": rng.uniform(-0.22, 0.24)}
    geometry |= {"radius_x": rng.uniform(0.095, 0.14), "radius_y": rng.uniform(0.09, 0.17)}
    for order in (2, 3, 5):
        geometry |= {f"wave{order}": rng.uniform(0.03, 0.22 / order), f"phase{order}": rng.uniform(0, 2 * np.pi)}
    return Lesion("consolidation", side, zone_of(geometry["y"]), "", "blob", geometry)


def _sample_atelectasis(rng: np.random.Generator, side: str, thorax: Thorax) -> Lesion:
    if rng.random() < 0.55:
        height = rng.uniform(-0.12, 0.2)
        geometry = {
            "x": rng.uniform(0.17, 0.23),
            "y": height,
            "angle": rng.uniform(0.25, 1.0) * (-1 if rng.random() < 0.5 else 1),
        }
        geometry |= {"half_length": rng.uniform(0.12, 0.16), "half_width": rng.uniform(0.024, 0.034)}
        geometry |= {"bend": rng.uniform(-0.03, 0.03)}
        return Lesion("atelectasis", side, zone_of(height), "linear", "band", geometry)
    hilum = thorax.hilum(side)
    angle = rng.uniform(-1.0, 1.0)
    length = rng.uniform(0.23, 0.31)
    geometry = {
        "x": hilum[0] + 0.03 * math.cos(angle),
        "y": hilum[1] + 0.03 * math.sin(angle),
        "angle": angle,
        "length": length,
        "slope": rng.uniform(0.22, 0.34),
    }
    return Lesion(
        "atelectasis", side, zone_of(hilum[1] + 0.7 * length * math.sin(angle)), "segmental", "wedge", geometry
    )


def _sample_edema(rng: np.random.Generator, side: str, thorax: Thorax) -> Lesion:
    radius_y = rng.uniform(0.14, 0.28)
    severity = "mild" if radius_y < 0.185 else "moderate" if radius_y < 0.235 else "severe"
    geometry = {"x": 0.06, "y": rng.uniform(-0.09, 0.12), "radius_x": rng.uniform(0.17, 0.27), "radius_y": radius_y}
    return Lesion("edema", side, "", severity, "haze", geometry)


def _sample_device(rng: np.random.Generator, side: str, thorax: Thorax) -> Lesion:
    if rng.random() < 0.55:
        geometry = {"x": rng.uniform(0.15, 0.29), "y": rng.uniform(-0.25, -0.02), "radius": rng.uniform(0.055, 0.07)}
        geometry |= {"angle": rng.uniform(-0.5, 0.5), "tip": rng.uniform(0.0, 1.0)}
        return Lesion("support devices", side, "", "", "pacemaker", geometry)
    geometry = {"entry": rng.uniform(0.02, 0.24), "tip_x": rng.uniform(0.08, 0.24), "tip_y": rng.uniform(-0.26, 0.02)}
    geometry |= {"bow": rng.uniform(-0.07, 0.07)}
    if rng.random() < 0.3:  # a basal tube for fluid
        geometry |= {"tip_y": rng.uniform(0.1, 0.2), "entry": rng.uniform(-0.05, 0.1)}
    return Lesion("support devices", side, "", "", "chest tube", geometry)


_SAMPLERS: dict[str, Callable[[np.random.Generator, str, Thorax], Lesion]] = {
    "pleural effusion": _sample_effusion,
    "pneumothorax": _sample_pneumothorax,
    "consolidation": _sample_consolidation,
    "nodule": _sample_nodule,
    "atelectasis": _sample_atelectasis,
    "edema": _sample_edema,
    "support devices": _sample_device,
}
