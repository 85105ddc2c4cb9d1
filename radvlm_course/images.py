"""Reading films from disk: one loader, with errors that name the file."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from radvlm_course.dicom import DICOM_SUFFIXES, read_film

__all__ = ["ImageReadError", "load_image"]


class ImageReadError(OSError):
    """A film that cannot be read, naming its path."""


def load_image(path: str | os.PathLike[str]) -> Image.Image:
    """A film as an RGB picture of 8 bits, fully decoded; 16-bit films are stretched from darkest to brightest.

    DICOM films are shown as ``dicom.read_film`` does. That takes up to seconds a film: to train on them, convert them
    once with ``data_scripts/dicom_to_image.py``.

    Raises:
        ImageReadError: the file is missing, truncated or no image.
    """
    try:
        if str(path).lower().endswith(DICOM_SUFFIXES):
            return Image.fromarray(read_film(path).pixels).convert("RGB")
        with Image.open(path) as image:
            if image.mode.startswith("I"):  # 16 bits a pixel: Pillow would clip all above 255 to white
                pixels = np.asarray(image, dtype=np.float64)
                low, span = pixels.min(), max(float(np.ptp(pixels)), 1.0)
                return Image.fromarray(((pixels - low) * (255 / span)).astype(np.uint8)).convert("RGB")
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageReadError(f"expected a readable image at {path}, found: {error}") from error
