"""Smooth lines through points, for leads, tubes and bones."""

from __future__ import annotations

import numpy as np

__all__ = ["curve", "spline"]


def curve(control: np.ndarray, count: int = 24) -> np.ndarray:
    """Quadratic Bezier curve through three control points, shape (count, 2)."""
    t = np.linspace(0, 1, count)[:, None]
    return (1 - t) ** 2 * control[0] + 2 * t * (1 - t) * control[1] + t * t * control[2]


def spline(points: np.ndarray, count: int = 10) -> np.ndarray:
    """Catmull-Rom curve through all points, shape ((N - 1) * count + 1, 2)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, count, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*parts, points[-1:]])
