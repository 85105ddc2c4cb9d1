"""Pictures for a general-domain model: shapes of varied size, contrast, edge and texture on varied backgrounds.

Every shape is a polygon (a disc is one of 48 corners, a ring is a disc with a hole), so that one rule draws all and
its box is exact: the extent of its corners. A seed gives the same scene at any size and the same picture at the same
size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from radvlm_course.boxes import Box

__all__ = ["KINDS", "Scene", "Shape", "draw_scene", "sample_scene"]

KINDS = ("disc", "ring", "square", "triangle", "bar", "cross", "star")
TEXTURES = ("flat", "grain", "stripes", "slope")
LARGE = 0.2  # half a diameter, as a share of the picture's side, from which a shape is called large
_SHAPES, _PICTURE = range(2)  # random streams
_FINER = 3  # how much finer than the picture edges are drawn
_CORNERS = {
    "disc": 48,
    "ring": 48,
    "square": 4,
    "triangle": 3,
}


@dataclass(frozen=True)
class Shape:
    """One shape. Lengths and places in unit coordinates of the picture.

    Attributes:
        kind: one of :data:`KINDS`.
        outline: corners (x, y), in order.
        hole: corners of the hole of a ring, else empty.
        radius: from its centre to its farthest corner.
        contrast: added to the background, -1 to 1; above 0 the shape is bright.
        softness: standard deviation of the blur of its edge.
        texture: one of :data:`TEXTURES`.
    """

    kind: str
    outline: tuple[tuple[float, float], ...]
    hole: tuple[tuple[float, float], ...]
    radius: float
    contrast: float
    softness: float
    texture: str

    @property
    def box(self) -> Box:
        """The extent of its corners, which lie inside the picture."""
        xs, ys = zip(*self.outline, strict=True)
        return Box(min(xs), min(ys), max(xs), max(ys))

    @property
    def name(self) -> str:
        """Size, brightness and kind: ``large dark ring``."""
        size = "large" if self.radius >= LARGE else "small"
        return f"{size} {'bright' if self.contrast > 0 else 'dark'} {self.kind}"


@dataclass(frozen=True)
class Scene:
    """What is in a picture: its shapes from left to right, none of which hides much of another."""

    shapes: tuple[Shape, ...]
    seed: int

    def boxes(self) -> dict[str, tuple[Box, ...]]:
        """Kind -> its boxes, kinds in the order of :data:`KINDS`."""
        return {
            kind: tuple(shape.box for shape in self.shapes if shape.kind == kind)
            for kind in KINDS
            if any(shape.kind == kind for shape in self.shapes)
        }


def sample_scene(seed: int, most: int = 3) -> Scene:
    """Draw a scene of 1 to ``most`` shapes; with ``most`` 0, of none."""
    rng = np.random.default_rng([_SHAPES, seed])
    wanted = int(rng.integers(1, most + 1)) if most else 0
    shapes: list[Shape] = []
    for _ in range(20 * wanted):  # a crowded picture keeps fewer
        if len(shapes) == wanted:
            break
        shape = _sample_shape(rng)
        if all(_hidden_share(shape.box, other.box) < 0.1 for other in shapes):
            shapes.append(shape)
    return Scene(tuple(sorted(shapes, key=lambda shape: shape.box)), seed)


def draw_scene(scene: Scene, size: int) -> np.ndarray:
    """The picture of a scene: uint8 array of shape (size, size), 0 black to 255 white."""
    rng = np.random.default_rng([_PICTURE, scene.seed])
    picture = _background(rng, size)
    for shape in scene.shapes:
        picture += shape.contrast * _texture(rng, shape.texture, size) * _cover(shape, size)
    picture += rng.normal(0, rng.uniform(0.005, 0.04), picture.shape)
    return (255 * picture.clip(0, 1)).round().astype(np.uint8)


def _sample_shape(rng: np.random.Generator) -> Shape:
    kind = str(rng.choice(KINDS))
    radius = float(rng.uniform(0.12, 0.28))
    corners = _turned(_corners(kind, rng), float(rng.uniform(0, 2 * np.pi))) * radius
    low, high = 0.01 - corners.min(axis=0), 0.99 - corners.max(axis=0)
    corners = corners + rng.uniform(low, high)
    hole = corners.mean(axis=0) + (corners - corners.mean(axis=0)) * rng.uniform(0.5, 0.75)
    contrast = float(rng.uniform(0.2, 0.5) * rng.choice([-1, 1]))
    softness, texture = float(rng.uniform(0.002, 0.015)), str(rng.choice(TEXTURES))
    return Shape(kind, _points(corners), _points(hole) if kind == "ring" else (), radius, contrast, softness, texture)


def _corners(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Corners around the origin, the farthest at distance 1; shape (corners, 2)."""
    if kind in _CORNERS:
        angles = 2 * np.pi * np.arange(_CORNERS[kind]) / _CORNERS[kind]
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        if kind in ("disc", "ring"):
            corners[:, 1] *= rng.uniform(0.7, 1.0)
        return corners
    if kind == "star":
        angles = np.pi * np.arange(10) / 5
        return np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.where(np.arange(10) % 2, 0.42, 1.0)[:, None]
    half = float(rng.uniform(0.15, 0.3))  # of the width of a bar, or of an arm of a cross
    bar = np.array([(-1, -half), (1, -half), (1, half), (-1, half)])
    cross = [(-1, -half), (-half, -half), (-half, -1), (half, -1), (half, -half), (1, -half)]
    corners = bar if kind == "bar" else np.array([*cross, *((-x, -y) for x, y in cross)])
    return corners / np.hypot(1, half)


