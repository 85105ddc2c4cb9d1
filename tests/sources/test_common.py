"""What the readers share: tables, images, boxes and splits as datasets really deliver them."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.sources import ReadReport, SourceError, SourceWarning, get_reader
from radvlm_course.sources._common import (
    ImageError,
    find_table,
    image_size,
    nih_patient,
    read_json,
    read_rows,
    split_of_patient,
    unit_box,
)


def rows_of(path: Path, columns: tuple[str, ...], damaged: list[str] | None = None) -> list[dict[str, str]]:
    places: list[str] = [] if damaged is None else damaged
    return [row for _, row in read_rows(path, columns, "get it there", places.append)]


def test_a_header_with_more_cells_than_the_rows_is_read_by_position(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text("Image Index,Finding Label,Bbox [x,y,w,h],,,\na.png,Mass,1,2,3,4\n")
    assert rows_of(path, ("Bbox [x", "y", "w", "h]")) == [{"Bbox [x": "1", "y": "2", "w": "3", "h]": "4"}]


def test_a_gzipped_table_with_a_byte_order_mark_reads_like_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress("\ufeffa,b\n1,2\n".encode()))
    assert find_table(tmp_path, ("table.csv",), "there") == path
    assert rows_of(path, ("a", "b")) == [{"a": "1", "b": "2"}]


def test_a_missing_column_is_named_with_the_file_what_was_found_and_where_to_get_it(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"table\.csv: expected the column 'c', found 'a', 'b'; get it there"):
        rows_of(path, ("a", "c"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(gzip.compress(b"a,b\n" + b"1,2\n" * 9999)[:60], id="cut-off"),
        pytest.param(b"a,b\n\xff\xfe\x00,2\n", id="binary"),
    ],
)
def test_an_empty_cut_off_or_binary_table_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ("table.csv.gz" if content[:2] == b"\x1f\x8b" else "table.csv")
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"table\.csv"):
        rows_of(path, ("a", "b"))


def test_a_row_with_too_few_cells_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1\n\n3,4\n")
    damaged: list[str] = []
    assert rows_of(path, ("a", "b"), damaged) == [{"a": "3", "b": "4"}]
    assert damaged == ["table.csv, line 2"]


def test_another_spelling_and_an_absent_optional_column_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,rad_ID\n1,R1\n")
    rows = read_rows(path, ("rad_id",), "there", print, optional=("a", "z"), spellings={"rad_ID": "rad_id"})
    assert [row for _, row in rows] == [{"rad_id": "R1", "a": "1", "z": ""}]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[1] 2"])
def test_what_is_not_json_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plain.json").write_bytes(content)
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(content) if content else b"\x1f\x8b")
    for path in tmp_path.iterdir():
        with pytest.raises(SourceError, match=rf"{path.name}: expected a JSON file.*; get it there"):
            read_json(path, "get it there")
    (tmp_path / "good.json.gz").write_bytes(gzip.compress(b"[1]"))
    assert read_json(tmp_path / "good.json.gz", "there") == [1]


def test_a_missing_table_lists_what_the_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "other.csv").touch()
    with pytest.raises(SourceError, match=r"expected table\.csv .* found other\.csv; there"):
        find_table(tmp_path, ("table.csv",), "there")
    with pytest.raises(SourceError, match="expected a folder"):
        find_table(tmp_path / "absent", ("table.csv",), "there")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_is_found_by_decoding_and_only_by_decoding(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    Image.effect_noise((64, 48), 50).save(path)
    assert image_size(path) == (64, 48)
    path.write_bytes(path.read_bytes()[:-200] if suffix == ".jpg" else path.read_bytes()[:900])
    assert image_size(path, decode=False) == (64, 48)
    with pytest.raises(ImageError, match="film"):
        image_size(path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40])
def test_a_file_that_is_no_image_is_an_image_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(content)
    with pytest.raises(ImageError):
        image_size(path)


def test_a_box_partly_outside_is_cut_and_one_wholly_outside_is_left_out_both_counted() -> None:
    report = ReadReport()
    assert unit_box((-10, 20, 50, 60), (100, 200), report, "a") == Box(0.0, 0.1, 0.5, 0.3)
    assert unit_box((100, 20, 150, 60), (100, 200), report, "b") is None
    assert unit_box((50, 20, 40, 60), (100, 200), report, "c") is None
    assert unit_box((10, 20, 10, 60), (100, 200), report, "d") is None
    assert unit_box((10, float("nan"), 20, 60), (100, 200), report, "e") is None
    assert unit_box((10, 20, 20), (100, 200), report, "f") is None
    assert dict(report.noted) == {"box partly outside the image, cut to it": 1}
    assert dict(report.skipped) == {
        "box wholly outside the image": 1,
        "box with x2 <= x1 or y2 <= y1": 2,
        "box that is not four numbers": 2,
    }
    assert report.places["box with x2 <= x1 or y2 <= y1"] == ["c", "d"]


numbers = st.one_of(st.floats(), st.integers(-3000, 3000), st.text(max_size=4), st.none())


@given(st.lists(numbers, min_size=0, max_size=6))
def test_any_four_values_become_a_box_or_are_counted(corners: list[object]) -> None:
    report = ReadReport()
    box = unit_box(corners, (1024, 1024), report, "place")
    assert (box is None) == (sum(report.skipped.values()) == 1)


@pytest.mark.parametrize("corners", [(0, 0, 5e-324, 5), (0, 0, 1e-200, 1e-200), (0, 0, 10**400, 5)])
def test_a_box_beyond_what_floats_can_tell_is_counted(corners: tuple[float, ...]) -> None:
    report = ReadReport()
    assert unit_box(corners, (512, 512), report, "here") is None
    assert sum(report.skipped.values()) == 1


def test_the_split_of_a_patient_is_stable_and_follows_the_fractions() -> None:
    splits = [split_of_patient(f"{number:08d}") for number in range(4000)]
    assert splits == [split_of_patient(f"{number:08d}") for number in range(4000)]
    assert splits.count("train") / 4000 == pytest.approx(0.7, abs=0.03)
    assert splits.count("validation") / 4000 == pytest.approx(0.1, abs=0.02)
    assert [split_of_patient("00000181"), split_of_patient("00000740")] == ["test", "train"]  # fixed for ever
    assert splits != [split_of_patient(f"{number:08d}", seed=1) for number in range(4000)]
    with pytest.raises(SourceError, match="sum to 1"):
        split_of_patient("1", fractions={"train": 0.5, "test": 0.4})


def test_nih_names_give_the_patient_and_other_names_none() -> None:
    assert nih_patient("00000181_061.png") == "00000181"
    assert nih_patient("36199.png") is None


def test_a_report_warns_once_with_every_reason_and_its_first_places() -> None:
    report = ReadReport(read=3)
    for number in range(7):
        report.skip("image file not found", f"{number}.png")
    with pytest.warns(SourceWarning, match=r"7 x image file not found \(first: 0.png, 1.png, 2.png, 3.png, 4.png\)"):
        report.warn("nih, train")
    assert report.to_dict()["skipped"] == {"image file not found": 7}


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SourceError, match="nih_chestxray14"):
        get_reader("mimic")
