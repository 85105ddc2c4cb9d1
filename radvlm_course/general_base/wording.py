"""What is said of a scene: its caption, and the thought before an answer.

Left and right are the picture's own, as people say it of pictures. (Of a radiograph, the left of the image is the
patient's right; a general model has to unlearn that.) Nothing in a thought quotes a box.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from radvlm_course.boxes import Box
from radvlm_course.general_base.shapes import Scene

__all__ = ["DESCRIBE", "caption", "place", "thought"]

DESCRIBE = "Describe the picture."
_ROWS, _COLUMNS = ("upper", "", "lower"), ("left", "", "right")


def place(box: Box) -> str:
    """Where the centre of a box lies, in thirds of the picture: ``upper left``, ``top``, ``center``, ...

    >>> place(Box(0.0, 0.0, 0.2, 0.2)), place(Box(0.4, 0.8, 0.6, 0.9))
    ('upper left', 'bottom')
    """
    x, y = box.center
    row, column = _ROWS[min(int(3 * y), 2)], _COLUMNS[min(int(3 * x), 2)]
    if not column:
        return {"upper": "top", "": "center", "lower": "bottom"}[row]
    return f"{row} {column}".strip()


def caption(scene: Scene) -> str:
    """One short sentence a shape, from left to right.

    Raises:
        ValueError: the scene has no shape.
    """
    if not scene.shapes:
        raise ValueError(f"expected a scene with a shape, found none (seed {scene.seed})")
    return " ".join(f"{shape.name.capitalize()} at the {place(shape.box)}." for shape in scene.shapes)


def thought(scene: Scene, kind: str = "", seed: int = 0) -> str:
    """The thought before an answer, without tags: what is in the left half, what is in the right, what follows.

    Args:
        kind: the kind of shape that is asked for; empty for a caption, or for a text about no picture.
        seed: draws the wording, together with the scene's own seed.

    Raises:
        ValueError: the scene has no shape of this kind.
    """
    rng = random.Random(f"{seed} {scene.seed} {kind}")
    wording = rng.choice(("{half} half: {seen}.", "In the {lower} half I see {seen}."))
    halves = {"Left": [], "Right": []}  # type: dict[str, list[str]]
    for shape in scene.shapes:
        halves["Left" if shape.box.center[0] < 0.5 else "Right"].append(f"a {shape.name}")
    looked = [
        wording.format(half=half, lower=half.lower(), seen=_listed(seen) if seen else "nothing")
        for half, seen in halves.items()
    ]
    return " ".join([*looked, _conclusion(scene, kind)])


def _conclusion(scene: Scene, kind: str) -> str:
    if not kind:
        count = len(scene.shapes)
        return f"That makes {count} shape{'s' if count != 1 else ''}."
    middles = [f"{x:.1f}, {y:.1f}" for x, y in (box.center for box in scene.boxes().get(kind, ()))]
    if not middles:
        raise ValueError(f"expected a scene with a {kind}, found {', '.join(scene.boxes()) or 'no shape'}")
    return f"So the {kind} is near {_listed(middles)}."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
