"""From geometry to a picture that passes for a radiograph at a glance.

A chest film shows, at each point, how much the ray was attenuated: roughly the thickness of soft tissue, less the air
of the lungs, plus bone and metal. The renderer adds up such thicknesses (relative units, 1 = soft tissue at the middle
of the chest), then a characteristic curve turns attenuation into grey (white = dense), as a detector and its display
do; noise, collimation and a side marker come last. It works on a grid of at least 256 x 256 pixels and averages
down to the size asked for.

Left out on purpose: scatter, spectra, true volumes. What is learnt here says nothing about patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from radvlm_course.phantoms import skeleton
from radvlm_course.phantoms.anatomy import ANALYSIS_SIZE, BASE, SIDES, Grid, Thorax
from radvlm_course.phantoms.findings import Case
from radvlm_course.phantoms.shapes import Lesion, collapsed_field, device_lines, fluid_field, lesion_field
from radvlm_course.phantoms.skeleton import Canvas, step

__all__ = ["Exposure", "render", "sample_exposure"]


@dataclass(frozen=True)
class Exposure:
    """How the film was exposed and displayed; ``seed`` draws the noise."""

    level: float
    contrast: float
    noise: float
    vignette: float
    collimation: tuple[float, float, float, float]
    marker: str
    seed: int


def sample_exposure(rng: np.random.Generator) -> Exposure:
    """Draw the exposure of one film."""
    edges = np.where(rng.random(4) < 0.22, rng.uniform(0.006, 0.03, 4), 0.0)
    return Exposure(
        level=rng.uniform(0.72, 0.88),
        contrast=rng.uniform(1.25, 1.6),
        noise=rng.uniform(0.005, 0.014),
        vignette=rng.uniform(0.0, 0.25),
        collimation=(float(edges[0]), float(edges[1]), float(edges[2]), float(edges[3])),
        marker=str(rng.choice(["", "L", "R"], p=[0.3, 0.4, 0.3])),
        seed=int(rng.integers(2**31)),
    )


def render(case: Case, exposure: Exposure, size: int) -> np.ndarray:
    """Draw a case.

    Returns:
        uint8 array of shape (size, size), 0 black (no attenuation) to 255 white.
    """
    thorax = case.thorax
    resolution = max(size, ANALYSIS_SIZE)
    if thorax.grid.size != resolution:
        thorax = Thorax(thorax.body, thorax.pose, thorax.heart_ratio, Grid(resolution, thorax.pose))
    rng = np.random.default_rng([exposure.seed, resolution])
    attenuation = _attenuation(thorax, case.lesions, rng)
    film = _develop(attenuation, exposure, thorax.grid, rng)
    picture = Image.fromarray(np.round(film * 255).astype(np.uint8))
    if resolution != size:
        picture = picture.resize((size, size), Image.Resampling.BOX)
    return np.asarray(picture)


def _attenuation(thorax: Thorax, lesions: tuple[Lesion, ...], rng: np.random.Generator) -> np.ndarray:
    total = _soft_tissue(thorax)
    canvas = Canvas(thorax)
    vessels = skeleton.vessels(thorax, canvas)
    mottle = _mottle(thorax.grid.size, rng)
    for side in SIDES:
        air, markings = _lung(thorax, side, vessels, mottle)
        for lesion in lesions:
            if lesion.side == side:
                air, markings = _disease(lesion, thorax, air, markings, mottle)
        total = total - air + markings
    total = total + skeleton.bones(thorax, canvas) * np.clip(6 * total, 0, 1) - _bowel_gas(thorax, rng)
    for lesion in lesions:
        if lesion.finding == "support devices":
            total = total + _device(lesion, thorax, canvas)
    return total


# -- healthy chest -----------------------------------------------------------------------------------------------

_OUTLINE_Y = np.array(
    [-0.9, -0.62, -0.54, -0.46, -0.41, -0.375, -0.345, -0.31, -0.27, -0.22, -0.1, 0.02, 0.15, 0.3, 0.7]
)
_OUTLINE_X = np.array([0.19, 0.17, 0.135, 0.13, 0.145, 0.2, 0.29, 0.39, 0.48, 0.52, 0.5, 0.45, 0.43, 0.43, 0.44])
_DEPTH = np.array([0.75, 0.72, 0.66, 0.64, 0.66, 0.7, 0.73, 0.76, 0.8, 0.86, 0.93, 0.98, 1.02, 1.08, 1.16])


def _soft_tissue(thorax: Thorax) -> np.ndarray:
    """Body outline, heart, abdomen, breasts: everything but air and bone."""
    body, grid = thorax.body, thorax.grid
    lateral = np.abs(grid.x)
    heights = _OUTLINE_Y + body.shoulder * np.clip((_OUTLINE_Y + 0.46) / 0.15, 0, 1)
    edge = np.interp(grid.y, heights, _OUTLINE_X).astype(np.float32)
    edge = edge * np.float32(0.94 + 0.09 * body.thickness)
    depth = np.interp(grid.y, _OUTLINE_Y, _DEPTH).astype(np.float32)
    torso = depth * np.clip(1 - (lateral / edge) ** 2, 0, 1) ** np.float32(0.36)
    arm = np.abs(lateral - 0.5 - (grid.y + 0.2) * np.float32(body.arm_angle)) / np.float32(
        0.075 + 0.02 * body.thickness
    )
    arm = 0.62 * np.sqrt(np.clip(1 - arm * arm, 0, 1)) * step(grid.y + 0.24, 0.08)
    total = np.maximum(torso, arm) + 0.35 * np.minimum(torso, arm)
    total *= np.float32(0.72 + 0.2 * body.thickness)
    heart = np.sqrt(np.clip(thorax.heart / 0.09, 0, 1))
    total += 0.2 * heart + 0.1 * np.sqrt(np.clip(thorax.arch / 0.02, 0, 1))
    total += _abdomen(thorax) + _breasts(thorax)
    fade = np.clip((thorax.carina - thorax.grid.y) / 0.05, 0.3, 1)
    return total - 0.17 * fade * step(thorax.trachea, 0.008) - _bronchi(thorax)


def _abdomen(thorax: Thorax) -> np.ndarray:
    x, y = thorax.grid.x, thorax.grid.y
    middle = np.clip(x / 0.12 + 0.5, 0, 1)
    below = y - (1 - middle) * thorax.diaphragm_at(-x, "right") - middle * thorax.diaphragm_at(x, "left")
    dense = 0.24 * step(below, 0.012) * np.clip((thorax.wall + 0.02 - np.abs(x)) / 0.06, 0, 1)
    body, top = thorax.body, BASE - thorax.dome_height("left")
    bubble = 1 - np.sqrt(((x - 0.16) / 0.075) ** 2 + ((y - top - 0.065) / 0.038) ** 2)
    gas = 0.28 * body.gastric * step(bubble, 0.35) * step(below - 0.012, 0.01)
    return dense - gas


def _bowel_gas(thorax: Thorax, rng: np.random.Generator) -> np.ndarray:
    """Faint gas in the abdomen, well below the hemidiaphragms."""
    clouds = _mottle(thorax.grid.size, rng, ((11, 0.9), (26, 0.5)))
    place = np.clip((thorax.grid.y - 0.36) / 0.1, 0, 1) * np.clip((0.34 - np.abs(thorax.grid.x)) / 0.1, 0, 1)
    return 0.12 * place * np.clip(clouds - 0.5, 0, 1)


def _breasts(thorax: Thorax) -> np.ndarray:
    size = thorax.body.breast
    if size == 0:
        return np.zeros_like(thorax.grid.x)
    u = (np.abs(thorax.grid.x) - 0.215) / (0.14 + 0.04 * size)
    v = (thorax.grid.y - 0.1 - 0.06 * size) / (0.13 + 0.05 * size)
    chord = np.sqrt(np.clip(1 - u * u - np.where(v > 0, np.float32(1.6), np.float32(0.8)) * v * v, 0, 1))
    return np.float32(0.13 * size) * chord


def _bronchi(thorax: Thorax) -> np.ndarray:
    x, y = thorax.grid.x, thorax.grid.y
    drop = y - thorax.carina + 0.01
    center = np.where(x < 0, np.float32(0.75), np.float32(1.05)) * drop
    branch = step(0.011 - np.abs(np.abs(x) - center), 0.008) * step(drop, 0.01) * np.clip(1 - drop / 0.08, 0, 1)
    return 0.09 * branch


def _lung(thorax: Thorax, side: str, vessels: np.ndarray, mottle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Air thickness and vessel markings of one lung, both as attenuation."""
    inside = thorax.aerated[side]
    rim = np.clip(inside / 0.16, 0, 1)
    air = step(inside, 0.009) * (0.4 + 0.14 * np.sqrt(rim * (2 - rim)))
    hidden = step(np.minimum(thorax.lungs[side], -inside + 0.01), 0.02) * 0.05  # lung behind the heart
    air = (air + hidden) * (1 + 0.05 * mottle)
    return air.astype(np.float32), vessels * step(thorax.lungs[side], 0.012) * np.where(inside > 0, 1, np.float32(0.25))


