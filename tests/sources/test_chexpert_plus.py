"""CheXpert Plus in its layout with known films, and on damaged data."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.phantoms.layouts_chexpert import write_chexpert_layout, write_chexpert_plus_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError, SourceWarning, get_reader
from radvlm_course.sources.chexpert_plus import read

TABLE, LABELS = "df_chexpert_plus_240401.csv", "chexbert_labels/report_fixed.json"
FIRST = "train/patient00001/study1/view1_frontal"


@pytest.fixture
def layout(films: list[Study], tmp_path: Path) -> Path:
    write_chexpert_plus_layout(films, tmp_path / "plus")
    return tmp_path / "plus"


@pytest.fixture(scope="module")
def fuzzed(films: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzzed")
    write_chexpert_plus_layout(films, root)
    return root


def change_line(layout: Path, number: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Replace one line of the labels."""
    path = layout / LABELS
    lines = path.read_text().splitlines()
    values = change(json.loads(lines[number]))
    lines[number] = values if isinstance(values, str) else json.dumps(values)
    path.write_text("\n".join(lines) + "\n")


def test_films_written_in_the_layout_read_back_the_same(
    films: list[Study], tmp_path: Path, read_all: Callable[..., Any]
) -> None:
    names = write_chexpert_plus_layout(films, tmp_path)
    reading = read_all("chexpert_plus", tmp_path)
    assert set(reading.found) == set(names.values()) and set(names) == {"f1", "f2", "f3", "f4", "f7"}
    for study in films:
        if study.split != "test":
            back = reading.found[names[study.study_id]]
            assert (back.split, back.view, back.report) == (study.split, study.view, study.report)
            assert back.image_size == (96, 64)
            assert Path(back.image_path).read_bytes() == Path(study.image_path).read_bytes()
    assert not reading.skipped and not reading.noted
    assert reading.found[names["f1"]].findings == {"pleural effusion": 1, "lung lesion": 0}
    assert reading.found[names["f4"]].findings == {"edema": -1}
    assert reading.found[names["f1"]].image_path == str(tmp_path / "PNG" / f"{FIRST}.png")


def test_patients_and_studies_are_named_as_in_chexpert(films: list[Study], layout: Path, tmp_path: Path) -> None:
    write_chexpert_layout(films, tmp_path / "chexpert")
    ours = list(read(layout, "train"))
    theirs = list(get_reader("chexpert").read(tmp_path / "chexpert", "train"))
    assert [(s.patient_id, s.study_id) for s in ours] == [(s.patient_id, s.study_id) for s in theirs]
    shared = list(read(layout, "train", images_root=tmp_path / "chexpert", image_suffix=".jpg"))
    assert [study.image_path for study in shared] == [study.image_path for study in theirs]


def test_the_sections_asked_for_are_joined_by_a_space_with_their_capitals(layout: Path, open_table: Any) -> None:
    table = open_table(layout / TABLE)
    table.change(1, "section_findings", "Large heart.\nNo PICC.")
    table.change(1, "section_impression", "Stable.")
    table.change(1, "section_end_of_impression", "Called.")
    assert next(read(layout, "train")).report == "Large heart. No PICC. Stable. Called."
    assert next(read(layout, "train", sections=("impression", "findings"))).report == "Stable. Large heart. No PICC."
    assert next(read(layout, "train", text_from="none")).report == ""
    with pytest.raises(SourceError, match="expected the column 'section_thoughts'"):
        list(read(layout, "train", sections=("thoughts",)))


def test_a_report_without_the_sections_is_counted_and_the_film_is_kept(
    layout: Path, read_all: Callable[..., Any], open_table: Any
) -> None:
    table = open_table(layout / TABLE)
    table.change(1, "section_findings", "")
    reading = read_all("chexpert_plus", layout)
    assert reading.noted == {"film whose report has none of the sections": 1} and len(reading.found) == 5


