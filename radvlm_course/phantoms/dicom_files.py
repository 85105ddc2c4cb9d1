"""A picture as a DICOM file, as a hospital would have sent it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["write_dicom"]


def write_dicom(path: Path, pixels: np.ndarray, *, view: str = "", inverted: bool = False, jpeg: bool = False) -> None:
    """A computed radiograph: 12 bits with a window, or 8 bits in JPEG.

    Args:
        pixels: uint8 array of shape (height, width).
        inverted: write it as ``MONOCHROME1``, whose low values are white.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    dataset.PatientID = path.stem
    dataset.Modality, dataset.ViewPosition = "CR", view
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    if jpeg:
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        stream = io.BytesIO()
        Image.fromarray(255 - pixels if inverted else pixels).save(stream, format="JPEG", quality=95)
        dataset.PixelData = encapsulate([stream.getvalue()])
    else:
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
        values = pixels.astype(np.uint16) * 16
        dataset.PixelData = (4095 - values if inverted else values).astype("<u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
