"""What must be known of a dataset beside its files: its terms, and with whom it shares patients.

Two datasets may hold the same patient, even the same film. Whether a mixture leaks can only be told if identifiers
are compared across those that name patients alike: they stand in one *patient namespace* here. Datasets that took
their films from another one without keeping its names stand in the same *film pool*: there no table tells which films
are the same, so a mixture says what it could not check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CATALOGUE", "Dataset", "dataset"]

_PHYSIONET = "PhysioNet Credentialed Health Data License 1.5.0"
_STANFORD = "Stanford University Dataset Research Use Agreement"
_NIH = "NIH Clinical Center: unrestricted use with attribution"


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset.

    Attributes:
        title: its name as people write it.
        licence: the terms of images and annotations.
        credentialed: text and images must not leave the machine.
        patients: its patient namespace; identifiers are comparable within one.
        pool: the collection that its films come from.
        unique_image_names: a file's name without its folder names one film within the namespace.
        names_patients: whether it says which films are of one patient; else each film counts as a patient.
    """

    title: str
    licence: str
    credentialed: bool
    patients: str
    pool: str
    unique_image_names: bool = False
    names_patients: bool = True


CATALOGUE: Mapping[str, Dataset] = {
    "phantom": Dataset("PhantomCXR", "none needed: synthetic", False, "phantom", "phantom"),
    "mimic_cxr": Dataset("MIMIC-CXR-JPG", _PHYSIONET, True, "mimic", "mimic", True),
    "chest_imagenome": Dataset("Chest ImaGenome", _PHYSIONET, True, "mimic", "mimic", True),
    "ms_cxr": Dataset("MS-CXR", _PHYSIONET, True, "mimic", "mimic", True),
    "chexpert": Dataset("CheXpert", _STANFORD, True, "chexpert", "chexpert"),
    "chexpert_plus": Dataset("CheXpert Plus", _STANFORD, True, "chexpert", "chexpert"),
    "vindr_cxr": Dataset("VinDr-CXR", _PHYSIONET, True, "vindr", "vindr", names_patients=False),
    "padchest_gr": Dataset("PadChest-GR", "BIMCV research use agreement", True, "padchest", "padchest"),
    "nih_chestxray14": Dataset("NIH ChestX-ray14", _NIH, False, "nih", "nih", True),
    "chestx_det": Dataset("ChestX-Det", f"annotations Apache-2.0; images: {_NIH}", False, "nih", "nih", True, False),
    "rsna_pneumonia": Dataset(
        "RSNA Pneumonia Detection Challenge", "research use with attribution to RSNA and NIH", False, "nih", "nih", True
    ),
    "open_i": Dataset("Open-i (Indiana University)", "CC BY-NC-ND 4.0", False, "open_i", "open_i"),
    "tbx11k": Dataset("TBX11K", "CC BY-NC-SA 2.0", False, "tbx11k", "tbx11k", names_patients=False),
}


def dataset(name: str) -> Dataset:
    """What is known of a dataset; one that is not in the catalogue shares nothing, and its licence is unknown."""
    return CATALOGUE.get(name) or Dataset(name, "not in the catalogue", False, name, name)
