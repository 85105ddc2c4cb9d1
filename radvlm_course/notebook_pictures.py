"""Pictures in stored notebooks, as small as they can be without looking different.

A chart with text has a few hundred colours, nearly all of them shades that soften edges; with a palette of 256 its PNG
is a third as large. Where a palette would be seen, the picture stays as it is.
"""

from __future__ import annotations

import io

__all__ = ["smaller_png"]

_MEAN_ERROR, _WORST_ERROR = 0.1, 48  # in steps of 255; the second at a single pixel of a softened edge


def smaller_png(picture: bytes) -> bytes:
    """The same picture with a palette, if that is smaller and looks the same; else the bytes as they are.

    Args:
        picture: a PNG. Transparency is laid on white, as a notebook shows it.

    Raises:
        PIL.UnidentifiedImageError: it is no picture.
    """
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        whole = opened.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    reduced = flat.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    errors = np.abs(np.asarray(reduced.convert("RGB"), dtype=np.int16) - np.asarray(flat, dtype=np.int16))
    if errors.mean() > _MEAN_ERROR or errors.max() > _WORST_ERROR:
        return picture
    written = io.BytesIO()
    reduced.save(written, "PNG", optimize=True)
    return min(picture, written.getvalue(), key=len)