def _turned(corners: np.ndarray, angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return corners @ np.array([[cosine, sine], [-sine, cosine]])


def _points(corners: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in corners)


def _hidden_share(first: Box, second: Box) -> float:
    """Of the smaller of two boxes, the share that lies in the other."""
    width = max(0.0, min(first.x2, second.x2) - max(first.x1, second.x1))
    height = max(0.0, min(first.y2, second.y2) - max(first.y1, second.y1))
    return width * height / min(first.area, second.area)


def _cover(shape: Shape, size: int) -> np.ndarray:
    """How much of each pixel a shape covers, 0 to 1, its edge blurred; shape (size, size)."""
    fine = _FINER * size
    mask = Image.new("L", (fine, fine))
    draw = ImageDraw.Draw(mask)
    draw.polygon(_pixels(shape.outline, fine), fill=255)
    if shape.hole:
        draw.polygon(_pixels(shape.hole, fine), fill=0)
    blurred = mask.filter(ImageFilter.GaussianBlur(shape.softness * fine))
    return np.asarray(blurred.resize((size, size), Image.Resampling.BOX), dtype=np.float64) / 255


def _pixels(points: Sequence[tuple[float, float]], size: int) -> list[tuple[float, float]]:
    return [(x * size, y * size) for x, y in points]


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A grey level, a slope in some direction, and clouds."""
    clouds = rng.normal(0, rng.uniform(0.01, 0.08), (int(rng.integers(3, 9)),) * 2)
    smooth = Image.fromarray(clouds.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
    return rng.uniform(0.25, 0.75) + rng.uniform(0, 0.25) * _slope(rng, size) + np.asarray(smooth, dtype=np.float64)


def _texture(rng: np.random.Generator, name: str, size: int) -> np.ndarray | float:
    """What a shape's contrast is multiplied with, around 1; shape (size, size)."""
    if name == "grain":
        return rng.uniform(0.6, 1.4, (size, size))
    if name == "stripes":
        waves = rng.uniform(6, 14)
        return 1 + 0.35 * np.sin(2 * np.pi * waves * _slope(rng, size))
    return 1 + 0.4 * _slope(rng, size) if name == "slope" else 1.0


def _slope(rng: np.random.Generator, size: int) -> np.ndarray:
    """From -0.5 to 0.5 across the picture, in a random direction; shape (size, size)."""
    angle = rng.uniform(0, 2 * np.pi)
    places = (np.arange(size) + 0.5) / size - 0.5
    return (np.cos(angle) * places[None, :] + np.sin(angle) * places[:, None]) / np.sqrt(2)