def test_rewritten_reports_are_named_by_part_patient_and_study(layout: Path, read_all: Callable[..., Any]) -> None:
    folder = layout / "filtered_reports"
    folder.mkdir()
    (folder / "train_patient00001_study1.txt").write_text("Small effusions.\n")
    (folder / "valid_patient00003_study1.txt").write_text("None")
    reading = read_all("chexpert_plus", layout, text_from="filtered")
    assert sorted(study.report for study in reading.found.values()) == ["", "", "", "", "Small effusions."]
    assert reading.noted == {"study without a rewritten report": 3, "rewritten report in which nothing remained": 1}


def test_its_valid_split_is_called_as_asked(layout: Path, read_all: Callable[..., Any]) -> None:
    assert list(read(layout, "test")) == []
    reading = read_all("chexpert_plus", layout, valid_as="test")
    assert [study.study_id for study in reading.found.values() if study.split == "test"] == [
        "patient00003_study1_view1_frontal"
    ]
    assert not reading.reports["validation"].read and not reading.skipped


def test_labels_of_another_part_of_the_report_or_none_are_read_if_asked(layout: Path) -> None:
    lines = [json.loads(line) for line in (layout / LABELS).read_text().splitlines()]
    changed = "".join(json.dumps(line | {"Fracture": 1}) + "\n" for line in lines)
    (layout / "impression_fixed.json.gz").write_bytes(gzip.compress(changed.encode()))
    assert next(read(layout, "train", labels_from="impression")).findings["fracture"] == 1
    assert next(read(layout, "train", labels_from="none")).findings == {}
    with pytest.raises(SourceError, match=r"expected chexbert_labels/findings_fixed\.json .*aimi"):
        read(layout, "train", labels_from="findings")


def test_frontal_films_and_assumed_sizes_are_as_asked(layout: Path) -> None:
    assert [study.view for study in read(layout, "train", frontal_only=True)] == ["PA", "AP", ""]
    shutil.rmtree(layout / "PNG")
    studies = list(read(layout, "train", check_images=False, assumed_size=(10, 20)))
    assert {study.image_size for study in studies} == {(10, 20)} and len(studies) == 4
    with pytest.raises(SourceError, match=r"assumed_size: expected \(width, height\) in pixels, found \[0, 9\]"):
        read(layout, "train", check_images=False, assumed_size=[0, 9])
    with pytest.raises(SourceError, match="assumed_size: expected check_images=False"):
        read(layout, "train", assumed_size=(10, 20))


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_film_that_cannot_be_decoded_is_counted(layout: Path, content: bytes | None) -> None:
    path = layout / "PNG" / f"{FIRST}.png"
    path.write_bytes(path.read_bytes()[:700] if content is None else content)
    with pytest.warns(SourceWarning, match=r"3 studies read\nleft out: 1 x image file that cannot be decoded"):
        list(read(layout, "train"))


@pytest.mark.parametrize("name", [TABLE, LABELS])
def test_a_missing_file_is_named_with_where_to_get_it(layout: Path, name: str) -> None:
    (layout / name).unlink()
    with pytest.raises(SourceError, match=rf"{name}.*https://aimi\.stanford\.edu"):
        read(layout, "train")


@pytest.mark.parametrize("column", ["path_to_image", "split", "section_impression"])
def test_a_missing_column_is_named(layout: Path, column: str) -> None:
    path = layout / TABLE
    path.write_text(path.read_text().replace(column, "other", 1))
    with pytest.raises(SourceError, match=rf"{TABLE}: expected the column '{column}', found .*'other'"):
        list(read(layout, "train"))


@pytest.mark.parametrize("content", [b"", b"[]\n", b"{\n", b"\xff\xfe", b'{"path_to_image": "a"}\n', b"1\nnull\n"])
def test_a_file_without_a_line_of_labels_is_an_error(layout: Path, content: bytes) -> None:
    (layout / LABELS).write_bytes(content)
    with pytest.raises(SourceError, match=r"report_fixed\.json: expected JSON lines with the keys .*Edema"):
        read(layout, "train")


