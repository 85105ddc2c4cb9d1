"""Who the patient is and how the film was taken: the numbers behind a thorax.

Positioning varies widely on purpose. If every heart lay in the middle of the film, a model could point at it without
looking (``statistics`` measures that).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Body", "Pose", "sample_body", "sample_pose"]


@dataclass(frozen=True)
class Body:
    """What a patient keeps from film to film, in body units (see the module's docstring).

    ``width`` and ``height`` stretch the standard thorax; ``thickness`` is the relative amount of soft tissue;
    ``breast`` is 0 for none; ``heart_ratio`` is the normal cardiothoracic ratio; ``texture`` seeds the vessels.
    """

    width: float
    height: float
    thickness: float
    breast: float
    shoulder: float
    arm_angle: float
    medial: float
    asymmetry: float
    apex_power: float
    dome: tuple[float, float]
    heart_ratio: float
    heart_height: float
    heart_tilt: float
    heart_offset: float
    knob: float
    knob_y: float
    trachea: float
    clavicle_slope: float
    clavicle_y: float
    rib_phase: float
    rib_spacing: float
    rib_drop: float
    rib_density: float
    scapula: float
    gastric: float
    texture: int


@dataclass(frozen=True)
class Pose:
    """How one film was taken.

    ``scale_x``, ``scale_y`` are unit image lengths per body unit; ``center_x``, ``center_y`` place the body origin in
    the image; ``angle`` is in radians; ``inspiration`` lowers the hemidiaphragms in body units; ``heart_shift`` moves
    the heart sideways, as a turned patient does.
    """

    scale_x: float
    scale_y: float
    center_x: float
    center_y: float
    angle: float
    inspiration: float
    heart_shift: float

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Body coordinates, shape (..., 2), to unit image coordinates of the same shape."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        x, y = points[..., 0] * self.scale_x, points[..., 1] * self.scale_y
        return np.stack([self.center_x + cos * x - sin * y, self.center_y + sin * x + cos * y], axis=-1)

    def to_body(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit image coordinates to body coordinates; the inverse of :meth:`to_image`."""
        cos, sin = float(np.cos(self.angle)), float(np.sin(self.angle))
        x, y = x - self.center_x, y - self.center_y
        return (cos * x + sin * y) / self.scale_x, (cos * y - sin * x) / self.scale_y


def sample_body(rng: np.random.Generator) -> Body:
    """Draw a patient: habitus, organ sizes, skeleton."""
    uniform = rng.uniform
    female = rng.random() < 0.5
    return Body(
        width=uniform(0.9, 1.1),
        height=uniform(0.9, 1.1),
        thickness=uniform(0.85, 1.2),
        breast=uniform(0.35, 1.0) if female else 0.0,
        shoulder=uniform(-0.03, 0.03),
        arm_angle=uniform(0.25, 0.9),
        medial=uniform(0.042, 0.058),
        asymmetry=uniform(-0.03, 0.03),
        apex_power=uniform(0.34, 0.42),
        dome=(uniform(0.105, 0.15), uniform(0.085, 0.13)),
        heart_ratio=uniform(0.38, 0.48),
        heart_height=uniform(0.36, 1.16),
        heart_tilt=uniform(0.3, 0.6),
        heart_offset=uniform(0.22, 0.4),
        knob=uniform(0.022, 0.036),
        knob_y=uniform(-0.17, -0.12),
        trachea=uniform(-0.012, 0.008),
        clavicle_slope=uniform(0.0, 0.18),
        clavicle_y=uniform(-0.25, -0.19),
        rib_phase=uniform(0.0, 1.0),
        rib_spacing=uniform(0.062, 0.074),
        rib_drop=uniform(0.09, 0.15),
        rib_density=uniform(0.75, 1.2),
        scapula=uniform(-0.02, 0.035),
        gastric=uniform(0.0, 1.0),
        texture=int(rng.integers(2**31)),
    )


def sample_pose(rng: np.random.Generator, body: Body) -> Pose:
    """Draw the positioning of one film of a patient; both lungs stay on the film, but for a narrow strip at a wall."""
    scale = rng.uniform(0.84, 1.24)
    scale_x = min(max(scale * body.width, 0.8), 1.27)
    scale_y = min(max(1.1 * scale * body.height, 0.9), 1.42)
    slack_x = max(0.5 - 0.372 * scale_x, 0.0) + 0.02
    top, bottom = 0.03 + 0.31 * scale_y, 0.985 - 0.325 * scale_y
    bottom = max(min(bottom, top + 0.26), top + 0.03)
    return Pose(
        scale_x=scale_x,
        scale_y=scale_y,
        center_x=0.5 + rng.uniform(-1, 1) * min(slack_x, 0.12),
        center_y=rng.uniform(top, bottom),
        angle=float(np.clip(rng.normal(0, 0.03), -0.08, 0.08)),
        inspiration=rng.uniform(-0.09, 0.045),
        heart_shift=rng.uniform(-0.15, 0.15),
    )
