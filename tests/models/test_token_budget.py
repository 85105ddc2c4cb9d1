"""The arithmetic of visual tokens, held against the image processor that the models use."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.models.token_budget import QWEN3_VL_MAX_PIXELS, film_tokens, largest_max_pixels

FULL_SIZE = (2544, 3056)


def test_a_full_size_radiograph_is_not_shrunk_by_qwen3_vl():
    found = film_tokens(FULL_SIZE)
    assert found.size == (2560, 3072)  # rounded to whole blocks of 32 pixels
    assert found.grid == (160, 192)
    assert found.patches == 30_720
    assert found.tokens == 7680
    assert found.shrink == pytest.approx(2544 / 2560)


@pytest.mark.parametrize(("max_pixels", "size", "tokens"), [(512**2, (448, 544), 238), (672**2, (608, 736), 437)])
def test_the_papers_limits_by_hand(max_pixels, size, tokens):
    found = film_tokens(FULL_SIZE, max_pixels=max_pixels)
    assert found.size == size
    assert found.tokens == tokens == (size[0] // 32) * (size[1] // 32)


def test_the_tiny_models_film_is_64_tokens():
    found = film_tokens((128, 128), max_pixels=16_384, min_pixels=16_384, patch_size=8)
    assert (found.patches, found.tokens) == (256, 64)


def test_a_small_film_is_enlarged_to_the_lower_limit():
    assert film_tokens((100, 100)).size == (256, 256)


@settings(deadline=None, max_examples=25)
@given(st.integers(64, 300), st.integers(64, 300), st.integers(8, 200).map(lambda n: n * 1024))
def test_agrees_with_the_image_processor(width, height, max_pixels):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    size = {"shortest_edge": 1024, "longest_edge": max_pixels}
    processor = Qwen2VLImageProcessorPil(patch_size=16, temporal_patch_size=2, merge_size=2, size=size)
    film = Image.fromarray(np.zeros((height, width, 3), dtype=np.uint8))
    grid = processor([film], return_tensors="np")["image_grid_thw"][0]
    found = film_tokens((width, height), max_pixels=max_pixels, min_pixels=1024)
    assert (1, found.grid[1], found.grid[0]) == tuple(int(n) for n in grid)
    assert found.tokens == int(grid.prod()) // 4


@settings(deadline=None, max_examples=50)
@given(st.integers(500, 4000), st.integers(500, 4000), st.integers(100, 4000))
def test_the_largest_limit_keeps_the_budget_and_one_more_pixel_does_not(width, height, budget):
    limit = largest_max_pixels((width, height), budget)
    assert film_tokens((width, height), limit, 1024).tokens <= budget
    if limit < QWEN3_VL_MAX_PIXELS:
        assert film_tokens((width, height), limit + 1, 1024).tokens > budget


def test_impossible_requests_are_errors():
    with pytest.raises(ValueError, match="positive sizes"):
        film_tokens((0, 100))
    with pytest.raises(ValueError, match="min_pixels <= max_pixels"):
        film_tokens((100, 100), max_pixels=100)
    with pytest.raises(ValueError, match="raise the budget"):
        largest_max_pixels((100, 10_000), 1)
