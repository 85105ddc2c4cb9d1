"""CheXpert in its layout with known films, and on damaged data."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.instructions.labels import present_findings
from radvlm_course.phantoms.layouts_chexpert import write_chexpert_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError, SourceWarning, get_reader
from radvlm_course.sources.chexpert import read

TABLES = ("train.csv", "valid.csv", "test.csv")
FIRST = "train/patient00001/study1/view1_frontal.jpg"
UNLIKE = "row whose path is not like train/patient00001/study1/view1_frontal.jpg"


@pytest.fixture
def layout(films: list[Study], tmp_path: Path) -> Path:
    write_chexpert_layout(films, tmp_path / "CheXpert-v1.0")
    return tmp_path / "CheXpert-v1.0"


@pytest.fixture(scope="module")
def fuzzed(films: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzzed")
    write_chexpert_layout(films, root)
    return root


def test_films_written_in_the_layout_read_back_the_same(
    films: list[Study], tmp_path: Path, read_all: Callable[..., Any]
) -> None:
    names = write_chexpert_layout(films, tmp_path)
    reading = read_all("chexpert", tmp_path)
    assert set(reading.found) == set(names.values()) and len(names) == 7
    for study in films:
        back = reading.found[names[study.study_id]]
        assert (back.split, back.view, back.report) == (study.split, study.view, "")
        assert back.image_size == (96, 64) and Path(back.image_path).is_file()
    assert not reading.skipped and not reading.noted
    first = reading.found[names["f1"]]
    assert (first.patient_id, first.study_id) == ("patient00001", "patient00001_study1_view1_frontal")
    assert first.image_path == str(tmp_path / FIRST)
    assert first.findings == {"pleural effusion": 1, "lung lesion": 0}
    assert reading.found[names["f4"]].findings == {"edema": -1}
    assert reading.found[names["f6"]].findings == {}


def test_no_finding_and_what_it_says_of_the_others_are_told_apart(layout: Path, open_table: Any) -> None:
    table = open_table(layout / "train.csv")
    table.change(3, "Pneumonia", "-1.0")
    study = list(read(layout, "train"))[2]
    assert study.findings == {"edema": 0, "support devices": 1, "no finding": 1, "pneumonia": -1}
    assert present_findings(study) == ("support devices",)


def test_the_folder_above_and_the_small_release_are_read_too(
    layout: Path, tmp_path: Path, read_all: Callable[..., Any], open_table: Any
) -> None:
    expected = read_all("chexpert", layout).found
    above = read_all("chexpert", tmp_path)
    assert above.found == expected
    small = tmp_path / "other" / "CheXpert-v1.0-small"
    shutil.copytree(layout, small)
    for name in TABLES:
        path = small / name
        text = path.read_text().replace("CheXpert-v1.0/", "CheXpert-v1.0-small/")
        (small / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        path.unlink()
    assert set(read_all("chexpert", small.parent).found) == set(expected)


def test_the_test_labels_of_the_later_release_have_fewer_columns(layout: Path, open_table: Any) -> None:
    table = open_table(layout / "test.csv")
    kept = [
        number for number, name in enumerate(table.rows[0]) if name not in ("Sex", "Age", "Frontal/Lateral", "AP/PA")
    ]
    rows = [[row[number].removeprefix("CheXpert-v1.0/") for number in kept] for row in table.rows]
    table.path.unlink()
    table.path = layout / "test_labels.csv"
    table.save(rows)
    studies = list(read(layout, "test"))
    assert [study.view for study in studies] == ["", ""] and studies[0].findings == {
        "lung lesion": 1,
        "pneumothorax": 0,
    }


def test_only_frontal_films_are_read_if_asked(layout: Path) -> None:
    assert [study.view for study in read(layout, "train", frontal_only=True)] == ["PA", "AP", ""]
    assert [study.view for study in read(layout, "train")] == ["PA", "lateral", "AP", ""]


def test_an_assumed_size_needs_no_image(layout: Path, read_all: Callable[..., Any]) -> None:
    checked = read_all("chexpert", layout)
    shutil.rmtree(layout / "train")
    assumed = read_all("chexpert", layout, check_images=False, assumed_size=(96, 64))
    assert assumed.found == checked.found
    assert read_all("chexpert", layout, check_images=False).skipped == {"image file not found": 4}
    with pytest.raises(SourceError, match=r"assumed_size: expected \(width, height\) in pixels, found \[0, 9\]"):
        read(layout, "train", check_images=False, assumed_size=[0, 9])
    with pytest.raises(SourceError, match="assumed_size: expected check_images=False"):
        read(layout, "train", assumed_size=(96, 64))


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_film_that_cannot_be_decoded_is_counted(layout: Path, content: bytes | None) -> None:
    path = layout / FIRST
    path.write_bytes(path.read_bytes()[:700] if content is None else content)
    with pytest.warns(
        SourceWarning, match=r"3 studies read\nleft out: 1 x image file that cannot be decoded .*patient0"
    ):
        assert len(list(read(layout, "train"))) == 3


@pytest.mark.parametrize(("name", "split"), [("train.csv", "train"), ("valid.csv", "validation"), ("test.csv", "test")])
def test_a_missing_table_is_named_with_where_to_get_it(layout: Path, name: str, split: str) -> None:
    (layout / name).unlink()
    with pytest.raises(SourceError, match=rf"expected {name}.*stanfordmlgroup"):
        read(layout, split)


@pytest.mark.parametrize("column", ["Path", "Pleural Other"])
def test_a_missing_column_is_named(layout: Path, column: str) -> None:
    path = layout / "train.csv"
    path.write_text(path.read_text().replace(column, "other", 1))
    with pytest.raises(SourceError, match=rf"train\.csv: expected the column '{column}', found .*'other'"):
        list(read(layout, "train"))


def test_a_patient_in_two_tables_is_refused(layout: Path, open_table: Any) -> None:
    open_table(layout / "test.csv").change(1, "Path", FIRST.replace("train/", "test/"))
    for split in ("train", "validation", "test"):
        with pytest.raises(SourceError, match=r"test\.csv: expected every patient in one table, found patient00001"):
            read(layout, split)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "train/patient1/study1/view1_frontal.jpg",
        "train/patient00009/study1/view1_oblique.jpg",
        "train/patient00009/view1_frontal.jpg",
        "valid/patient00009/study1/view1_frontal.jpg",
        "train/../patient00009/study1/view1_frontal.jpg",
        "train/patient00009/study1/view1_frontal",
    ],
)
def test_a_path_of_another_form_is_counted(
    layout: Path, read_all: Callable[..., Any], open_table: Any, path: str
) -> None:
    open_table(layout / "train.csv").add(1, Path=path)
    reading = read_all("chexpert", layout, bad_inputs=1)
    assert len(reading.found) == 7 and reading.skipped == {UNLIKE: 1}


def test_damaged_rows_are_counted_by_reason(layout: Path, read_all: Callable[..., Any], open_table: Any) -> None:
    table = open_table(layout / "train.csv")
    table.add(1)
    table.change(1, "Edema", "yes")
    table.change(2, "No Finding", "2.0")
    table.rows.append(["train/patient00009/study1/view1_frontal.jpg", "Female"])
    table.save()
    reading = read_all("chexpert", layout, bad_inputs=4)
    assert len(reading.found) == 7
    assert reading.skipped == {
        "second row of an image": 1,
        "label that is not 1, 0, -1 or blank": 2,
        "row with too few cells": 1,
    }


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_table_every_row_is_delivered_or_counted(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], open_table: Any
) -> None:
    path = fuzzed / data.draw(st.sampled_from(TABLES))
    content = path.read_bytes()
    open_table(path).damage(data)
    try:
        reading = read_all("chexpert", fuzzed, bad_inputs=1, check_images=False)
    except SourceError as error:
        assert "expected every patient in one table" in str(error)
    else:
        left_out = {reason: count for reason, count in reading.skipped.items() if not reason.startswith("label")}
        filled = sum(open_table(fuzzed / name).filled() for name in TABLES)
        assert len(reading.found) + sum(left_out.values()) == filled
    finally:
        path.write_bytes(content)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_are_an_error_that_names_the_file(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], damaged_bytes: Callable[..., bytes]
) -> None:
    path = fuzzed / data.draw(st.sampled_from(TABLES))
    content = path.read_bytes()
    path.write_bytes(damaged_bytes(content, data))
    try:
        read_all("chexpert", fuzzed, bad_inputs=1, check_images=False)
    except SourceError as error:
        assert any(name in str(error) for name in TABLES)
    finally:
        path.write_bytes(content)


def test_it_is_registered_and_refuses_an_unknown_split(layout: Path) -> None:
    assert get_reader("chexpert").read is read
    with pytest.raises(SourceError, match="expected train, validation, test"):
        read(layout, "valid")