def test_a_cut_off_gzip_file_is_an_error(layout: Path) -> None:
    path = layout / LABELS
    path.with_suffix(".json.gz").write_bytes(gzip.compress(path.read_bytes())[:60])
    path.unlink()
    with pytest.raises(SourceError, match=r"report_fixed\.json\.gz: expected JSON lines, found a damaged file"):
        read(layout, "train")


def test_wrong_options_are_refused(layout: Path) -> None:
    for option, value in (("text_from", "files"), ("labels_from", "all"), ("valid_as", "valid")):
        with pytest.raises(SourceError, match=rf"{option}: expected"):
            read(layout, "train", **{option: value})


def test_a_patient_in_two_splits_is_refused(layout: Path, open_table: Any) -> None:
    open_table(layout / TABLE).change(2, "split", "valid")
    with pytest.raises(SourceError, match=r"expected every patient in one split, found patient00001 in two"):
        list(read(layout, "train"))


def test_damaged_rows_and_lines_are_counted_by_reason(
    layout: Path, read_all: Callable[..., Any], open_table: Any
) -> None:
    table = open_table(layout / TABLE)
    table.add(1)
    table.add(1, path_to_image="train/patient00001.jpg")
    table.add(1, split="dev")
    table.rows.append(["train/patient00009/study1/view1_frontal.jpg"])
    table.save()
    change_line(layout, 0, lambda line: line | {"Edema": "yes", "Fracture": [1], "Pneumonia": True})
    change_line(layout, 1, lambda line: line | {"path_to_image": "film.png"})
    change_line(layout, 2, lambda line: line | {"path_to_image": "train/patient00099/study1/view1_frontal.jpg"})
    change_line(layout, 3, lambda line: {key: line[key] for key in line if key != "Edema"})
    with (layout / LABELS).open("a") as file:
        file.write("{broken\n")
        file.write((layout / LABELS).read_text().splitlines()[0] + "\n")
    reading = read_all("chexpert_plus", layout, bad_inputs=12)
    assert len(reading.found) == 5
    assert reading.skipped == {
        "second row of an image": 1,
        "row whose path is not like train/patient00001/study1/view1_frontal.jpg": 1,
        "row with an unknown split": 1,
        "row with too few cells": 1,
        "label that is not 1, 0, -1 or blank": 3,
        "line of labels whose path is not like train/patient00001/study1/view1_frontal.jpg": 1,
        "line of labels of a film that the table does not list": 1,
        "line of labels that is not an object with a path and 14 labels": 2,
        "second line of labels of an image": 1,
    }
    assert reading.noted == {"film without a line of labels": 3}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_the_table_every_row_is_delivered_or_counted(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], open_table: Any
) -> None:
    path = fuzzed / TABLE
    content = path.read_bytes()
    open_table(path).damage(data)
    try:
        reading = read_all("chexpert_plus", fuzzed, bad_inputs=1, check_images=False)
    except SourceError as error:
        assert "expected every patient in one split" in str(error)
    else:
        left_out = {reason: n for reason, n in reading.skipped.items() if not reason.startswith("line of labels")}
        assert len(reading.found) + sum(left_out.values()) == open_table(path).filled()
    finally:
        path.write_bytes(content)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_are_an_error_that_names_the_file(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], damaged_bytes: Callable[..., bytes]
) -> None:
    path = fuzzed / data.draw(st.sampled_from([TABLE, LABELS]))
    content = path.read_bytes()
    path.write_bytes(damaged_bytes(content, data))
    try:
        read_all("chexpert_plus", fuzzed, bad_inputs=1, check_images=False)
    except SourceError as error:
        assert path.name in str(error)
    finally:
        path.write_bytes(content)


def test_it_is_registered_and_refuses_an_unknown_split(layout: Path) -> None:
    assert get_reader("chexpert_plus").read is read
    with pytest.raises(SourceError, match="expected train, validation, test"):
        read(layout, "valid")
