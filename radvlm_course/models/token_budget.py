"""How many visual tokens a film costs, before any model is loaded.

Qwen3-VL does not squash films to one size. It resizes each to whole blocks of patches within an upper limit of
pixels, and every block becomes one token of the prompt. Without a limit of ours a full-size radiograph becomes
thousands of tokens; with one that is too low, a small nodule vanishes. This module does the arithmetic with the
image processor's own ``smart_resize``, so that the numbers are those of the real thing.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QWEN3_VL_MAX_PIXELS", "QWEN3_VL_MIN_PIXELS", "FilmTokens", "film_tokens", "largest_max_pixels"]

# What the processors of Qwen/Qwen3-VL-* come with, as areas in pixels.
QWEN3_VL_MIN_PIXELS = 256 * 256
QWEN3_VL_MAX_PIXELS = 4096 * 4096


@dataclass(frozen=True)
class FilmTokens:
    """What becomes of a film.

    Attributes:
        size: (width, height) in pixels after resizing.
        grid: (columns, rows) of patches.
        tokens: visual tokens in the prompt, one for each block of ``merge_size`` x ``merge_size`` patches.
        shrink: width of the original film over the resized one; 2.0 means that two pixels became one.
    """

    size: tuple[int, int]
    grid: tuple[int, int]
    tokens: int
    shrink: float

    @property
    def patches(self) -> int:
        """Patches that the vision tower encodes."""
        return self.grid[0] * self.grid[1]


def film_tokens(
    size: tuple[int, int],
    max_pixels: int = QWEN3_VL_MAX_PIXELS,
    min_pixels: int = QWEN3_VL_MIN_PIXELS,
    patch_size: int = 16,
    merge_size: int = 2,
) -> FilmTokens:
    """The visual tokens of one film; the defaults are Qwen3-VL's.

    Args:
        size: (width, height) of the film in pixels.
        max_pixels, min_pixels: limits of the resized film's area in pixels.
        patch_size: side of a patch in pixels. merge_size: patches along the side of a token.

    Raises:
        ValueError: a size is not positive, the limits are swapped, or one side is over 200 times the other.

    >>> film_tokens((2544, 3056)).tokens
    7680
    """
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    width, height = size
    if min(width, height, patch_size, merge_size) <= 0:
        raise ValueError(f"expected positive sizes, found film {size}, patch {patch_size}, merge {merge_size}")
    if not 0 < min_pixels <= max_pixels:
        raise ValueError(f"expected 0 < min_pixels <= max_pixels, found {min_pixels} and {max_pixels}")
    block = patch_size * merge_size
    new_height, new_width = smart_resize(height, width, block, min_pixels=min_pixels, max_pixels=max_pixels)
    tokens = (new_width // block) * (new_height // block)
    return FilmTokens(
        (new_width, new_height), (new_width // patch_size, new_height // patch_size), tokens, width / new_width
    )


def largest_max_pixels(
    size: tuple[int, int], tokens: int, min_pixels: int = 32 * 32, patch_size: int = 16, merge_size: int = 2
) -> int:
    """The highest ``max_pixels`` under which a film costs at most ``tokens`` visual tokens.

    Args:
        size: (width, height) of the film in pixels.
        tokens: the budget.
        min_pixels, patch_size, merge_size: as in :func:`film_tokens`.

    Raises:
        ValueError: the film needs more tokens than that at any limit.
    """
    low, high = min_pixels, QWEN3_VL_MAX_PIXELS
    if film_tokens(size, low, min_pixels, patch_size, merge_size).tokens > tokens:
        raise ValueError(f"a film of {size} costs more than {tokens} tokens even at {low} pixels: raise the budget")
    while low < high:  # the number of tokens never falls as the limit rises
        middle = (low + high + 1) // 2
        if film_tokens(size, middle, min_pixels, patch_size, merge_size).tokens <= tokens:
            low = middle
        else:
            high = middle - 1
    return low
