"""Converting a folder of DICOM films: resumed, in processes, and past files that are broken or kill a process."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from radvlm_course.dicom_conversion import SIZES_COLUMNS, ConversionError, ConversionReport, convert_folder, run_each
from radvlm_course.phantoms.dicom_files import write_dicom

SCRIPT = Path(__file__).resolve().parents[1] / "data_scripts" / "dicom_to_image.py"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ConversionReport]:
    """``films/``: three good films in two folders, one cut short, two of one name, a text file; ``out/``: converted."""
    folder = tmp_path_factory.mktemp("converted")
    root = folder / "films"
    ramp = np.tile(np.arange(0, 240, 3, dtype=np.uint8), (40, 1))  # 80 wide, 40 high
    write_dicom(root / "a.dcm", ramp, view="PA")
    write_dicom(root / "deep" / "b.dicom", ramp, inverted=True)
    write_dicom(root / "deep" / "c", ramp, jpeg=True)
    (root / "cut.dcm").write_bytes((root / "a.dcm").read_bytes()[:900])
    (root / "a.dicom").write_bytes((root / "a.dcm").read_bytes())
    (root / "notes.txt").write_text("no film")
    return folder, convert_folder(root, folder / "out", longest_side=20, progress=False)


@pytest.fixture
def copy(converted: tuple[Path, ConversionReport], tmp_path: Path) -> tuple[Path, Path]:
    """(films, output) of a conversion that a test may change."""
    shutil.copytree(converted[0], tmp_path / "copy")
    return tmp_path / "copy" / "films", tmp_path / "copy" / "out"


def rows(output: Path) -> dict[str, dict[str, str]]:
    with (output / "image_sizes.csv").open(newline="") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


def test_a_folder_becomes_pictures_of_the_same_names_with_their_original_sizes(
    converted: tuple[Path, ConversionReport],
) -> None:
    folder, report = converted
    assert (report.converted, report.done_before, report.no_dicom) == (3, 0, 1)
    assert "less than expected" in report.failed["cut.dcm"]
    assert report.failed["a.dicom"] == "its picture would overwrite that of a.dcm" and len(report.failed) == 2
    found = rows(folder / "out")
    assert {source: row["image"] for source, row in found.items()} == {
        "a.dcm": "a.png",
        "deep/b.dicom": "deep/b.png",
        "deep/c": "deep/c.png",
    }
    assert all((row["width"], row["height"]) == ("80", "40") for row in found.values())
    assert found["a.dcm"]["view"] == "PA"
    pictures = [np.asarray(Image.open(folder / "out" / row["image"]), dtype=int) for row in found.values()]
    assert all(picture.shape == (10, 20) for picture in pictures)  # proportions kept
    assert all(np.abs(picture - pictures[0]).max() <= 4 for picture in pictures)  # MONOCHROME1 turned back, JPEG
    assert "failed: cut.dcm: " in report.summary() and "3 converted" in report.summary()


def test_a_second_run_makes_what_is_missing_and_tries_what_failed(copy: tuple[Path, Path]) -> None:
    films, output = copy
    (output / "a.png").unlink()
    table = output / "image_sizes.csv"
    lines = [line for line in table.read_text().splitlines() if not line.startswith("deep/c")]
    table.write_text("\n".join([*lines, "deep/c.png,dee"]))  # cut short by a kill
    before = (output / "deep" / "b.png").stat().st_mtime_ns
    write_dicom(films / "cut.dcm", np.eye(40, dtype=np.uint8) * 255)  # delivered again
    dataset = pydicom.dcmread(films / "a.dcm")
    dataset.WindowCenter, dataset.WindowWidth = -600, 1600
    dataset.save_as(films / "ct_window.dcm")
    report = convert_folder(films, output, longest_side=20, workers=2, progress=False)
    assert (report.converted, report.done_before, list(report.failed)) == (4, 1, ["a.dicom"])
    assert (output / "deep" / "b.png").stat().st_mtime_ns == before
    assert set(rows(output)) == {"a.dcm", "ct_window.dcm", "cut.dcm", "deep/b.dicom", "deep/c"}
    assert table.read_text().splitlines()[0] == ",".join(SIZES_COLUMNS)
    (remark,) = report.remarks
    assert remark.startswith("window replaced by percentiles") and f"1 x {remark}" in report.summary()
    again = convert_folder(films, output, longest_side=20, progress=False)
    assert (again.converted, again.done_before, again.remarks) == (0, 5, report.remarks)


def test_an_output_inside_the_input_is_not_converted_again(copy: tuple[Path, Path]) -> None:
    films, output = copy
    (films / "cut.dcm").unlink()
    output.rename(films / "png")
    (films / "png" / "stray.dcm").write_bytes(b"")
    report = convert_folder(films, films / "png", longest_side=20, progress=False)
    assert (report.converted, report.done_before, report.no_dicom) == (0, 3, 1)


def test_other_settings_or_a_folder_of_something_else_are_refused(copy: tuple[Path, Path], tmp_path: Path) -> None:
    films, output = copy
    with pytest.raises(ConversionError, match=r"'longest_side': 20.*'longest_side': 512"):
        convert_folder(films, output, longest_side=512, progress=False)
    (output / "conversion.json").unlink()
    with pytest.raises(ConversionError, match=r"image_sizes\.csv but no conversion\.json"):
        convert_folder(films, output, progress=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConversionError, match=r"expected DICOM files in .*empty, found 0 other files"):
        convert_folder(tmp_path / "empty", tmp_path / "out2", progress=False)
    with pytest.raises(ConversionError, match="expected a folder of DICOM files"):
        convert_folder(tmp_path / "absent", tmp_path / "out2", progress=False)
    for wrong in ({"format": "gif"}, {"longest_side": 0}, {"workers": 0}):
        with pytest.raises(ConversionError, match=next(iter(wrong))):
            convert_folder(films, tmp_path / "out2", progress=False, **wrong)


def test_an_item_that_kills_its_process_is_named_and_the_others_are_done() -> None:
    signals = [0, 0, int(signal.SIGKILL), 0, 0, 0]
    found = list(run_each(signal.raise_signal, signals, 2))
    assert sorted(number for number, _ in found) == sorted(signals)
    for number, outcome in found:
        assert outcome == ("its decoder crashed, or ran out of memory" if number else None)


def test_the_command_goes_on_after_a_kill_and_says_what_failed(tmp_path: Path) -> None:
    films, output = tmp_path / "films", tmp_path / "out"
    for number in range(30):
        write_dicom(films / f"{number}.dcm", np.full((500, 500), number, np.uint8))
    (films / "cut.dcm").write_bytes((films / "1.dcm").read_bytes()[:900])
    command = [sys.executable, str(SCRIPT), str(films), str(output), "--quiet", "--format", "jpeg"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    table = output / "image_sizes.csv"
    while process.poll() is None and (not table.exists() or table.read_text().count("\n") < 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=120)  # ends when the last worker has ended
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "failed: cut.dcm: " in done.stdout
    assert len(rows(output)) == 30
    for row in rows(output).values():
        assert Image.open(output / row["image"]).size == (int(row["width"]), int(row["height"]))
    assert json.loads((output / "conversion.json").read_text()) == {"format": "jpeg", "longest_side": None}
    wrong = subprocess.run([*command[:-1], "png"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "choose another" in wrong.stderr


def test_the_real_films_are_converted_or_named(tmp_path: Path) -> None:
    if not (SHARED / "dicom").is_dir():
        pytest.skip(f"needs the real files in {SHARED / 'dicom'}")
    report = convert_folder(SHARED / "dicom", tmp_path / "out", longest_side=256, workers=2, progress=False)
    without_pixels = {name for name, reason in report.failed.items() if "without pixels" in reason}
    assert without_pixels == {"chrJapMulti_CR_mono1_32px.dcm", "pseudophi_CR_no_pixels.dcm"}
    assert report.converted + len(report.failed) == 11
    assert sum(report.remarks.values()) == 1  # the CT window of the lateral film
    assert rows(tmp_path / "out")["LIDC-IDRI-0005_DX_mono2_14bit_j2k.dcm"]["width"] == "1736"