_PARENCHYMA = ((20, 0.6), (52, 0.7), (110, 0.4))


def _mottle(size: int, rng: np.random.Generator, layers: tuple[tuple[int, float], ...] = _PARENCHYMA) -> np.ndarray:
    """Smooth noise of zero mean and about unit variance, shape (size, size).

    Args:
        layers: (cells along a side, weight), coarse to fine.
    """
    total = np.zeros((size, size), dtype=np.float32)
    for cells, weight in layers:
        coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
        total += weight * np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return total


# -- disease -----------------------------------------------------------------------------------------------------


def _disease(
    lesion: Lesion, thorax: Thorax, air: np.ndarray, markings: np.ndarray, mottle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Air and markings of a lung after one lesion."""
    if lesion.finding == "support devices":
        return air, markings
    inside = lesion_field(lesion, thorax)
    if lesion.finding == "pneumothorax":
        return _pneumothorax(lesion, thorax, inside, air, markings)
    if lesion.finding == "pleural effusion":
        fluid = step(fluid_field(lesion, thorax), 0.02)
        return air * (1 - 0.97 * fluid), markings * (1 - fluid) + 0.05 * fluid * step(inside, 0.02)
    if lesion.finding == "nodule":
        radius = lesion.geometry["radius"]
        ball = np.sqrt(np.clip(1 - (1 - np.clip(inside / radius, 0, 1)) ** 2, 0, 1))
        return air * (1 - 0.3 * step(inside, 0.01)), markings + 0.6 * np.maximum(ball, 0.45 * step(inside, 0.012))
    if lesion.finding == "consolidation":
        dense = step(inside + 0.006, 0.03) * np.clip(0.92 + 0.18 * mottle, 0.5, 1.08)
        return air * (1 - 0.8 * dense), markings * (1 - 0.4 * dense)
    if lesion.finding == "atelectasis":
        dense = step(inside + 0.002, 0.014 if lesion.kind == "band" else 0.02) * np.clip(0.95 + 0.12 * mottle, 0.5, 1.1)
        return air * (1 - 0.95 * dense), markings + 0.14 * dense
    haze = step(inside + 0.01, 0.1)
    patches = np.clip(0.9 + 0.3 * mottle, 0.3, 1.5)
    return air * (1 - np.clip(0.58 * haze * patches, 0, 0.8)), markings * (1 + 0.4 * haze)


def _pneumothorax(
    lesion: Lesion, thorax: Thorax, inside: np.ndarray, air: np.ndarray, markings: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """No markings in the pleural air, a visceral pleural line, a denser collapsed lung."""
    pleural = step(inside, 0.008)
    collapsed = collapsed_field(lesion, thorax)
    severity = lesion.geometry["collapse"]
    near = np.clip(1 - np.abs(collapsed) / 0.007, 0, 1) * step(thorax.aerated[lesion.side], 0.004)
    line = near * step(lesion.geometry["low"] - thorax.grid.y, 0.02)
    lung = air * (1 - 0.55 * severity * step(collapsed, 0.01))
    free = np.maximum(air, 0.6 * step(thorax.aerated[lesion.side], 0.009)) * 1.1 + 0.02
    return lung * (1 - pleural) + free * pleural, markings * (1 - pleural) + 0.16 * line


def _device(lesion: Lesion, thorax: Thorax, canvas: Canvas) -> np.ndarray:
    lines = device_lines(lesion)
    if lesion.kind == "chest tube":
        (points, half), *_ = lines
        wall, lumen = canvas.lines([(points, 2 * half)]), canvas.lines([(points, 0.9 * half)])
        return 0.6 * wall - 0.2 * lumen
    (generator, radius), (lead, half) = lines
    angle = lesion.geometry["angle"]
    can = canvas.can(generator.mean(axis=0), radius, angle)
    return np.maximum(1.1 * can, 0.8 * canvas.lines([(lead, 2 * half)]))


# -- film --------------------------------------------------------------------------------------------------------


def _develop(attenuation: np.ndarray, exposure: Exposure, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Characteristic curve, noise, vignetting, collimation and marker; values 0 to 1."""
    scaled = np.maximum(attenuation, 0) / np.float32(exposure.level)
    grey = 1 - np.exp(-(scaled ** np.float32(exposure.contrast)))
    grey = grey + 0.3 * (grey - _blurred(grey, 0.05)) * np.minimum(4 * grey, 1)
    grain = rng.standard_normal(grey.shape, dtype=np.float32)
    grain = grain + np.roll(grain, 1, axis=0) + np.roll(grain, 1, axis=1)  # the detector blurs its quanta
    grey = grey + exposure.noise * (0.35 + 0.65 * grey) * grain * np.float32(np.sqrt(grid.size / 256) / 1.7)
    u, v = grid.image_x - 0.5, grid.image_y - 0.5
    grey = grey * (1 - np.float32(exposure.vignette) * (u * u + v * v))
    grey = np.maximum(grey, _marker(exposure.marker, grid.size))
    left, top, right, bottom = exposure.collimation
    open_field = np.minimum(np.minimum(grid.image_x - left, 1 - right - grid.image_x), grid.image_y - top)
    grey = grey * step(np.minimum(open_field, 1 - bottom - grid.image_y) + 0.003, 0.004)
    return np.clip(grey, 0, 1)


def _blurred(grey: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian blur with a standard deviation of ``radius`` of the image, computed at 64 x 64 pixels."""
    small = Image.fromarray(grey).resize((64, 64), Image.Resampling.BOX)
    values = np.asarray(small)
    half = np.arange(-9, 10)
    kernel = np.exp(-0.5 * (half / (64 * radius)) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    padded = np.pad(values, 9, mode="edge")
    rows = sum(weight * padded[:, 9 + k : 73 + k] for k, weight in zip(half, kernel, strict=True))
    both = sum(weight * rows[9 + k : 73 + k] for k, weight in zip(half, kernel, strict=True))
    return np.asarray(Image.fromarray(both.astype(np.float32)).resize(grey.shape, Image.Resampling.BICUBIC))


def _marker(letter: str, size: int) -> np.ndarray:
    """A lead side marker in the upper corner of its side, drawn as strokes."""
    picture = Image.new("L", (size, size))
    if letter:
        draw = ImageDraw.Draw(picture)
        x, y, w, h = (0.92, 0.045, 0.026, 0.042) if letter == "L" else (0.05, 0.045, 0.026, 0.042)
        if letter == "L":
            strokes = [[(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]]
        else:
            strokes = [[(0, 1), (0, 0), (0.7, 0), (1, 0.22), (0.7, 0.48), (0, 0.48)], [(0.45, 0.48), (1, 1)]]
        for stroke in strokes:
            points = [((x + u * w) * size, (y + v * h) * size) for u, v in stroke]
            draw.line(points, fill=225, width=max(1, round(0.008 * size)))
        picture = picture.filter(ImageFilter.GaussianBlur(size / 900))
    return np.asarray(picture, dtype=np.float32) / 255
