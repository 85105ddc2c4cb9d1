"""RSNA pneumonia on its real films, on small layouts, and on damaged data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.phantoms.dicom_files import write_dicom
from radvlm_course.phantoms.layouts_open import write_rsna_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError
from radvlm_course.sources.rsna_pneumonia import read

LABELS, DETAILS = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"
MAPPING, FILMS = "pneumonia-challenge-dataset-mappings_2018.json", "stage_2_train_images"
NO_CLASSES = f"film without opacity, taken as normal since there is no {DETAILS}"
ReadAll = Callable[..., Any]
HEADER = "patientId,x,y,width,height,Target"
ROWS = ["a,10,20,30,40,1", "a,60,20,30,40,1", "b,,,,,0", "c,,,,,0"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three films of 100 x 100 pixels: two opacities, another abnormality, normal."""
    (tmp_path / LABELS).write_text("\n".join([HEADER, *ROWS]))
    details = ["patientId,class", "a,Lung Opacity", "a,Lung Opacity", "b,No Lung Opacity / Not Normal", "c,Normal"]
    (tmp_path / DETAILS).write_text("\n".join(details))
    for name in "abc":
        pixels = np.tile(np.arange(100, dtype=np.uint8), (100, 1))
        write_dicom(tmp_path / FILMS / f"{name}.dcm", pixels, view="AP", jpeg=True)
    return tmp_path


def test_the_real_films_and_boxes_are_read(real_data: Path, tmp_path: Path, read_all: ReadAll) -> None:
    (tmp_path / LABELS).symlink_to(real_data / "rsna" / "boxes.csv")
    (tmp_path / FILMS).mkdir()
    for path in (real_data / "rsna").glob("*.dcm"):
        (tmp_path / FILMS / path.name).symlink_to(path)
    reading = read_all("rsna_pneumonia", tmp_path)
    assert dict(reading.skipped) == {"image file that the label table does not list": 1}
    assert dict(reading.noted) == {NO_CLASSES: 2}  # the table of classes is not among the real files
    found = {study.study_id[:4]: study for study in reading.studies}
    assert {name: study.view for name, study in found.items()} == {
        "008c": "PA",
        "009e": "PA",
        "00ae": "AP",
        "012a": "AP",
    }
    assert all(study.image_size == (1024, 1024) for study in reading.studies)
    assert found["00ae"].abnormalities["lung opacity"] == (
        Box(288 / 1024, 322 / 1024, 382 / 1024, 457 / 1024),
        Box(547 / 1024, 299 / 1024, 666 / 1024, 464 / 1024),
    )
    assert found["008c"].findings == {"lung opacity": 0} and not found["008c"].abnormalities


def test_boxes_classes_and_views_are_read(root: Path, read_all: ReadAll) -> None:
    reading = read_all("rsna_pneumonia", root)
    found = reading.found
    assert not reading.counted
    boxes = found["a"].abnormalities["lung opacity"]
    assert [box.to_list() for box in boxes] == [
        pytest.approx([0.1, 0.2, 0.4, 0.6]),
        pytest.approx([0.6, 0.2, 0.9, 0.6]),
    ]
    assert found["a"].findings == {"lung opacity": 1}
    assert found["b"].findings == {"lung opacity": 0, "other abnormality": 1}
    assert found["c"].findings == {"lung opacity": 0, "other abnormality": 0}
    assert {study.view for study in reading.studies} == {"AP"}


def test_without_the_table_of_classes_every_film_that_may_be_abnormal_is_counted(root: Path, read_all: ReadAll) -> None:
    (root / DETAILS).unlink()
    reading = read_all("rsna_pneumonia", root)
    assert {name: study.findings for name, study in reading.found.items()} == {
        "a": {"lung opacity": 1},
        "b": {"lung opacity": 0},
        "c": {"lung opacity": 0},
    }
    assert dict(reading.counted) == {NO_CLASSES: 2}


def test_the_mapping_gives_the_real_patient(root: Path, read_all: ReadAll) -> None:
    names = {"a": "00000001_000.png", "b": "00000001_001.png", "c": "00000002_000.png"}
    entries = [{"subset_img_id": ours, "img_id": nih, "orig_labels": []} for ours, nih in names.items()]
    (root / MAPPING).write_text(json.dumps(entries))
    reading = read_all("rsna_pneumonia", root)
    assert {name: study.patient_id for name, study in reading.found.items()} == {
        "a": "00000001",
        "b": "00000001",
        "c": "00000002",
    }
    for broken in ([*entries, {"img_id": "x"}], [*entries, "x"], [{"subset_img_id": "a", "img_id": "x.png"}], [], {}):
        (root / MAPPING).write_text(json.dumps(broken))
        with pytest.raises(SourceError, match="mappings_2018"):
            read(root, "train")


def test_many_patients_are_shared_out_as_asked_and_never_twice(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(400)]
    (tmp_path / LABELS).write_text("\n".join([HEADER, *(f"{name},,,,,0" for name in names)]))
    (tmp_path / DETAILS).write_text("\n".join(["patientId,class", *(f"{name},Normal" for name in names)]))
    (tmp_path / FILMS).mkdir()
    for name in names:
        (tmp_path / FILMS / f"{name}.dcm").touch()
    splits = {
        split: {study.patient_id for study in read(tmp_path, split, check_images=False)}
        for split in ("train", "validation", "test")
    }
    assert sum(map(len, splits.values())) == 400 == len(set.union(*splits.values()))
    assert 240 < len(splits["train"]) < 320 and 20 < len(splits["validation"]) < 65 and 55 < len(splits["test"]) < 110
    moved = {study.patient_id for study in read(tmp_path, "test", seed=1, check_images=False)}
    assert moved != splits["test"]


