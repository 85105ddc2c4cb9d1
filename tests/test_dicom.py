"""DICOM films: every step from stored values to the screen on small files, then on real ones."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from radvlm_course.dicom import REPLACED, DicomError, read_film, read_header
from radvlm_course.images import ImageReadError, load_image

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
RAMP = np.linspace(0, 4095, 64 * 64).round().astype(np.uint16).reshape(64, 64)  # 12 bits
Make = Callable[..., Path]


def dataset(pixels: np.ndarray, bits: int = 12, **elements: Any) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = pixels.dtype.itemsize * 8, bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def table(entries: np.ndarray, first: int, bits: int) -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", [int(value) for value in entries])
    item.ModalityLUTType = "US"
    return [item]


@pytest.fixture
def film(tmp_path: Path) -> Make:
    def write(pixels: np.ndarray, bits: int = 12, compressed: Any = None, **elements: Any) -> Path:
        made = dataset(pixels, bits, **elements)
        if compressed is not None:
            made.compress(compressed, generate_instance_uid=False)
        made.save_as(tmp_path / "film.dcm", enforce_file_format=True)
        return tmp_path / "film.dcm"

    return write


def test_a_window_maps_its_range_to_black_and_white(film: Make) -> None:
    found = read_film(film(RAMP, WindowCenter=2000.5, WindowWidth=3001, ViewPosition="PA"))
    assert found.view == "PA" and found.remarks == () and found.pixels.dtype == np.uint8
    # PS3.3 C.11.2.1.2: centre 2000 and width 3000 once half a step is taken off, so 500 is black and 3500 white.
    for stored, grey in ((100, 0), (500, 0), (1250, 64), (2000, 128), (2750, 191), (3501, 255), (4000, 255)):
        at = np.unravel_index(np.abs(RAMP.astype(int) - stored).argmin(), RAMP.shape)
        assert abs(int(found.pixels[at]) - grey) <= 1, stored


def test_monochrome1_is_the_negative_of_monochrome2(film: Make) -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    positive = read_film(film(RAMP, **window)).pixels.astype(int)
    negative = read_film(film(RAMP, PhotometricInterpretation="MONOCHROME1", **window)).pixels.astype(int)
    assert np.abs(positive + negative - 255).max() <= 1
    assert positive[0, 0] == 0 and negative[0, 0] == 255


def test_a_window_is_in_rescaled_units(film: Make) -> None:
    plain = read_film(film(RAMP, WindowCenter=2048, WindowWidth=2000)).pixels
    rescaled = film(RAMP, WindowCenter=3096, WindowWidth=4000, RescaleSlope=2, RescaleIntercept=-1000)
    assert np.abs(read_film(rescaled).pixels.astype(int) - plain).max() <= 1


def test_signed_values_and_sixteen_bits_use_the_whole_range(film: Make) -> None:
    signed = (RAMP.astype(np.int16) - 2048).astype(np.int16)
    shown = read_film(film(signed, WindowCenter=0, WindowWidth=4096)).pixels
    assert shown[0, 0] == 0 and shown[-1, -1] == 255 and abs(int(shown[32, 0]) - 128) <= 1
    wide = (RAMP.astype(np.uint32) * 16).astype(np.uint16)
    shown = read_film(film(wide, bits=16, WindowCenter=32768, WindowWidth=65536)).pixels
    assert np.abs(shown.astype(int) - RAMP * (255 / 4095)).max() <= 1


def test_modality_and_voi_tables_are_looked_up(film: Make) -> None:
    inverted = np.arange(4095, -1, -1)
    shown = read_film(
        film(RAMP, ModalityLUTSequence=table(inverted, 0, 12), WindowCenter=2048, WindowWidth=4096)
    ).pixels
    assert shown[0, 0] == 255 and shown[-1, -1] == 0
    squares = (np.arange(4096) / 4095) ** 2 * 4095
    shown = read_film(film(RAMP, VOILUTSequence=table(squares, 0, 12))).pixels
    assert np.abs(shown.astype(int) - (RAMP / 4095.0) ** 2 * 255).max() <= 1


def test_a_voi_table_of_8_bits_takes_values_beyond_255(film: Make) -> None:
    shown = read_film(film(RAMP, VOILUTSequence=table(np.arange(4096) // 16, 0, 8))).pixels
    assert np.abs(shown.astype(int) - RAMP // 16).max() <= 1


def test_eight_bits_without_a_window_stay_as_they_are(film: Make) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = read_film(film(pixels, bits=8))
    assert (found.pixels == pixels).all() and found.remarks == ()


def test_without_a_window_the_middle_of_the_histogram_is_spread(film: Make) -> None:
    pixels = RAMP // 4 + 1000  # 1000 to 2023, in 12 bits
    pixels[0, 0] = 4095  # a letter burned in
    found = read_film(film(pixels))
    assert found.remarks == ()
    assert np.percentile(found.pixels, 5) < 15 and np.percentile(found.pixels, 95) > 240


@pytest.mark.parametrize(
    ("window", "problem"),
    [
        ({"WindowCenter": -600, "WindowWidth": 1600}, "black and white"),  # lungs in CT
        ({"WindowCenter": 9000, "WindowWidth": 400}, "black and white"),
        ({"WindowCenter": 2000, "WindowWidth": 4_000_000}, "few grey levels"),
        ({"WindowCenter": 2000, "WindowWidth": 0}, "cannot be applied"),
        ({"WindowCenter": 2000, "WindowWidth": -5}, "cannot be applied"),
        ({"WindowCenter": 2000, "WindowWidth": 2000, "VOILUTFunction": "CUBIC"}, "cannot be applied"),
        ({"VOILUTSequence": table(np.full(4096, 4095), 0, 12)}, "black and white"),
    ],
)
def test_a_nonsensical_window_is_replaced_and_said_so(film: Make, window: dict[str, Any], problem: str) -> None:
    found = read_film(film(RAMP, **window))
    (remark,) = found.remarks
    assert remark.startswith(REPLACED) and problem in remark
    assert np.abs(found.pixels.astype(int) - RAMP * (255 / 4095)).max() <= 3


def test_a_sensible_second_window_is_preferred_to_percentiles(film: Make) -> None:
    found = read_film(film(RAMP, WindowCenter=[-600, 1536], WindowWidth=[1600, 3072]))
    assert found.remarks == ()
    assert found.pixels[24, 0] in (127, 128, 129) and (found.pixels[49:] == 255).all()


def test_padding_is_black_in_either_polarity_and_not_counted_in_the_histogram(film: Make) -> None:
    for polarity in ("MONOCHROME1", "MONOCHROME2"):
        pixels = RAMP // 2 + 1000
        pixels[:40] = 0  # most of the plate
        found = read_film(film(pixels, PhotometricInterpretation=polarity, PixelPaddingValue=0))
        assert (found.pixels[:40] == 0).all() and np.ptp(found.pixels[40:]) > 240


def test_a_film_of_one_value_is_black_and_said_so(film: Make) -> None:
    found = read_film(film(np.full((8, 8), 700, np.uint16)))
    assert (found.pixels == 0).all() and found.remarks == ("every pixel has the same value",)


def test_colour_and_several_frames_are_reduced_and_said_so(film: Make) -> None:
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:4] = (255, 255, 255)
    elements = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    found = read_film(film(colours, bits=8, **elements))
    assert found.remarks == ("colour made grey",)
    assert found.pixels.shape == (8, 8) and (found.pixels[:4] == 255).all() and (found.pixels[4:] == 0).all()
    path = film(RAMP, NumberOfFrames=2, PixelData=RAMP.tobytes() + RAMP[::-1].tobytes())
    assert read_film(path).remarks == ("several frames, the first taken",)
    assert (read_film(path).pixels == read_film(film(RAMP)).pixels).all()


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_lossless_compression_changes_nothing(film: Make, syntax: Any) -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    plain = read_film(film(RAMP, **window)).pixels
    assert (read_film(film(RAMP, compressed=syntax, **window)).pixels == plain).all()


def test_a_lossy_jpeg_2000_film_is_nearly_the_same(tmp_path: Path) -> None:
    made = dataset(RAMP, WindowCenter=2048, WindowWidth=4096)
    made.compress(JPEG2000, j2k_cr=[5], generate_instance_uid=False)
    made.save_as(tmp_path / "lossy.dcm", enforce_file_format=True)
    assert np.abs(read_film(tmp_path / "lossy.dcm").pixels.astype(int) - RAMP * (255 / 4095)).max() <= 8


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_is_read(tmp_path: Path, implicit: bool) -> None:
    made = dataset(RAMP, WindowCenter=2048, WindowWidth=4096)
    del made.file_meta
    made.save_as(tmp_path / "bare", implicit_vr=implicit, little_endian=True)
    assert b"DICM" not in (tmp_path / "bare").read_bytes()
    found = read_film(tmp_path / "bare")
    assert found.remarks == () and found.pixels[0, 0] == 0 and found.pixels[-1, -1] == 255
    assert read_header(tmp_path / "bare") == ((64, 64), "")


@pytest.mark.parametrize(
    ("position", "view"),
    [("PA", "PA"), ("AP", "AP"), ("LL", "lateral"), ("LATERAL", "lateral"), ("", ""), ("RLO", ""), (None, "")],
)
def test_the_view_comes_from_the_header(film: Make, position: str | None, view: str) -> None:
    path = film(RAMP[:, :32].copy(), ViewPosition=position)
    assert read_header(path) == ((32, 64), view)


def test_what_is_no_film_is_refused_by_name(film: Make, tmp_path: Path) -> None:
    path = film(RAMP)
    content = path.read_bytes()
    bare = dataset(RAMP)
    del bare.PixelData
    bare.save_as(tmp_path / "header.dcm", enforce_file_format=True)
    (tmp_path / "text.dcm").write_text("no DICOM at all, although it is long enough to hold a preamble " * 20)
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "cut.dcm").write_bytes(content[:-1000])
    for name, reason in {
        "header.dcm": "header without pixels",
        "text.dcm": "no Rows and Columns",
        "empty.dcm": "no Rows and Columns",
        "cut.dcm": "less than expected",
        "absent.dcm": "No such file",
        ".": "directory",
    }.items():
        with pytest.raises(DicomError, match=f"(?s){name}.*{reason}"):
            read_film(tmp_path / name)
    with pytest.raises(DicomError, match=r"text\.dcm"):
        read_header(tmp_path / "text.dcm")


def test_a_film_of_indexed_colours_is_refused(film: Make) -> None:
    with pytest.raises(DicomError, match="found PALETTE COLOR"):
        read_film(film(RAMP, PhotometricInterpretation="PALETTE COLOR"))


def test_a_missing_decoder_is_named(real_dicom: Path) -> None:
    if find_spec("gdcm") or find_spec("libjpeg"):
        pytest.skip("a decoder of lossless JPEG is installed")
    with pytest.raises(DicomError, match=r"JPEG Lossless.*missing dependencies.*gdcm"):
        read_film(real_dicom / "CR-ModalitySequenceLUT_dental.dcm")


def test_films_can_be_loaded_like_any_picture(film: Make, tmp_path: Path) -> None:
    picture = load_image(film(RAMP, WindowCenter=2048, WindowWidth=4096))
    assert picture.mode == "RGB" and picture.size == (64, 64)
    (tmp_path / "broken.DCM").write_bytes(b"x")
    with pytest.raises(ImageReadError, match=r"broken\.DCM"):
        load_image(tmp_path / "broken.DCM")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_give_a_film_or_a_reason(film: Make, data: st.DataObject) -> None:
    path = film(RAMP[:8, :8].copy(), WindowCenter=2048, WindowWidth=4096, RescaleSlope=1, RescaleIntercept=0)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(128, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        pixels = read_film(path).pixels
    except DicomError as error:
        assert str(path) in str(error)
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 2


# -- real files ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def real_dicom() -> Path:
    folder = SHARED / "dicom"
    if not (folder / "LIDC-IDRI-0005_DX_mono2_14bit_j2k.dcm").is_file():
        pytest.skip(f"needs the real files in {folder}")
    return folder


def test_a_ct_window_on_a_lateral_film_is_replaced(real_dicom: Path) -> None:
    found = read_film(real_dicom / "LIDC-IDRI-0005_DX_mono2_14bit_j2k.dcm")
    assert found.remarks == (f"{REPLACED}: it turns most of the film to one of black and white",)
    assert found.pixels.shape == (2022, 1736)
    assert (found.pixels == 255).mean() < 0.02 and 30 < found.pixels.mean() < 160
    assert found.pixels[:400, :400].mean() < 20  # air beside the shoulder


@pytest.mark.parametrize(
    ("name", "size", "view"),
    [
        ("CR-MONO1-10-chest_nopreamble", (440, 440), "PA"),
        ("RG1_J2KI_mono1_15bit.dcm", (1841, 1955), "PA"),
        ("nih_gcp_DX_mono2_8bit_nodule.dcm", (1024, 1024), ""),
        ("nih_gcp_DX_mono2_8bit_nofinding.dcm", (1024, 1024), ""),
    ],
)
def test_frontal_films_have_dark_lungs_beside_a_bright_spine(
    real_dicom: Path, name: str, size: tuple[int, int], view: str
) -> None:
    found = read_film(real_dicom / name)
    assert found.remarks == () and found.view == view
    assert read_header(real_dicom / name) == (size, view)
    assert found.pixels.shape == size[::-1]
    height, width = found.pixels.shape
    rows = found.pixels[height * 3 // 10 : height // 2].astype(float)
    spine = rows[:, width * 47 // 100 : width * 53 // 100].mean()
    lungs = [rows[:, width * left // 100 : width * right // 100].mean() for left, right in ((22, 35), (65, 78))]
    assert spine > max(lungs) + 15, (spine, lungs)
    assert 0.05 < (found.pixels > 200).mean() < 0.6


def test_the_tag_decides_on_the_polarity(real_dicom: Path) -> None:
    """One film of the RSNA set with another tag: the same pixels, inverted."""
    twin = SHARED / "rsna" / "16d7f894-55d7-4d95-8957-d18987f0e981.dcm"
    if not twin.is_file():
        pytest.skip(f"needs the real file {twin}")
    inverted = read_film(real_dicom / "Fake_MONOHR1.dcm").pixels.astype(int)
    assert np.abs(inverted + read_film(twin).pixels - 255).max() <= 1


def test_both_test_patterns_come_out_the_same(real_dicom: Path) -> None:
    """The SMPTE pattern, stored once behind a Modality LUT and once behind a VOI LUT."""
    first = read_film(real_dicom / "mlut_18_modalitylut.dcm").pixels.astype(float)
    second = read_film(real_dicom / "vlut_04_voilut.dcm").pixels.astype(float)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("name", ["chrJapMulti_CR_mono1_32px.dcm", "pseudophi_CR_no_pixels.dcm"])
def test_real_headers_without_pixels_are_refused(real_dicom: Path, name: str) -> None:
    with pytest.raises(DicomError, match="header without pixels"):
        read_film(real_dicom / name)
