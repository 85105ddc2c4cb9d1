"""A linear probe: it finds what is in the features, and nothing that is not."""

import numpy as np
import pytest
import torch
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.records import Study
from radvlm_course.training.vision_probe import (
    ProbeError,
    _as_maps,
    _ranking,
    average_map,
    probe_vision,
    untrained_twin,
    visual_tokens,
)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Dark films with a bright square somewhere."""
    folder, rng = tmp_path_factory.mktemp("probe"), np.random.default_rng(1)
    made = []
    for index in range(60):
        pixels = rng.integers(0, 40, (64, 64), dtype=np.uint8)
        x, y = (int(value) * 8 for value in rng.integers(0, 7, 2))
        pixels[y : y + 16, x : x + 16] = 230
        path = folder / f"{index}.png"
        Image.fromarray(pixels).save(path)
        box = Box.from_pixels(x, y, x + 16, y + 16, (64, 64))
        made.append(
            Study(str(path), (64, 64), f"p{index}", f"s{index}", "test", "train", abnormalities={"square": (box,)})
        )
    return made


def test_a_bright_square_is_found_and_the_average_map_is_not_sight(loaded, studies):
    probe = probe_vision(loaded, studies[:40], studies[40:], "square")
    blind = average_map(studies[:40], studies[40:], "square", grid=8)
    assert probe.maps.shape == probe.truth.shape == (20, 8, 8)
    assert probe.ranking > 0.9 > blind.ranking
    assert (blind.maps == blind.maps[0]).all()


def test_truth_stands_where_the_box_is(loaded, studies):
    probe = probe_vision(loaded, studies[:10], studies[10:12], "square")
    box = studies[10].abnormalities["square"][0]
    rows, columns = np.nonzero(probe.truth[0])
    assert (columns.min(), rows.min()) == (round(box.x1 * 8), round(box.y1 * 8))
    assert probe.truth[0].sum() == 4


def test_the_twin_has_other_weights_and_is_repeatable(loaded, studies):
    first, second = (visual_tokens(untrained_twin(loaded, seed=1), studies[:2]) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, visual_tokens(loaded, studies[:2]))


def test_blocks_return_to_their_places():
    maps = _as_maps(np.arange(16.0).reshape(1, 4, 4), grid=4)
    assert maps[0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_ranking_by_hand():
    assert _ranking(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])) == 0.75
    assert _ranking(np.zeros(4), np.array([0, 0, 1, 1])) == 0.5


def test_nothing_to_fit_is_an_error(loaded, studies):
    with pytest.raises(ProbeError, match="'circle' covers no patch"):
        probe_vision(loaded, studies[:4], studies[4:8], "circle")
    with pytest.raises(ProbeError, match="at least one film"):
        visual_tokens(loaded, [])
    with pytest.raises(ProbeError, match="at least one film"):
        average_map([], studies, "square", 8)