def test_without_checking_no_film_is_opened(root: Path) -> None:
    for path in (root / FILMS).iterdir():
        path.write_bytes(b"")
    studies = [study for split in ("train", "validation", "test") for study in read(root, split, check_images=False)]
    assert len(studies) == 3 and {study.image_size for study in studies} == {(1024, 1024)}


def test_a_converted_film_keeps_size_and_view(root: Path, read_all: ReadAll) -> None:
    pictures = root / f"{FILMS}_png"
    pictures.mkdir()
    for name in "abc":
        Image.new("L", (10, 10), 50).save(pictures / f"{name}.png")
    lines = ["image,source,width,height,view,remarks", *(f"{name}.png,{name}.dcm,100,100,PA," for name in "abc")]
    (pictures / "image_sizes.csv").write_text("\n".join(lines))
    reading = read_all("rsna_pneumonia", root)
    first = reading.found["a"]
    assert first.image_path.endswith("a.png") and (first.view, first.image_size) == ("PA", (100, 100))
    assert first.abnormalities["lung opacity"][0].to_list() == pytest.approx([0.1, 0.2, 0.4, 0.6])


BAD_ROWS = {
    "a,1,2,3,4": "row with too few cells",
    ",1,2,3,4,1": "row without patientId",
    "a,1,2,3,4,2": "row whose Target is neither 0 nor 1",
    "a,1,2,3,4,": "row whose Target is neither 0 nor 1",
    "a,,,,,1": "box that is not four numbers",
    "a,x,2,3,4,1": "box that is not four numbers",
    "a,nan,2,3,4,1": "box that is not four numbers",
    "a,1,2,0,4,1": "box with x2 <= x1 or y2 <= y1",
    "a,1,2,-3,4,1": "box with x2 <= x1 or y2 <= y1",
    "a,200,2,3,4,1": "box wholly outside the image",
    "a,90,2,30,4,1": "box partly outside the image, cut to it",
    "a,,,,,0": "film with rows of Target 0 and of Target 1, taken as 1",
    "b,1,2,3,4,0": "box in a row with Target 0",
    "gone,,,,,0": "image file not found",
    "cut,,,,,0": "image file that cannot be decoded",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_bad_row_is_counted_and_the_rest_read(root: Path, read_all: ReadAll, row: str) -> None:
    if row.startswith("cut"):
        (root / FILMS / "cut.dcm").write_bytes((root / FILMS / "a.dcm").read_bytes()[:-300])
    (root / LABELS).write_text("\n".join([HEADER, *ROWS, row]))
    reading = read_all("rsna_pneumonia", root, bad_inputs=1)
    assert reading.counted == {BAD_ROWS[row]: 1}
    assert set(reading.found) == {"a", "b", "c"}
    assert reading.found["a"].findings["lung opacity"] == 1


def test_a_film_of_bad_rows_only_is_counted(root: Path, read_all: ReadAll) -> None:
    (root / LABELS).write_text("\n".join([HEADER, *ROWS[:3], "c,,,,,?"]))
    reading = read_all("rsna_pneumonia", root)
    assert dict(reading.skipped) == {"film without a usable row": 1, "row whose Target is neither 0 nor 1": 1}
    assert set(reading.found) == {"a", "b"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("c,Lung Opacity", "class and Target disagree, Target taken"),
        ("a,Normal", "class and Target disagree, Target taken"),
        ("c,Something", "film of an unknown class"),
        ("c", "row with too few cells"),
    ],
)
def test_classes_that_say_something_else_are_counted(root: Path, read_all: ReadAll, line: str, reason: str) -> None:
    path = root / DETAILS
    path.write_text("\n".join([*(old for old in path.read_text().split("\n") if old[0] != line[0]), line]))
    reading = read_all("rsna_pneumonia", root, bad_inputs=1)
    counted = reading.counted
    assert counted.pop(reason) == 1 and len(reading.found) == 3
    assert counted in ({}, {"film of an unknown class": 1})  # a class row that was cut short leaves its film without


def test_what_is_missing_is_named(root: Path) -> None:
    (root / LABELS).write_text("\n".join([HEADER.replace("Target", "target"), *ROWS]))
    with pytest.raises(SourceError, match=r"stage_2_train_labels\.csv: expected the column 'Target'.*kaggle"):
        read(root, "train")
    (root / LABELS).unlink()
    with pytest.raises(SourceError, match=r"expected stage_2_train_labels\.csv"):
        read(root, "train")
    (root / LABELS).write_text("\n".join([HEADER, *ROWS]))
    for path in (root / FILMS).iterdir():
        path.unlink()
    with pytest.raises(SourceError, match=r"expected DICOM films in .*stage_2_train_images"):
        read(root, "train")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_tables_lose_nothing_in_silence(
    studies: list[Study],
    tmp_path: Path,
    survives_damage: Callable[[str, Path, list[Path], st.DataObject], None],
    data: st.DataObject,
) -> None:
    root = tmp_path / "rsna"
    if not root.exists():
        write_rsna_layout(studies, root)
    survives_damage("rsna_pneumonia", root, [root / LABELS, root / DETAILS, root / MAPPING], data)
