"""Geometry of a phantom's thorax: where each structure lies.

Everything is described in **body coordinates**, a standard thorax that every patient shares: ``x`` grows towards
the patient's left (the right of the image), ``y`` grows downwards, the origin is the centre of the thorax, the lung
apices lie near y = -0.31, the costophrenic angles near y = +0.31, the chest wall near x = ±0.36. A
:class:`~radvlm_course.phantoms.patients.Pose` (habitus and positioning) maps body coordinates to **unit image
coordinates** by one affine map, so the same functions give the boxes on a fixed analysis grid and the picture at any
size.

Signed fields are positive inside a structure and measured in body units. Left out on purpose: depth. The picture is
composed from thicknesses (see ``rendering``), not ray-traced through a volume.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from radvlm_course.boxes import Box
from radvlm_course.phantoms.patients import Body, Pose

__all__ = ["ANALYSIS_SIZE", "STRUCTURES", "Grid", "Thorax"]

ANALYSIS_SIZE = 256
SIDES = {"right": -1.0, "left": 1.0}
ZONES = ("upper", "mid", "lower")
STRUCTURES = (
    "heart",
    "left lung",
    "right lung",
    *(f"{side} {zone} lung zone" for side in ("left", "right") for zone in ZONES),
    "left hemidiaphragm",
    "right hemidiaphragm",
    "left clavicle",
    "right clavicle",
    "trachea",
    "spine",
    "left costophrenic angle",
    "right costophrenic angle",
    "aortic arch",
)

APEX, BASE, WALL = -0.31, 0.31, 0.36
_TABLE = np.linspace(-0.36, 0.42, 79).astype(np.float32)


class Grid:
    """Pixel centres of a square image in unit image coordinates and in body coordinates.

    Attributes:
        image_x, image_y: float32 arrays of shape (size, size), 0 to 1.
        x, y: the same points in body coordinates.
    """

    def __init__(self, size: int, pose: Pose) -> None:
        centers = ((np.arange(size) + 0.5) / size).astype(np.float32)
        self.size, self.pose = size, pose
        self.image_x, self.image_y = (
            np.broadcast_to(centers, (size, size)),
            np.broadcast_to(centers[:, None], (size, size)),
        )
        x, y = pose.to_body(self.image_x, self.image_y)
        self.x, self.y = x.astype(np.float32), y.astype(np.float32)

    def box(self, mask: np.ndarray) -> Box | None:
        """The covering box of a boolean mask of shape (size, size); None if the mask is empty."""
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        if not len(columns):
            return None
        edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        return Box(*(round(float(edge) / self.size, 6) for edge in edges))


class Thorax:
    """One patient's structures on one grid: signed fields, masks and boxes.

    Args:
        heart_ratio: cardiothoracic ratio on this film (heart width over chest width).
    """

    def __init__(self, body: Body, pose: Pose, heart_ratio: float, grid: Grid) -> None:
        self.body, self.pose, self.heart_ratio, self.grid = body, pose, heart_ratio, grid
        self._lateral = _lateral_table(body)
        self._medial = {side: _medial_table(body, side) for side in SIDES}

    # -- lungs ---------------------------------------------------------------------------------------------

    def lateral_at(self, y: np.ndarray, side: str) -> np.ndarray:
        """Distance of the inner chest wall from the midline at height y."""
        return np.interp(y, _TABLE, self._lateral).astype(np.float32) * (1 + SIDES[side] * self.body.asymmetry)

    def diaphragm_at(self, x: np.ndarray, side: str) -> np.ndarray:
        """Height of the hemidiaphragm at lateral distance x (positive) from the midline."""
        dome = self.dome_height(side)
        offset = x - 0.17
        relative = offset * np.where(offset > 0, np.float32(1 / (WALL - 0.165)), np.float32(1 / 0.26))
        return BASE - dome * np.sqrt(np.clip(1 - relative * relative, 0, 1))

    def dome_height(self, side: str) -> float:
        """How far the dome rises above the costophrenic angle."""
        return self.body.dome[0 if side == "right" else 1] - self.pose.inspiration

    def lung_at(self, x: np.ndarray, y: np.ndarray | None, side: str) -> np.ndarray:
        """Signed field of a lung at lateral distances x (positive away from the midline) and heights y (the grid's)."""
        if y is None:
            lateral, y = self.wall * np.float32(1 + SIDES[side] * self.body.asymmetry), self.grid.y
        else:
            lateral = self.lateral_at(y, side)
        medial = np.interp(y, _TABLE, self._medial[side]).astype(np.float32)
        inside = np.minimum(lateral - x, x - medial)
        return np.minimum(inside, self.diaphragm_at(x, side) - y, out=inside)

    @cached_property
    def wall(self) -> np.ndarray:
        """Distance of the inner chest wall from the midline at the grid's heights, mean of both sides."""
        return np.interp(self.grid.y, _TABLE, self._lateral).astype(np.float32)

    def lateral_distance(self, side: str) -> np.ndarray:
        """The grid's x, counted positive away from the midline on this side."""
        return self.grid.x * np.float32(SIDES[side])

    @cached_property
    def lungs(self) -> dict[str, np.ndarray]:
        """Side -> signed lung field, the heart not cut out."""
        return {side: self.lung_at(self.lateral_distance(side), None, side) for side in SIDES}

    @cached_property
    def aerated(self) -> dict[str, np.ndarray]:
        """Side -> signed field of the lung seen beside the heart and the aortic knob."""
        hidden = np.maximum(self._silhouette, self.arch)
        return {side: np.minimum(field, -hidden) for side, field in self.lungs.items()}

    def hilum(self, side: str) -> tuple[float, float]:
        """Centre of the hilum: (lateral distance, height)."""
        return (0.085, 0.0) if side == "right" else (0.085, -0.025)

    # -- heart and mediastinum -----------------------------------------------------------------------------

    @cached_property
    def heart_frame(self) -> tuple[float, float, float, float]:
        """Right border, width, top and bottom of the heart (body coordinates)."""
        width = self.heart_ratio * 2 * WALL
        height = width * self.body.heart_height
        bottom = BASE - self.dome_height("left") + 0.03
        right = self.pose.heart_shift - self.body.heart_offset * width
        return min(max(right, -0.3), 0.325 - width), width, bottom - height, bottom

    @cached_property
    def heart(self) -> np.ndarray:
        """Signed field of the heart; it rests flat on the diaphragm, within the chest wall."""
        chest = self.wall - np.abs(self.grid.x)
        return np.minimum(np.minimum(self._silhouette, self.heart_frame[3] - self.grid.y), chest)

    @cached_property
    def _silhouette(self) -> np.ndarray:
        """Left ventricle (tilted ellipse) joined with right atrium (ellipse), prolonged downwards into the abdomen."""
        left, width, top, bottom = self.heart_frame
        half_width, half_height = 0.42 * width, (bottom - top) / 2
        y = np.minimum(self.grid.y, top + 1.55 * half_height)
        u = (self.grid.x - (left + width - half_width)) / half_width
        v = (y - (top + half_height)) / half_height
        tilt = self.body.heart_tilt
        ventricle = 1 - np.sqrt((u * u - 2 * tilt * u * v + v * v) / (1 - tilt * tilt))
        u = (self.grid.x - (left + 0.36 * width)) / (0.36 * width)
        v = (y - (top + 1.05 * half_height)) / (0.84 * half_height)
        atrium = 1 - np.sqrt(u * u + v * v)
        blend = np.clip(0.5 + (ventricle - atrium) / 0.7, 0, 1)  # a smooth maximum
        joined = atrium + blend * (ventricle - atrium) + 0.35 * blend * (1 - blend)
        return joined * np.float32(0.5 * half_height)

    @cached_property
    def arch(self) -> np.ndarray:
        """Signed field of the aortic arch; its left end is the knob."""
        knob = self.body.knob
        u = (self.grid.x - 0.026) / (0.03 + knob)
        v = (self.grid.y - self.body.knob_y) / (0.018 + 0.8 * knob)
        return (1 - np.sqrt(u * u + v * v)) * np.float32(0.035)

    @cached_property
    def trachea(self) -> np.ndarray:
        """Signed field of the tracheal air column down to the carina."""
        center = self.body.trachea * np.clip((self.grid.y + 0.35) / 0.2, 0, 1)
        return np.minimum(0.019 - np.abs(self.grid.x - center), self.carina - self.grid.y)

    @property
    def carina(self) -> float:
        return self.body.knob_y + 0.06

    # -- skeleton ------------------------------------------------------------------------------------------

    @cached_property
    def clavicles(self) -> dict[str, np.ndarray]:
        """Side -> signed field of the clavicle: a gently S-shaped bar from the sternum to the shoulder."""
        return {side: self._clavicle(side) for side in SIDES}

    def _clavicle(self, side: str) -> np.ndarray:
        x = self.lateral_distance(side)
        along = (x - 0.028) / 0.37
        center = self.body.clavicle_y - self.body.clavicle_slope * 0.37 * along + 0.022 * np.sin(2.2 * np.pi * along)
        half = 0.0125 + 0.007 * (2 * along - 1) ** 2
        return np.minimum(half - np.abs(self.grid.y - center), np.minimum(along, 1 - along) * 0.37)

    # -- boxes ---------------------------------------------------------------------------------------------

    def boxes(self) -> dict[str, tuple[Box, ...]]:
        """Name -> box of every structure of :data:`STRUCTURES` that is on the film."""
        masks = {"heart": self.heart > 0, "aortic arch": self.arch > 0, "trachea": self.trachea > 0}
        masks["spine"] = np.abs(self.grid.x) < 0.038
        for side in SIDES:
            masks |= self._side_masks(side)
        found = {name: self.grid.box(masks[name]) for name in STRUCTURES}
        return {name: (box,) for name, box in found.items() if box is not None}

    def _side_masks(self, side: str) -> dict[str, np.ndarray]:
        x, y, lung = self.lateral_distance(side), self.grid.y, self.lungs[side] > 0
        surface = self.diaphragm_at(x, side)
        wall = float(self.lateral_at(np.array([BASE - 0.02]), side)[0])
        masks = {f"{side} lung": lung, f"{side} clavicle": self.clavicles[side] > 0}
        for zone in ZONES:
            masks[f"{side} {zone} lung zone"] = lung & self.in_zone(zone)
        masks[f"{side} hemidiaphragm"] = (np.abs(y - surface) < 0.008) & (x > 0.05) & (x < wall)
        masks[f"{side} costophrenic angle"] = (np.abs(x - wall + 0.035) < 0.05) & (np.abs(y - BASE + 0.03) < 0.05)
        return masks

    def in_zone(self, zone: str) -> np.ndarray:
        """Mask of the heights that belong to the upper, mid or lower third of the lungs."""
        low, high = zone_limits(zone)
        return (self.grid.y >= low) & (self.grid.y < high)


def zone_limits(zone: str) -> tuple[float, float]:
    """Heights (body y) between which a lung zone lies."""
    limits = (APEX - 0.1, -0.09, 0.06, BASE + 0.1)
    index = ZONES.index(zone)
    return limits[index], limits[index + 1]


def zone_of(y: float) -> str:
    """The zone in which a height lies."""
    return next(zone for zone in ZONES if y < zone_limits(zone)[1] or zone == ZONES[-1])


def _lateral_table(body: Body) -> np.ndarray:
    relative = np.clip((_TABLE - APEX) / (BASE - APEX), 0, 1)
    return (WALL * (1 - (1 - relative) ** 2.2) ** body.apex_power).astype(np.float32)


def _medial_table(body: Body, side: str) -> np.ndarray:
    relative = np.clip((_TABLE - APEX) / (BASE - APEX), 0, None)
    edge = body.medial + 0.04 * np.exp(-relative / 0.035)
    trunk = np.clip((relative - 0.25) / 0.3, 0, 1)  # superior vena cava; aorta and pulmonary trunk
    return (edge + (0.012 if side == "right" else 0.034) * trunk * trunk).astype(np.float32)
