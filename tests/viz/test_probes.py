"""Pictures of probes: a row for each tower, a column for each film."""

import numpy as np
import pytest

from radvlm_course.viz.probes import draw_probe

FILM = (np.arange(64 * 64).reshape(64, 64) % 251).astype(np.uint8)


def test_a_probe_has_a_row_for_each_tower(helpers):
    truth = np.zeros((2, 8, 8))
    truth[0, 2:5, 2:5] = 1
    figure = draw_probe([FILM, FILM], truth, {"ours": (np.random.default_rng(0).random((2, 8, 8)), 0.9)})
    assert "ours\n\nranking 0.90" in helpers.texts(figure)
    assert len(figure.axes) == 1 + 4
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="one map for each"):
        draw_probe([FILM], truth, {})
