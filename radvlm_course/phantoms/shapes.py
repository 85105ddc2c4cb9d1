"""The shapes of lesions: signed fields over a grid, and boxes.

A :class:`Lesion` is one shape of one finding. Its field draws it and gives its box, so the box is never an estimate
from the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from radvlm_course.boxes import Box, BoxError
from radvlm_course.phantoms.anatomy import BASE, SIDES, WALL, Thorax
from radvlm_course.phantoms.curves import curve, spline
from radvlm_course.phantoms.patients import Pose

__all__ = ["Lesion", "collapsed_field", "device_lines", "fluid_field", "lesion_box", "lesion_field"]


@dataclass(frozen=True)
class Lesion:
    """One shape of one finding.

    Attributes:
        finding: one of ``findings.FINDINGS``.
        side: ``left`` or ``right`` (the patient's), empty for the heart.
        zone: ``upper``, ``mid`` or ``lower``, empty where it does not apply.
        severity: ``mild``/``moderate``/``severe``, ``small``/``moderate``/``large``, ``nodule``/``mass``, or empty.
        kind: which shape it is, for example ``pacemaker`` or ``chest tube``.
        geometry: the shape's numbers, in body units unless the shape says otherwise.
    """

    finding: str
    side: str = ""
    zone: str = ""
    severity: str = ""
    kind: str = ""
    geometry: dict[str, float] = field(default_factory=dict)


def lesion_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    """Signed field of a lesion over the thorax's grid: float32 of shape (size, size), positive inside, body units."""
    return _FIELDS[lesion.kind or lesion.finding](lesion, thorax).astype(np.float32, copy=False)


def lesion_box(lesion: Lesion, thorax: Thorax) -> Box | None:
    """The lesion's box in unit coordinates; None if it is not on the film, for a disc if it is not wholly on it."""
    if lesion.finding == "support devices":
        return _device_box(lesion, thorax.pose)
    if lesion.kind != "disc":
        return thorax.grid.box(lesion_field(lesion, thorax) > 0)
    x, y, radius = (lesion.geometry[name] for name in ("x", "y", "radius"))
    try:
        return Box(*(round(edge, 6) for edge in (x - radius, y - radius, x + radius, y + radius)))
    except BoxError:
        return None


def _device_box(lesion: Lesion, pose: Pose) -> Box | None:
    """The box of a tube, or of a pacemaker's generator: its lead would make it a box of mostly lung."""
    points, half = device_lines(lesion)[0]
    offsets = np.array([[-half, -half], [half, -half], [-half, half], [half, half]])
    every = pose.to_image(points[:, None, :] + offsets).reshape(-1, 2)
    edges = (*every.min(axis=0).tolist(), *every.max(axis=0).tolist())
    try:
        return Box.clipped(*(round(edge, 6) for edge in edges))
    except BoxError:
        return None


def device_lines(lesion: Lesion) -> list[tuple[np.ndarray, float]]:
    """A device as lines: (points of shape (N, 2) in body coordinates, half width in body units)."""
    g, sign = lesion.geometry, SIDES[lesion.side]
    if lesion.kind == "chest tube":
        start = np.array([WALL + 0.07, g["entry"] + 0.05])
        end = np.array([g["tip_x"], g["tip_y"]])
        middle = np.array([WALL - 0.06 + g["bow"], (start[1] + 2 * end[1]) / 3])
        return [(curve(np.array([start, middle, end])) * [sign, 1], 0.011)]
    radius = g["radius"]
    generator = np.array([[sign * g["x"], g["y"] - 0.15 * radius], [sign * g["x"], g["y"] + 0.15 * radius]])
    top = np.array([sign * (g["x"] - 0.3 * radius), g["y"] - 0.85 * radius])
    vein = np.array([sign * 0.1, min(g["y"], -0.14) - 0.11])
    tip = np.array([-0.02 + 0.15 * g["tip"], 0.1 + 0.06 * g["tip"]])
    path = np.array([top, vein, [-0.045, -0.16], [-0.055, 0.02], tip])
    return [(generator, radius), (spline(path), 0.0035)]


def _heart_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    return thorax.heart


def fluid_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    """Signed field of all that lies below the surface of an effusion, the meniscus."""
    g, x = lesion.geometry, thorax.lateral_distance(lesion.side)
    level = BASE - g["height"] - g["climb"] * np.clip(x / WALL, 0, 1.1) ** 3 + g["tilt"] * (0.3 - x)
    return thorax.grid.y - level


def _effusion_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    return np.minimum(thorax.aerated[lesion.side], fluid_field(lesion, thorax))


def collapsed_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    """Signed field of the lung that a pneumothorax leaves: the lung shrunk towards its hilum."""
    g, hilum_y = lesion.geometry, thorax.hilum(lesion.side)[1]
    x, y = thorax.lateral_distance(lesion.side), thorax.grid.y
    amount = g["collapse"] * np.clip((g["low"] - y) / 0.16, 0, 1) ** 0.6
    root = np.float32(0.04)  # at the mediastinum, to which the lung stays attached
    shrunk_x = root + (x - root) / (1 - amount)
    above = np.minimum(y - hilum_y, 0)
    return thorax.lung_at(shrunk_x, y + above * (1 / (1 - amount * g["rise"]) - 1), lesion.side)


def _pneumothorax_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    lateral = thorax.lateral_distance(lesion.side) - 0.05
    gap = np.minimum(-collapsed_field(lesion, thorax), lesion.geometry["low"] - thorax.grid.y)
    return np.minimum(np.minimum(thorax.aerated[lesion.side], gap), lateral)


def _nodule_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    g, grid = lesion.geometry, thorax.grid
    distance = np.hypot(grid.image_x - np.float32(g["x"]), grid.image_y - np.float32(g["y"]))
    return g["radius"] - distance


def _blob_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    g = lesion.geometry
    u = (thorax.lateral_distance(lesion.side) - g["x"]) / g["radius_x"]
    v = (thorax.grid.y - g["y"]) / g["radius_y"]
    angle = np.arctan2(v, u)
    edge = 1 + sum(g[f"wave{order}"] * np.cos(order * angle + g[f"phase{order}"]) for order in (2, 3, 5))
    blob = (edge - np.sqrt(u * u + v * v)) * np.float32(min(g["radius_x"], g["radius_y"]))
    return np.minimum(blob, thorax.aerated[lesion.side])


def _rotated(lesion: Lesion, thorax: Thorax) -> tuple[np.ndarray, np.ndarray]:
    g = lesion.geometry
    cos, sin = np.float32(np.cos(g["angle"])), np.float32(np.sin(g["angle"]))
    x, y = thorax.lateral_distance(lesion.side) - g["x"], thorax.grid.y - g["y"]
    return cos * x + sin * y, cos * y - sin * x


def _band_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    g = lesion.geometry
    along, across = _rotated(lesion, thorax)
    relative = np.clip(along / g["half_length"], -1, 1)
    thick = np.float32(g["half_width"]) * np.sqrt(1 - relative * relative * relative * relative)
    bent = across + np.float32(g["bend"]) * relative * relative
    band = np.minimum(g["half_length"] - np.abs(along), thick - np.abs(bent))
    return np.minimum(band, thorax.aerated[lesion.side])


def _wedge_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    g = lesion.geometry
    along, across = _rotated(lesion, thorax)
    half = np.float32(g["slope"]) * along + np.float32(0.01)
    wedge = np.minimum(half - np.abs(across), np.minimum(along, g["length"] - along))
    return np.minimum(wedge, thorax.aerated[lesion.side])


def _haze_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    g = lesion.geometry
    u = (thorax.lateral_distance(lesion.side) - g["x"]) / g["radius_x"]
    v = (thorax.grid.y - g["y"]) / g["radius_y"]
    haze = (1 - np.sqrt(u * u + v * v)) * np.float32(min(g["radius_x"], g["radius_y"]))
    return np.minimum(haze, thorax.aerated[lesion.side])


def _device_field(lesion: Lesion, thorax: Thorax) -> np.ndarray:
    """Only what hides something: the pulse generator; leads and tubes are thin."""
    if lesion.kind == "chest tube":
        return np.full(thorax.grid.x.shape, -1, dtype=np.float32)
    points, radius = device_lines(lesion)[0]
    x, y = thorax.grid.x - float(points[:, 0].mean()), thorax.grid.y - float(points[:, 1].mean())
    return 1.15 * radius - np.sqrt(x * x + y * y)


_FIELDS: dict[str, Callable[[Lesion, Thorax], np.ndarray]] = {
    "cardiomegaly": _heart_field,
    "meniscus": _effusion_field,
    "apical": _pneumothorax_field,
    "lateral": _pneumothorax_field,
    "disc": _nodule_field,
    "blob": _blob_field,
    "band": _band_field,
    "wedge": _wedge_field,
    "haze": _haze_field,
    "pacemaker": _device_field,
    "chest tube": _device_field,
}
