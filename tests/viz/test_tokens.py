"""Pictures of tokens: films cut without loss, one chip a token, everything inside the canvas."""

import numpy as np
import pytest

from radvlm_course.boxes import Box
from radvlm_course.models.token_budget import film_tokens
from radvlm_course.training.token_view import TokenView, qwen_pieces
from radvlm_course.viz.tokens import draw_film_tokens, draw_token_budget, draw_tokens, exploded

FILM = (np.arange(64 * 64).reshape(64, 64) % 251).astype(np.uint8)


def test_an_exploded_film_holds_every_pixel_and_white_gaps():
    sheet = exploded(FILM, tiles=8, gap=2)
    assert sheet.shape == (64 + 14, 64 + 14)
    assert np.allclose(sheet[:8, :8], FILM[:8, :8] / 255)
    assert (sheet[8:10] == 1).all()
    kept = np.delete(sheet, [n for tile in range(1, 8) for n in (tile * 10 - 2, tile * 10 - 1)], axis=0)
    kept = np.delete(kept, [n for tile in range(1, 8) for n in (tile * 10 - 2, tile * 10 - 1)], axis=1)
    assert np.allclose(kept, FILM / 255)


def test_a_film_that_cannot_be_cut_evenly_is_refused():
    with pytest.raises(ValueError, match="multiples of 7"):
        exploded(FILM, tiles=7)


def test_the_film_becomes_patches_blocks_and_rows(helpers):
    figure = draw_film_tokens(FILM, patch_size=8, tokens=np.random.default_rng(0).normal(size=(16, 32)))
    texts = helpers.texts(figure)
    assert "8 x 8 = 64, each 8 x 8 pixels" in texts
    assert "4 x 4 = 16" in texts
    assert "16 rows of 32 numbers" in texts
    assert helpers.inside(figure)


def test_a_budget_says_tokens_and_pixels(helpers):
    costs = {"512 x 512": film_tokens((2544, 3056), max_pixels=512**2), "no limit": film_tokens((2544, 3056))}
    figure = draw_token_budget(costs, FILM, Box(0.25, 0.25, 0.5, 0.5))
    texts = helpers.texts(figure)
    assert {"238 visual tokens", "7,680 visual tokens", "448 x 544 pixels", "16 x 16 pixels"} <= set(texts)
    assert helpers.inside(figure)
    with pytest.raises(ValueError, match="at least one limit"):
        draw_token_budget({}, FILM, Box(0.25, 0.25, 0.5, 0.5))


def test_visual_tokens_are_drawn_as_one_and_losses_below_their_token(helpers):
    tokens = [
        TokenView("<|vision_start|>", "special", False),
        *[TokenView("<|image_pad|>", "image", False)] * 64,
        TokenView(" 0.", "text", True, 0.01),
        TokenView("3", "text", True, 2.5),
        TokenView("\n", "text", True, 0.0),
    ]
    figure = draw_tokens(tokens, title="an answer")
    texts = helpers.texts(figure)
    assert "<|image_pad|> \u00d7 64" in texts
    assert {"2.50", "0.01", "\u00b70.", "\u21b5"} <= set(texts)
    assert any("guessing one of ten digits (2.30)" in text for text in texts)
    assert helpers.inside(figure)


def test_a_bare_text_needs_no_legend_and_no_token_is_an_error(helpers):
    texts = helpers.texts(draw_tokens(qwen_pieces("[0.38, 0.47, 0.76, 0.62]")))
    assert len(texts) == 24
    with pytest.raises(ValueError, match="at least one token"):
        draw_tokens([])


def test_long_texts_break_into_lines(helpers):
    assert helpers.inside(draw_tokens([TokenView("atelectasis", "text", True, 1.0)] * 60))
