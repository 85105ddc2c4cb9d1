"""NIH ChestX-ray14 on its real files, on its layout with known films, and on damaged data."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.phantoms.layouts import write_nih_chestxray14_layout
from radvlm_course.records import Study
from radvlm_course.sources import Source, SourceError, SourceWarning
from radvlm_course.sources.nih_chestxray14 import read

SPLITS = ("train", "validation", "test")
ReadAll = Callable[..., Any]


@pytest.fixture
def layout(studies: list[Study], tmp_path: Path) -> Path:
    write_nih_chestxray14_layout(studies, tmp_path / "nih")
    return tmp_path / "nih"


def change_table(path: Path, change: dict[str, str]) -> None:
    text = path.read_text()
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def test_every_real_film_is_read_and_every_real_box_is_accounted_for(real_nih: Path, read_all: ReadAll) -> None:
    reading = read_all("nih_chestxray14", real_nih)
    assert len(reading.found) == 95
    boxes = sum(len(group) for study in reading.found.values() for group in study.abnormalities.values())
    skipped = reading.skipped
    assert boxes == 127
    assert skipped == {
        "box of an image that the entry table does not list": 984 - 127,
        "image file that the entry table does not list": 2,
    }
    assert reading.noted == {"image listed as .png found as .jpg": 95}


def test_real_boxes_are_where_the_annotators_put_them(real_nih: Path, read_all: ReadAll) -> None:
    found = read_all("nih_chestxray14", real_nih).found
    with gzip.open(real_nih / "BBox_List_2017.csv.gz", "rt") as file:
        rows = [row for row in csv.reader(file) if Path(row[0]).stem in found]
    for name, label, x, y, width, height, *_ in rows:
        ours = {"Effusion": "pleural effusion", "Infiltrate": "infiltration"}.get(label, label.lower())
        (box,) = found[Path(name).stem].abnormalities[ours]
        expected = [float(x), float(y), float(x) + float(width), float(y) + float(height)]
        assert [value * 1024 for value in box.to_list()] == pytest.approx(expected)
        assert found[Path(name).stem].findings[ours] == 1


def test_real_splits_share_no_patient(real_nih: Path, read_all: ReadAll) -> None:
    found = read_all("nih_chestxray14", real_nih).found
    splits_of: dict[str, set[str]] = {}
    for study in found.values():
        splits_of.setdefault(study.patient_id, set()).add(study.split)
    assert len(splits_of) == 94
    assert all(len(splits) == 1 for splits in splits_of.values())


def test_boxes_do_not_depend_on_the_size_of_the_image_file(layout: Path, read_all: ReadAll) -> None:
    before = read_all("nih_chestxray14", layout).found
    for path in (layout / "images").iterdir():
        Image.open(path).resize((512, 512)).save(path)
    after = read_all("nih_chestxray14", layout).found
    assert {study.image_size for study in after.values()} == {(512, 512)}
    assert [s.abnormalities for s in before.values()] == [s.abnormalities for s in after.values()]


def test_a_layout_written_from_known_films_reads_back_the_same(
    studies: list[Study], tmp_path: Path, read_all: ReadAll
) -> None:
    names = write_nih_chestxray14_layout(studies, tmp_path / "nih")
    assert names == {"a1": "00000001_000", "a2": "00000001_001", "b1": "00000002_000"}
    reading = read_all("nih_chestxray14", tmp_path / "nih")
    assert reading.skipped == reading.noted == {}
    for study in studies:
        back = reading.found[names[study.study_id]]
        assert Path(back.image_path).read_bytes() == Path(study.image_path).read_bytes()
        assert (back.split == "test") == (study.split == "test") and back.view == "PA"
        kept = {name: boxes for name, boxes in study.abnormalities.items() if name != "support devices"}
        assert set(back.abnormalities) == set(kept)
        for name, boxes in kept.items():
            for ours, theirs in zip(boxes, back.abnormalities[name], strict=True):
                assert ours.to_list() == pytest.approx(theirs.to_list(), abs=1e-12)
        assert {name for name, value in back.findings.items() if value} == set(kept)
    assert sorted(reading.found[names["a2"]].findings.values()) == [0] * 14


def test_labels_that_are_not_listed_are_absent_or_not_mentioned_as_asked(layout: Path, read_all: ReadAll) -> None:
    found = read_all("nih_chestxray14", layout, unlisted_as="not mentioned").found
    assert found["00000001_000"].findings == {"pleural effusion": 1}
    with pytest.raises(SourceError, match="unlisted_as"):
        read(layout, "train", unlisted_as="no")  # type: ignore[arg-type]


def test_a_truncated_film_is_counted_and_the_others_are_read(layout: Path, read_all: ReadAll) -> None:
    path = layout / "images" / "00000001_001.png"
    path.write_bytes(path.read_bytes()[:700])
    reading = read_all("nih_chestxray14", layout, bad_inputs=1)
    assert set(reading.found) == {"00000001_000", "00000002_000"}
    assert reading.skipped == {"image file that cannot be decoded": 1}
    train = reading.reports["train" if reading.reports["train"].skipped else "validation"]
    assert "00000001_001.png" in train.places["image file that cannot be decoded"][0]


def test_what_was_left_out_is_warned_of_at_the_end(layout: Path) -> None:
    (layout / "images" / "00000002_000.png").unlink()
    with pytest.warns(SourceWarning, match=r"0 studies read\nleft out: 1 x image file not found .*00000002_000\.png"):
        list(read(layout, "test"))


def test_a_missing_column_names_column_file_found_and_source(layout: Path) -> None:
    change_table(layout / "Data_Entry_2017.csv", {"Finding Labels": "Labels"})
    with pytest.raises(SourceError, match=r"Data_Entry_2017\.csv: expected the column 'Finding Labels', found .*nihcc"):
        read(layout, "train")


@pytest.mark.parametrize("name", ["Data_Entry_2017.csv", "BBox_List_2017.csv", "test_list.txt"])
def test_a_missing_file_is_named(layout: Path, name: str) -> None:
    (layout / name).unlink()
    with pytest.raises(SourceError, match=name.replace(".", r"\.")):
        read(layout, "train")


def test_a_folder_without_images_is_an_error(layout: Path) -> None:
    for path in (layout / "images").iterdir():
        path.unlink()
    with pytest.raises(SourceError, match="expected images"):
        read(layout, "train")


def test_damaged_boxes_are_counted_and_the_film_is_kept(layout: Path, read_all: ReadAll) -> None:
    with (layout / "BBox_List_2017.csv").open("a") as file:
        file.write("00000002_000.png,Mass,300,300,-40,50\n")  # x2 < x1
        file.write("00000002_000.png,Mass,2000,300,40,50\n")  # outside
        file.write("00000002_000.png,Mass,1000,300,100,50\n")  # partly outside
        file.write("00000002_000.png,Mass,a,300,100,50\n")
        file.write("00000002_000.png,Swelling,10,300,100,50\n")
        file.write("00000002_000.png,Mass,10\n")
    reading = read_all("nih_chestxray14", layout, bad_inputs=6)
    assert len(reading.found) == 3
    (box,) = reading.found["00000002_000"].abnormalities["mass"]
    assert box.to_list() == pytest.approx([1000 / 1024, 300 / 1024, 1.0, 350 / 1024])
    assert reading.skipped == {
        "box with x2 <= x1 or y2 <= y1": 1,
        "box wholly outside the image": 1,
        "box that is not four numbers": 1,
        "box of an unknown finding 'Swelling'": 1,
        "row with too few cells": 1,
    }
    assert reading.noted == {
        "box partly outside the image, cut to it": 1,
        "box of a finding that the label column lacks, taken as present": 1,
    }


def test_malformed_rows_are_counted_by_reason(layout: Path, read_all: ReadAll) -> None:
    with (layout / "Data_Entry_2017.csv").open("a") as file:
        file.write("film.png,Mass,0,7,50,F,PA,1,1,1,1\n")
        file.write("00000001_000.png,Mass,0,1,50,F,PA,1,1,1,1\n")
        file.write("00000001_005.png,Mass,0,9,50,F,PA,1,1,1,1\n")
        file.write("00000009_000.png,Mass,0,9,50,F,PA,1,1,1,1\n")
        file.write("00000001_006.png,Mass\n")
    with (layout / "train_val_list.txt").open("a") as file:
        file.write("00000001_005.png\n")
    reading = read_all("nih_chestxray14", layout, bad_inputs=5)
    assert len(reading.found) == 3
    assert reading.skipped == {
        "row whose image name is not like 00000181_061.png": 1,
        "second row of an image": 1,
        "row whose Patient ID is not the patient in the image name": 1,
        "image in neither official list": 1,
        "row with too few cells": 1,
    }


def test_an_unknown_label_leaves_the_film_out_rather_than_calling_it_normal(layout: Path, read_all: ReadAll) -> None:
    change_table(layout / "Data_Entry_2017.csv", {"00000002_000.png,Nodule": "00000002_000.png,Knoten"})
    reading = read_all("nih_chestxray14", layout, bad_inputs=1)
    assert "00000002_000" not in reading.found
    assert reading.skipped == {"row with an unknown finding label": 1}


def test_official_lists_decide_the_test_split_and_may_not_share_a_patient(layout: Path, read_all: ReadAll) -> None:
    found = read_all("nih_chestxray14", layout).found
    assert found["00000002_000"].split == "test"
    with (layout / "test_list.txt").open("a") as file:
        file.write("00000001_001.png\n")
    with pytest.raises(SourceError, match="patient 00000001 is in both"):
        read(layout, "train")


def test_an_official_list_that_is_no_text_is_an_error_that_names_it(layout: Path) -> None:
    (layout / "test_list.txt").write_bytes(b"00000002_000.png\n\xff\xfe")
    with pytest.raises(SourceError, match=r"test_list\.txt: expected a readable list, found a damaged one .*nihcc"):
        read(layout, "train")


def test_names_of_no_patient_in_both_official_lists_are_no_patient_in_both(layout: Path, read_all: ReadAll) -> None:
    for name in ("train_val_list.txt", "test_list.txt"):
        with (layout / name).open("a") as file:
            file.write("notes.txt\n")
    assert len(read_all("nih_chestxray14", layout, bad_inputs=2).found) == 3


def test_without_official_lists_films_of_a_patient_stay_together(layout: Path, read_all: ReadAll) -> None:
    for name in ("train_val_list.txt", "test_list.txt"):
        (layout / name).unlink()
    for seed in range(12):
        found = read_all("nih_chestxray14", layout, seed=seed).found
        assert len(found) == 3
        assert found["00000001_000"].split == found["00000001_001"].split


def test_images_in_the_numbered_folders_of_the_download_are_found(layout: Path, read_all: ReadAll) -> None:
    (layout / "images_001").mkdir()
    (layout / "images").rename(layout / "images_001" / "images")
    assert len(read_all("nih_chestxray14", layout).found) == 3


def test_an_unknown_split_is_refused(layout: Path) -> None:
    with pytest.raises(SourceError, match="expected train, validation, test"):
        read(layout, "valid")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_tables_and_lists_lose_nothing_in_silence(
    layout: Path, survives_damage: Callable[[str, Path, list[Path], st.DataObject], None], data: st.DataObject
) -> None:
    tables = [*layout.glob("*.csv"), *layout.glob("*.txt")]
    assert len(tables) == 4
    survives_damage("nih_chestxray14", layout, sorted(tables), data)


def test_a_source_keeps_the_report_of_each_split_and_knows_its_data(layout: Path) -> None:
    source = Source("nih_chestxray14", layout)
    assert [len(list(source(split))) for split in SPLITS][2] == 1
    assert source.reports["test"].read == 1
    before = source.fingerprint()
    assert before == Source("nih_chestxray14", layout).fingerprint()
    change_table(layout / "Data_Entry_2017.csv", {"Nodule": "Hernia"})
    assert source.fingerprint() != before
