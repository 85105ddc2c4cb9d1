"""A film that is not square, a group of rollouts, and a guard that no figure touches global state."""

import matplotlib as mpl
import numpy as np
import pytest

from radvlm_course.boxes import Box
from radvlm_course.runs import Rollout


@pytest.fixture
def wide_film() -> np.ndarray:
    """100 high, 200 wide."""
    return (np.add.outer(np.arange(100), np.arange(200)) % 256).astype(np.uint8)


@pytest.fixture
def truth() -> list[Box]:
    return [Box(0.38, 0.47, 0.76, 0.62)]


def make_group(completions, rewards, advantages, step=3, example_id="example-1"):
    return [
        Rollout(step, example_id, text, {"soft_f1": reward}, reward, advantage)
        for text, reward, advantage in zip(completions, rewards, advantages, strict=True)
    ]


@pytest.fixture
def group():
    return make_group(
        ["At [0.35, 0.51, 0.75, 0.64].", "At [0.10, 0.10, 0.20, 0.20] and [0.5, 0.5, 0.6, 0.6].", "Nothing."],
        [0.596, 0.1, 0.0],
        [1.1, -0.4, -0.7],
    )


@pytest.fixture(autouse=True)
def global_settings_stay():
    before = dict(mpl.rcParams)
    yield
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []
    assert {key for key in before if mpl.rcParams[key] != before[key] and key != "backend"} == set()


def texts_of(figure) -> list[str]:
    """Every text in a figure."""
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def inside(figure) -> bool:
    """Whether all that is drawn, texts above all, lies inside the figure's canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    area = figure.get_tightbbox(canvas.get_renderer())  # inches
    width, height = figure.get_size_inches()
    return area.x0 >= -0.02 and area.y0 >= -0.02 and area.x1 <= width + 0.02 and area.y1 <= height + 0.02


@pytest.fixture
def helpers():
    class Helpers:
        group = staticmethod(make_group)
        texts = staticmethod(texts_of)
        inside = staticmethod(inside)

    return Helpers
