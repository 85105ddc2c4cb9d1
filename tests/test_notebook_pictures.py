"""Stored pictures get smaller where nobody sees it, and stay as they are where one would."""

import io

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from radvlm_course.notebook_pictures import smaller_png
from radvlm_course.viz import style


def chart() -> bytes:
    figure = style.new_figure(4, 3)
    axes = figure.add_subplot()
    axes.plot([0, 1, 3], color=style.SERIES[0])
    axes.plot([3, 1, 0], color=style.SERIES[1])
    axes.set_title("Some words")
    return style.to_png(figure)


def pixels(picture: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(picture)) as opened:
        return np.asarray(opened.convert("RGB"), dtype=int)


def test_a_chart_becomes_smaller_and_looks_the_same():
    before = chart()
    after = smaller_png(before)
    assert len(after) < 0.7 * len(before)
    assert np.abs(pixels(after) - pixels(before)).mean() < 0.1
    assert smaller_png(before) == after


def test_a_picture_of_many_colours_stays_as_it_is():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    written = io.BytesIO()
    Image.fromarray(noise).save(written, "PNG")
    assert smaller_png(written.getvalue()) == written.getvalue()


def test_what_is_transparent_becomes_white():
    written = io.BytesIO()
    Image.fromarray(np.zeros((200, 200, 4), dtype=np.uint8)).save(written, "PNG", compress_level=0)
    after = smaller_png(written.getvalue())
    assert len(after) < len(written.getvalue())
    assert (pixels(after) == 255).all()


def test_what_is_no_picture_is_an_error():
    with pytest.raises(UnidentifiedImageError):
        smaller_png(b"text")
