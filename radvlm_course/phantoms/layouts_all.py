"""The same few phantoms in the layout of every dataset that has a reader: what each can hold, side by side.

::

    folder/nih_chestxray14/    as ``layouts`` writes it
    folder/mimic_cxr/          as ``layouts_mimic`` writes it, with the images of the two below
    folder/chest_imagenome/
    folder/ms_cxr/
    ...

``sources.folders.find_sources`` reads such a folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from radvlm_course.phantoms.layouts import write_chestx_det_layout, write_nih_chestxray14_layout
from radvlm_course.phantoms.layouts_chexpert import write_chexpert_layout, write_chexpert_plus_layout
from radvlm_course.phantoms.layouts_mimic import (
    write_chest_imagenome_layout,
    write_mimic_cxr_layout,
    write_ms_cxr_layout,
)
from radvlm_course.phantoms.layouts_open import (
    write_open_i_layout,
    write_padchest_gr_layout,
    write_rsna_layout,
    write_tbx11k_layout,
    write_vindr_cxr_layout,
)
from radvlm_course.records import Study

__all__ = ["LAYOUTS", "write_all_layouts"]

LAYOUTS: Mapping[str, Callable[[Iterable[Study], Path], dict[str, str]]] = {
    "mimic_cxr": write_mimic_cxr_layout,
    "chexpert": write_chexpert_layout,
    "chexpert_plus": write_chexpert_plus_layout,
    "chest_imagenome": write_chest_imagenome_layout,
    "ms_cxr": write_ms_cxr_layout,
    "vindr_cxr": write_vindr_cxr_layout,
    "padchest_gr": write_padchest_gr_layout,
    "nih_chestxray14": write_nih_chestxray14_layout,
    "chestx_det": write_chestx_det_layout,
    "rsna_pneumonia": write_rsna_layout,
    "open_i": write_open_i_layout,
    "tbx11k": write_tbx11k_layout,
}


def write_all_layouts(studies: Iterable[Study], folder: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Write the studies once in each layout, below ``folder/<dataset>``.

    Args:
        studies: a few dozen at most, their images PNG files: each is written twelve times.
        folder: an empty or new folder.

    Returns:
        dataset -> study id -> its id in that layout, as the reader gives it; studies that a layout cannot hold are
        missing there.
    """
    kept = list(studies)
    return {name: write(kept, Path(folder) / name) for name, write in LAYOUTS.items()}
