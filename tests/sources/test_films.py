"""Which file stands for a film, and where its size comes from."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from radvlm_course.phantoms.dicom_files import write_dicom
from radvlm_course.sources import ReadReport
from radvlm_course.sources._films import Film, Films

TABLE = "image,source,width,height,view,remarks\n"


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """``png/`` and ``dicom/``, with film ``a`` of 40 x 30 pixels as DICOM and as a picture of 20 x 15."""
    paths = [tmp_path / "png", tmp_path / "dicom"]
    for path in paths:
        path.mkdir()
    Image.new("L", (20, 15)).save(paths[0] / "a.png")
    write_dicom(paths[1] / "a.dcm", np.tile(np.arange(40, dtype=np.uint8), (30, 1)), view="AP")
    return paths


@pytest.mark.parametrize("check", [True, False])
def test_the_picture_is_loaded_and_the_header_gives_size_and_view(folders: list[Path], check: bool) -> None:
    report = ReadReport()
    expected = Film(folders[0] / "a.png", (40, 30), "AP")
    assert Films(folders, report, check).find("a") == expected
    assert Films(folders, report, check).find("a.png") == expected
    assert Films(folders, report, check).find("a.dcm") == Film(folders[1] / "a.dcm", (40, 30), "AP")
    assert not report.skipped and not report.noted


def test_the_table_of_a_conversion_goes_before_the_header_and_before_what_is_known(folders: list[Path]) -> None:
    (folders[0] / "image_sizes.csv").write_text(TABLE + "a.png,a.dcm,400,300,PA,\nb.png,b.dcm,0,300,,\nc.png\n")
    report = ReadReport()
    found = Films(folders, report, True, {"a": (4, 3)}).find("a")
    assert found == Film(folders[0] / "a.png", (400, 300), "PA")
    assert dict(report.skipped) == {"row without a size in pixels": 1, "row with too few cells": 1}


def test_a_known_size_is_believed_without_a_look_if_nothing_is_checked(folders: list[Path]) -> None:
    for folder in folders:
        for path in folder.iterdir():
            path.write_bytes(b"broken")
    report = ReadReport()
    assert Films(folders, report, False, {"a": (4, 3)}).find("a") == Film(folders[0] / "a.png", (4, 3))
    assert not report.skipped
    assert Films(folders, report, True, {"a": (4, 3)}).find("a") is None
    assert dict(report.skipped) == {"image file that cannot be decoded": 1}


def test_a_picture_alone_says_that_its_size_is_its_own(folders: list[Path]) -> None:
    found = Films(folders[:1], ReadReport(), True).find("a")
    assert found == Film(folders[0] / "a.png", (20, 15), size_is_of_picture=True)


def test_what_is_missing_or_listed_otherwise_is_counted(folders: list[Path]) -> None:
    report = ReadReport()
    Image.new("L", (20, 15)).save(folders[0] / "a.jpg")
    films = Films([*folders, folders[0] / "nowhere"], report, True)
    assert films.find("b.png") is None and films.find("a.tif") is not None
    assert dict(report.skipped) == {"image file not found": 1}
    assert dict(report.noted) == {
        "image listed as .tif found as .jpg": 1,
        "image with several files, one taken": 1,
    }
    assert films.stems() == ["a"] and films.place("a").endswith("a.jpg")


def test_remarks_on_a_film_are_counted(folders: list[Path]) -> None:
    dataset = pydicom.dcmread(folders[1] / "a.dcm")
    dataset.WindowCenter, dataset.WindowWidth = -600, 1600
    dataset.save_as(folders[1] / "b.dcm")
    report = ReadReport()
    assert Films(folders, report, True).find("b") is not None
    (remark,) = report.noted
    assert remark.startswith("window replaced by percentiles")


def test_no_film_at_all_is_false() -> None:
    assert not Films([], ReadReport(), True)


def test_a_conversion_whose_pictures_lie_elsewhere_is_enough_without_a_check(folders: list[Path]) -> None:
    (folders[0] / "image_sizes.csv").write_text(TABLE + "z.png,z.dcm,400,300,PA,\n")
    (folders[0] / "a.png").unlink()
    assert Films(folders[:1], ReadReport(), False).find("z") == Film(folders[0] / "z.png", (400, 300), "PA")
    assert not Films(folders[:1], ReadReport(), True)
