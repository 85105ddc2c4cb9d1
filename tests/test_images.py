import numpy as np
import pytest
from PIL import Image

from radvlm_course.images import ImageReadError, load_image


def test_a_grey_film_is_read_as_rgb(tmp_path):
    Image.fromarray(np.full((4, 6), 77, dtype=np.uint8)).save(tmp_path / "film.png")
    image = load_image(tmp_path / "film.png")
    assert (image.mode, image.size, image.getpixel((5, 3))) == ("RGB", (6, 4), (77, 77, 77))


@pytest.mark.parametrize("keep", [0, 10, 60, 200])
def test_a_truncated_png_is_refused_naming_the_file(tmp_path, keep):
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(whole)
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(ImageReadError, match=r"cut\.png"):
        load_image(cut)


def test_a_missing_film_is_refused_naming_the_file(tmp_path):
    with pytest.raises(ImageReadError, match=r"gone\.png"):
        load_image(tmp_path / "gone.png")


def test_a_16_bit_film_is_stretched_not_clipped_to_white(tmp_path):
    Image.fromarray(np.array([[1000, 2000], [3000, 5000]], dtype=np.uint16)).save(tmp_path / "deep.png")
    grey = [load_image(tmp_path / "deep.png").getpixel(place)[0] for place in [(0, 0), (1, 0), (0, 1), (1, 1)]]
    assert grey == [0, 63, 127, 255]
