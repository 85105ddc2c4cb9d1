"""The fine lines of a phantom: ribs, clavicles, vertebrae, shoulder girdle, pulmonary vessels.

Ribs and vertebrae are periodic families of curves, computed for all pixels at once; vessels and the shoulder girdle
are drawn as strokes on a canvas of twice the resolution and averaged down. All functions return attenuation in the
relative units of ``rendering``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from radvlm_course.phantoms.anatomy import BASE, SIDES, Thorax
from radvlm_course.phantoms.curves import spline

__all__ = ["Canvas", "bones", "step", "vessels"]


def step(signed: np.ndarray, width: float) -> np.ndarray:
    """Smooth step from 0 (below -width) to 1 (above +width) of a signed field."""
    t = signed * np.float32(0.5 / width)
    t += np.float32(0.5)
    np.clip(t, 0, 1, out=t)
    smooth = t * np.float32(-2)
    smooth += np.float32(3)
    smooth *= t
    smooth *= t
    return smooth


class Canvas:
    """Draws strokes given in body coordinates onto the thorax's grid, smoothed by averaging."""

    _OVERSAMPLING = 2

    def __init__(self, thorax: Thorax) -> None:
        self.thorax = thorax
        self.size = thorax.grid.size * self._OVERSAMPLING
        self.scale = 0.5 * (thorax.pose.scale_x + thorax.pose.scale_y) * self.size

    def pixels(self, points: np.ndarray) -> list[float]:
        """x, y, x, y, ... on the canvas."""
        flat: list[float] = (self.thorax.pose.to_image(points) * self.size).ravel().tolist()
        return flat

    def finish(self, picture: Image.Image, blur: float = 0.0) -> np.ndarray:
        """To the grid's size; ``blur`` is a standard deviation in body units."""
        reduced = picture.reduce(self._OVERSAMPLING)
        if blur:
            reduced = reduced.filter(ImageFilter.GaussianBlur(blur * self.scale / self._OVERSAMPLING))
        return np.asarray(reduced, dtype=np.float32) / 255

    def lines(self, strokes: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
        """Strokes (points in body coordinates, full width in body units) as coverage 0 to 1."""
        picture = Image.new("L", (self.size, self.size))
        draw = ImageDraw.Draw(picture)
        for points, width in strokes:
            draw.line(self.pixels(points), fill=255, width=max(1, round(width * self.scale)), joint="curve")
        return self.finish(picture)

    def can(self, center: np.ndarray, radius: float, angle: float) -> np.ndarray:
        """A pulse generator: a rounded shape with a header and a denser battery, 0 to 1."""
        picture = Image.new("L", (self.size, self.size))
        draw = ImageDraw.Draw(picture)
        t = np.linspace(0, 2 * np.pi, 48)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        rim = np.stack([np.cos(t), np.sin(t)], axis=-1)
        squared = np.sign(rim) * np.abs(rim) ** 0.75
        for factor, shift, fill in ((np.array([1.0, 1.0]), 0.0, 165), (np.array([0.8, 0.55]), 0.25, 255)):
            outline = center + radius * ((squared * factor + [0, shift]) @ turn)
            draw.polygon(self.pixels(outline), fill=fill)
        return self.finish(picture)


def vessels(thorax: Thorax, canvas: Canvas) -> np.ndarray:
    """Pulmonary vessels of both lungs, branching from the hila, and the hila themselves."""
    rng = np.random.default_rng(thorax.body.texture)
    picture = Image.new("L", (canvas.size, canvas.size))
    draw = ImageDraw.Draw(picture)
    levels = [_tree(rng, thorax.hilum(side)) for side in SIDES]
    for depth in reversed(range(_BRANCHINGS)):
        for sign, level in zip(SIDES.values(), levels, strict=True):
            paths, widths = level[depth]
            pixels = thorax.pose.to_image(paths * [sign, 1]) * canvas.size
            fills = np.clip(50 + 13000 * widths, 0, 220).astype(int).tolist()
            strokes = np.maximum(np.round(widths * canvas.scale), 1).astype(int).tolist()
            for path, fill, width in zip(pixels.reshape(len(paths), -1).tolist(), fills, strokes, strict=True):
                draw.line(path, fill=fill, width=width)
    return 0.3 * canvas.finish(picture, blur=0.0016) + _hila(thorax)


_BRANCHINGS = 5


def _hila(thorax: Thorax) -> np.ndarray:
    total = np.zeros_like(thorax.grid.x)
    for side in SIDES:
        x, y = thorax.hilum(side)
        u, v = (thorax.lateral_distance(side) - x + 0.02) / 0.05, (thorax.grid.y - y) / 0.075
        total += 0.11 * np.clip(1 - u * u - v * v, 0, 1)
    return total


def _tree(rng: np.random.Generator, hilum: tuple[float, float]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Branches of one lung by depth: (paths of shape (N, 5, 2), widths of shape (N,)).

    Lateral distance grows away from the midline.
    """
    count = 10
    angle = np.linspace(-1.6, 1.45, count) + rng.normal(0, 0.16, count)
    start = np.array(hilum) + np.stack([-0.025 + 0.012 * np.cos(angle), 0.05 * np.sin(angle)], axis=-1)
    length, width = rng.uniform(0.045, 0.08, count), rng.uniform(0.005, 0.0115, count)
    levels: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(_BRANCHINGS):
        points, bend = [start], rng.normal(0, 0.07, len(angle))
        for _ in range(4):
            angle = angle + bend + rng.normal(0, 0.08, len(angle))
            points.append(points[-1] + (length / 4)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1))
        levels.append((np.stack(points, axis=1), width))
        spread = rng.uniform(0.1, 0.7, len(angle)) * rng.choice([-1, 1], len(angle))
        angle = np.concatenate([angle - spread, angle + 0.5 * spread])
        start = np.concatenate([points[-1], points[-1]])
        length = np.tile(length, 2) * rng.uniform(0.6, 1.1, 2 * len(length))
        width = np.tile(width, 2) * rng.uniform(0.5, 0.82, 2 * len(width))
    return levels


def bones(thorax: Thorax, canvas: Canvas) -> np.ndarray:
    """All bones: ribs, spine, clavicles, shoulder girdle."""
    density = np.float32(thorax.body.rib_density)
    total = density * (_ribs(thorax) + _shoulders(canvas)) + _spine(thorax)
    for side in SIDES:
        clavicle = thorax.clavicles[side]
        cortex = np.clip(1 - np.abs(clavicle - 0.003) / 0.004, 0, 1)
        fade = np.clip((0.4 - thorax.lateral_distance(side)) / 0.06, 0.25, 1)
        total += density * fade * (0.1 * step(clavicle, 0.004) + 0.06 * cortex)
    return total


def _ribs(thorax: Thorax) -> np.ndarray:
    body, x, y = thorax.body, np.abs(thorax.grid.x), thorax.grid.y
    wall = np.maximum(thorax.wall, 0.03) + np.float32(0.014)
    relative = np.minimum(x / wall, 1)
    depth = np.sqrt(1 - relative * relative)
    inside = step(wall + 0.006 - x, 0.006)
    first = -0.34 + body.rib_phase * body.rib_spacing
    base = (y - np.float32(body.rib_drop + first)) / np.float32(body.rib_spacing)
    posterior = base + np.float32(body.rib_drop / body.rib_spacing) * depth
    anterior = base - np.float32(0.15 / body.rib_spacing) * depth
    back = _band(posterior, 0.19, 10.5) * step(x - 0.03, 0.01)
    front = _band(anterior, 0.21, 7.0) * np.clip((relative - 0.35) / 0.25, 0, 1)
    rim = np.clip(1 - np.abs(wall - 0.004 - x) / 0.008, 0, 1) * (0.7 + 0.3 * np.cos(2 * np.pi * posterior))
    lower = np.clip(1.4 - (y - BASE) / 0.12, 0, 1) * np.clip((y + 0.37) / 0.04, 0, 1)
    over_lung = 0.4 + 0.6 * step(np.maximum(thorax.aerated["left"], thorax.aerated["right"]), 0.02)
    return (inside * (0.125 * back + 0.085 * front) * over_lung + 0.07 * rim) * lower


def _band(index: np.ndarray, half: float, count: float) -> np.ndarray:
    """Profile across a family of ribs: a band with brighter cortical edges, 0 to about 1."""
    away = np.abs(index - np.floor(index) - np.float32(0.5))
    body = step(np.float32(half) - away, 0.05)
    cortex = np.clip(1 - np.abs(away - np.float32(half - 0.03)) / 0.06, 0, 1)
    shown = np.clip(index + 0.5, 0, 1) * np.clip(count - index, 0, 1)
    return (0.62 * body + 0.5 * cortex) * shown


def _spine(thorax: Thorax) -> np.ndarray:
    x, y = np.abs(thorax.grid.x), thorax.grid.y
    index = (y + 0.9) / (0.05 + 0.012 * np.clip(y + 0.4, 0, 1))
    away = np.abs(index - np.floor(index) - np.float32(0.5))
    width = 0.026 + 0.013 * np.clip((y + 0.5) / 0.6, 0, 1)
    column = step(width + 0.008 * away - x, 0.006)
    plate = np.clip(1 - np.abs(away - 0.4) / 0.05, 0, 1)
    disc = np.clip((away - 0.41) / 0.05, 0, 1)
    pedicle = np.clip(1 - ((x - 0.02) / 0.007) ** 2 - ((away - 0.12) / 0.18) ** 2, 0, 1)
    process = np.clip(1 - (x / 0.005) ** 2 - ((away - 0.25) / 0.22) ** 2, 0, 1)
    thin = 0.55 + 0.45 * np.clip((y + 0.42) / 0.15, 0, 1)
    return (column * (0.1 + 0.04 * plate - 0.05 * disc) + 0.05 * (pedicle + process)) * thin


def _shoulders(canvas: Canvas) -> np.ndarray:
    """Scapulae, humeral heads and shafts."""
    return 0.3 * canvas.finish(_shoulder_picture(canvas), blur=0.005)


def _shoulder_picture(canvas: Canvas) -> Image.Image:
    body = canvas.thorax.body
    picture = Image.new("L", (canvas.size, canvas.size))
    draw = ImageDraw.Draw(picture)
    rim = np.linspace(0, 2 * np.pi, 24)
    circle = np.stack([np.cos(rim), np.sin(rim)], axis=-1)
    for sign in SIDES.values():
        place = _Placement(canvas, np.array([body.scapula, 0.3 * body.shoulder]), sign)
        outline = spline(np.array([*_BLADE, _BLADE[0]]), 6)
        draw.polygon(place(outline), fill=70)
        draw.line(place(outline[18:]), fill=135, width=place.width(0.009), joint="curve")
        draw.line(
            place(spline(np.array([(0.31, -0.215), (0.39, -0.262), (0.46, -0.3)]))), fill=120, width=place.width(0.02)
        )
        head = np.array([0.487, -0.222])
        shaft = head + np.array([[0.012, 0.02], [0.04 + 0.9 * body.arm_angle, 0.9]])
        draw.line(place(shaft), fill=150, width=place.width(0.046))
        draw.line(place(shaft), fill=105, width=place.width(0.024))
        draw.polygon(place(head + 0.048 * circle), fill=150)
        draw.polygon(place(head + 0.038 * circle), fill=130)
    return picture


_BLADE = [
    (0.3, -0.24),
    (0.37, -0.265),
    (0.435, -0.235),
    (0.43, -0.165),
    (0.385, -0.07),
    (0.365, 0.055),
    (0.34, 0.03),
    (0.31, -0.11),
]


class _Placement:
    """Puts points of one side onto a canvas."""

    def __init__(self, canvas: Canvas, shift: np.ndarray, sign: float) -> None:
        self.canvas, self.shift, self.sign = canvas, shift, sign

    def __call__(self, points: np.ndarray) -> list[float]:
        return self.canvas.pixels((points + self.shift) * [self.sign, 1])

    def width(self, width: float) -> int:
        return max(1, round(width * self.canvas.scale))
