"""Every finding can be seen: its region differs from the same film without it."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest

from radvlm_course.phantoms.anatomy import Grid, Thorax
from radvlm_course.phantoms.film import Film, plan_film
from radvlm_course.phantoms.findings import Case
from radvlm_course.phantoms.rendering import render
from radvlm_course.phantoms.shapes import Lesion, lesion_box, lesion_field

SIZE = 128
# finding -> least mean change in grey levels (of 255) inside its region, with its sign
LEAST_CHANGE = {
    "pleural effusion": 60,
    "pneumothorax": -20,
    "consolidation": 20,
    "nodule": 50,
    "atelectasis": 15,
    "edema": 15,
}


def _pairs(seeds: range) -> Iterator[tuple[Film, Lesion, np.ndarray]]:
    """(film, lesion, picture with it minus picture without it)."""
    for seed in seeds:
        film = plan_film(seed)
        shown = film.picture(SIZE).astype(float)
        for lesion in film.case.lesions:
            if lesion.finding != "cardiomegaly":
                rest = tuple(other for other in film.case.lesions if other is not lesion)
                yield film, lesion, shown - render(Case(film.case.thorax, rest), film.exposure, SIZE)


def test_findings_change_the_brightness_of_their_region() -> None:
    changes: dict[str, list[float]] = defaultdict(list)
    for film, lesion, difference in _pairs(range(40)):
        thorax = film.case.thorax
        grid = Grid(SIZE, thorax.pose)
        inside = lesion_field(lesion, Thorax(thorax.body, thorax.pose, thorax.heart_ratio, grid)) > 0
        if lesion.finding in LEAST_CHANGE:
            changes[lesion.finding].append(float(difference[inside].mean()))
    assert set(changes) == set(LEAST_CHANGE)
    for finding, least in LEAST_CHANGE.items():
        assert min(np.sign(least) * np.array(changes[finding])) >= abs(least), finding


def test_what_a_finding_changes_lies_in_its_box() -> None:
    for film, lesion, difference in _pairs(range(40, 70)):
        box = lesion_box(lesion, film.case.thorax)
        assert box is not None
        changed = np.clip(np.abs(difference) - 12, 0, None)
        rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
        margin = 0.03
        inside = (columns > box.x1 - margin) & (columns < box.x2 + margin)
        inside &= (rows > box.y1 - margin) & (rows < box.y2 + margin)
        if lesion.finding != "pneumothorax":  # the lung that is left grows denser, too
            assert changed[inside].sum() > 0.8 * changed.sum(), lesion


def test_lungs_are_darker_than_heart_and_abdomen_and_the_background_is_black() -> None:
    for seed in range(60):
        film = plan_film(seed)
        if film.case.lesions:
            continue
        picture, thorax = film.picture(256), film.case.thorax
        lung = picture[(thorax.aerated["left"] > 0.03) | (thorax.aerated["right"] > 0.03)].mean()
        heart = picture[thorax.heart > 0.02].mean()
        assert heart > lung + 50
        assert picture[np.abs(thorax.grid.x) > 1.1].size == 0 or picture[np.abs(thorax.grid.x) > 1.1].mean() < 20


@pytest.mark.parametrize("size", [16, 100, 300])
def test_any_size_can_be_drawn(size: int) -> None:
    assert plan_film(4).picture(size).shape == (size, size)
