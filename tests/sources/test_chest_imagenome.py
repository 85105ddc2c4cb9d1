"""Chest ImaGenome in its layout with known films, and on damaged data."""

import gzip
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.phantoms.layouts_mimic import write_chest_imagenome_layout, write_mimic_cxr_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError, SourceWarning, get_reader
from radvlm_course.sources.chest_imagenome import REGIONS, read

SPLITS = ("train.csv", "valid.csv", "test.csv")
METADATA = "mimic-cxr-2.0.0-metadata.csv"
FEW = "scene graph with fewer than 29 usable regions"


@pytest.fixture
def layout(films: list[Study], tmp_path: Path) -> Path:
    """Both datasets in one folder, so that ``mimic_root`` need not be given."""
    write_mimic_cxr_layout(films, tmp_path / "data")
    write_chest_imagenome_layout(films, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def fuzzed(films: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzzed")
    write_mimic_cxr_layout(films, root)
    write_chest_imagenome_layout(films, root)
    return root


def graph_of(layout: Path, number: int = 0, split: str = "train") -> Path:
    """The scene graph of a film of a split table."""
    row = (layout / "silver_dataset" / "splits" / f"{split}.csv").read_text().splitlines()[1 + number].split(",")
    return layout / "silver_dataset" / "scene_graph" / f"{row[3]}_SceneGraph.json"


def write_objects(path: Path, objects: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"objects": objects}))


def region(name: Any, *corners: Any) -> dict[str, Any]:
    keys = ("original_x1", "original_y1", "original_x2", "original_y2")
    return {"bbox_name": name, "x1": 1, "y1": 2, "x2": 3, "y2": 4} | dict(zip(keys, corners, strict=True))


def test_there_are_29_regions_9_of_them_on_both_sides() -> None:
    assert len(set(REGIONS)) == 29
    assert sum(name.startswith("left ") for name in REGIONS) == sum(name.startswith("right ") for name in REGIONS) - 1
    assert "right atrium" in REGIONS and "left atrium" not in REGIONS


def test_films_written_in_the_layout_read_back_the_same(
    films: list[Study], tmp_path: Path, read_all: Callable[..., Any]
) -> None:
    write_mimic_cxr_layout(films, tmp_path / "mimic")
    names = write_chest_imagenome_layout(films, tmp_path / "genome")
    reading = read_all("chest_imagenome", tmp_path / "genome", mimic_root=tmp_path / "mimic")
    assert set(reading.found) == set(names.values()) and set(names) == {"f1", "f3", "f4", "f5", "f6", "f7"}
    for study in films:
        if study.view != "lateral":
            back = reading.found[names[study.study_id]]
            assert (back.split, back.view, back.image_size) == (study.split, study.view, (96, 64))
            assert set(back.structures) == {"cardiac silhouette", "right lung"}
            (heart,), (lung,) = back.structures["cardiac silhouette"], back.structures["right lung"]
            assert heart.to_list() == pytest.approx([0.375, 0.5, 0.75, 0.875])  # whole pixels of 96 x 64
            assert lung.to_list() == pytest.approx([0.125, 0.125, 0.5, 0.875])
    assert not reading.skipped and reading.noted == {FEW: 6}


def test_films_patients_and_studies_are_named_as_in_mimic_cxr(layout: Path, read_all: Callable[..., Any]) -> None:
    mimic, genome = (read_all(name, layout).found for name in ("mimic_cxr", "chest_imagenome"))
    assert set(genome) < set(mimic)
    for name, study in genome.items():
        other = mimic[name]
        assert (study.patient_id, study.image_path, study.image_size) == (
            other.patient_id,
            other.image_path,
            other.image_size,
        )


def test_boxes_are_read_in_pixels_of_the_original_whatever_the_size_of_the_file(
    layout: Path, read_all: Callable[..., Any]
) -> None:
    before = read_all("chest_imagenome", layout)
    for path in layout.glob("files/*/*/*/*.jpg"):
        Image.open(path).resize((48, 48)).save(path)
    after = read_all("chest_imagenome", layout)
    assert after.found == before.found and after.noted["image file of another size than the original"] == 6


def test_its_own_splits_are_honoured_and_the_leak_shows_in_the_names(
    films: list[Study], tmp_path: Path, read_all: Callable[..., Any]
) -> None:
    own = {"p1": "test", "p2": "train", "p3": "train", "p4": "train", "p5": "validation"}
    write_mimic_cxr_layout(films, tmp_path)
    names = write_chest_imagenome_layout(films, tmp_path, lambda study: own[study.patient_id])
    genome, mimic = read_all("chest_imagenome", tmp_path).found, read_all("mimic_cxr", tmp_path).found
    assert {study.study_id for study in genome.values() if study.split == "test"} == {names["f1"]}
    leaked = {name for name, study in genome.items() if (study.split, mimic[name].split) == ("test", "train")}
    assert leaked == {names["f1"]}
    same = read_all("chest_imagenome", tmp_path, mimic_split="same")
    assert set(same.found) == {names["f3"]}
    assert same.skipped == {
        "image in train of MIMIC-CXR, left out by mimic_split": 2,
        "image in validation of MIMIC-CXR, left out by mimic_split": 1,
        "image in test of MIMIC-CXR, left out by mimic_split": 2,
    }
    paper = read_all("chest_imagenome", tmp_path, mimic_split="train")
    assert {name: study.split for name, study in paper.found.items()} == {
        names["f1"]: "test",
        names["f3"]: "train",
        names["f7"]: "validation",
    }


def test_films_that_mimic_cxr_does_not_list_are_counted_if_its_split_is_asked_for(
    layout: Path, read_all: Callable[..., Any], open_table: Any
) -> None:
    table = open_table(layout / "mimic-cxr-2.0.0-split.csv")
    del table.rows[1]
    table.save()
    reading = read_all("chest_imagenome", layout, mimic_split="same")
    reason = "image that MIMIC-CXR's split table does not list, left out by mimic_split"
    assert reading.skipped == {reason: 1} and len(reading.found) == 5


def test_films_of_the_gold_standard_are_kept_out_of_training_only(layout: Path, read_all: Callable[..., Any]) -> None:
    dicoms = [graph_of(layout, 0, part).name.removesuffix("_SceneGraph.json") for part in ("train", "test")]
    avoid = layout / "silver_dataset" / "splits" / "images_to_avoid.csv"
    avoid.write_text("".join(f"{line}\n" for line in (",dicom_id", *(f"0,{dicom}" for dicom in dicoms))))
    reading = read_all("chest_imagenome", layout)
    assert reading.skipped == {"image of a patient of the gold standard, left out by avoid_gold": 1}
    assert reading.reports["train"].read == 2 and reading.reports["test"].read == 2
    assert len(read_all("chest_imagenome", layout, avoid_gold=False).found) == 6
    avoid.unlink()
    with pytest.raises(SourceError, match=r"images_to_avoid\.csv.*physionet\.org/content/chest-imagenome"):
        read(layout, "train")


def test_scene_graphs_in_their_archive_and_gzipped_tables_read_the_same(
    layout: Path, read_all: Callable[..., Any]
) -> None:
    plain = read_all("chest_imagenome", layout).found
    folder = layout / "silver_dataset"
    with zipfile.ZipFile(folder / "scene_graph.zip", "w") as archive:
        for path in (folder / "scene_graph").iterdir():
            archive.write(path, f"scene_graph/{path.name}")
    shutil.rmtree(folder / "scene_graph")
    for name in (*SPLITS, "images_to_avoid.csv"):
        path = folder / "splits" / name
        path.with_name(f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert read_all("chest_imagenome", layout).found == plain


def test_without_checking_the_tables_and_graphs_are_enough(layout: Path, read_all: Callable[..., Any]) -> None:
    checked = read_all("chest_imagenome", layout)
    shutil.rmtree(layout / "files")
    assert read_all("chest_imagenome", layout, check_images=False).found == checked.found
    assert read_all("chest_imagenome", layout).skipped == {"image file not found": 6}


def test_all_regions_of_a_whole_graph_are_read_and_it_is_not_remarked(
    layout: Path, read_all: Callable[..., Any]
) -> None:
    write_objects(graph_of(layout), [region(name, 0, 0, 96, 64) for name in REGIONS])
    reading = read_all("chest_imagenome", layout)
    assert reading.noted == {FEW: 5}
    assert set(next(read(layout, "train")).structures) == set(REGIONS)


# object -> what is counted
BAD_OBJECTS: list[tuple[Any, str]] = [
    (region("right lung", 10, 10, 10, 20), "box with x2 <= x1 or y2 <= y1"),
    (region("right lung", 20, 10, 10, 20), "box with x2 <= x1 or y2 <= y1"),
    (region("right lung", 0, 0, 0, 0), "box with x2 <= x1 or y2 <= y1"),
    (region("right lung", 96, 10, 120, 20), "box wholly outside the image"),
    (region("right lung", -20, -20, -10, -10), "box wholly outside the image"),
    (region("right lung", 0, 70, 96, 90), "box wholly outside the image"),
    (region("right lung", None, 0, 1, 1), "box that is not four numbers"),
    (region("right lung", "a", 0, 1, 1), "box that is not four numbers"),
    (region("right lung", float("nan"), 0, 1, 1), "box that is not four numbers"),
    (region("right lung", [0], 0, 1, 1), "box that is not four numbers"),
    ({"bbox_name": "right lung"}, "box that is not four numbers"),
    (region("right breast", 0, 0, 1, 1), "object that is none of the 29 regions"),
    (region(None, 0, 0, 1, 1), "object that is none of the 29 regions"),
    (region(["right lung"], 0, 0, 1, 1), "object that is none of the 29 regions"),
    ({}, "object that is none of the 29 regions"),
    ("right lung", "object that is none of the 29 regions"),
    (None, "object that is none of the 29 regions"),
    (region("spine", 0, 0, 1, 1), "second box of a region"),
]


@pytest.mark.parametrize(("item", "reason"), BAD_OBJECTS)
def test_a_faulty_object_is_counted_and_the_others_are_kept(
    layout: Path, read_all: Callable[..., Any], item: Any, reason: str
) -> None:
    write_objects(graph_of(layout), [region("spine", 40, 0, 56, 64), item])
    reading = read_all("chest_imagenome", layout, bad_inputs=1)
    assert reading.skipped == {reason: 1} and len(reading.found) == 6
    assert list(next(read(layout, "train")).structures) == ["spine"]


def test_a_box_partly_outside_is_cut_and_counted(layout: Path, read_all: Callable[..., Any]) -> None:
    write_objects(graph_of(layout), [region("abdomen", -10, 48, 48, 80)])
    reading = read_all("chest_imagenome", layout, bad_inputs=1)
    assert reading.noted["box partly outside the image, cut to it"] == 1
    (box,) = next(read(layout, "train")).structures["abdomen"]
    assert box.to_list() == [0, 0.75, 0.5, 1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "image without a scene graph"),
        (b"", "scene graph that cannot be read"),
        (b"{", "scene graph that cannot be read"),
        (b"\xff\xfe\x00", "scene graph that cannot be read"),
        (b"[" * 100_000, "scene graph that cannot be read"),
        (b"[]", "scene graph without objects"),
        (b"{}", "scene graph without objects"),
        (b'{"objects": {}}', "scene graph without objects"),
    ],
)
def test_a_missing_or_unreadable_scene_graph_is_counted(
    layout: Path, read_all: Callable[..., Any], content: bytes | None, reason: str
) -> None:
    path = graph_of(layout)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    reading = read_all("chest_imagenome", layout, bad_inputs=1)
    assert reading.skipped == {reason: 1} and len(reading.found) == 5
    assert path.name.removesuffix("_SceneGraph.json") in reading.reports["train"].places[reason][0]


def test_a_damaged_member_of_the_archive_is_counted(layout: Path, read_all: Callable[..., Any]) -> None:
    folder = layout / "silver_dataset"
    marked = graph_of(layout).read_bytes()
    with zipfile.ZipFile(folder / "scene_graph.zip", "w") as archive:
        for path in (folder / "scene_graph").iterdir():
            archive.write(path, f"genome/scene_graph/{path.name}")
    shutil.rmtree(folder / "scene_graph")
    content = (folder / "scene_graph.zip").read_bytes()
    (folder / "scene_graph.zip").write_bytes(content.replace(marked, marked.replace(b"heart", b"harrt")[:-1] + b"?"))
    assert read_all("chest_imagenome", layout).skipped == {"scene graph that cannot be read": 1}
    (folder / "scene_graph.zip").write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"scene_graph\.zip: expected a zip archive, found a damaged one"):
        read(layout, "train")


def test_missing_scene_graphs_tables_and_metadata_are_named(layout: Path) -> None:
    shutil.rmtree(layout / "silver_dataset" / "scene_graph")
    with pytest.raises(
        SourceError, match=r"archive scene_graph\.zip or files scene_graph/\*_SceneGraph\.json.*physionet"
    ):
        read(layout, "train")
    (layout / "silver_dataset" / "splits" / "valid.csv").unlink()
    with pytest.raises(SourceError, match=r"expected silver_dataset/splits/valid\.csv"):
        read(layout, "train")


def test_metadata_is_needed_for_the_size_of_the_original(
    layout: Path, read_all: Callable[..., Any], open_table: Any
) -> None:
    table = open_table(layout / METADATA)
    table.change(1, "Columns", "")
    del table.rows[3]
    table.save()
    reason = "image whose original size MIMIC-CXR's metadata does not give"
    assert read_all("chest_imagenome", layout).skipped == {reason: 2}
    table.path.unlink()
    with pytest.raises(SourceError, match=rf"expected {METADATA}"):
        read(layout, "train")


@pytest.mark.parametrize("column", ["subject_id", "dicom_id"])
def test_a_missing_column_is_named(layout: Path, column: str) -> None:
    path = layout / "silver_dataset" / "splits" / "train.csv"
    path.write_text(path.read_text().replace(column, "other", 1))
    with pytest.raises(SourceError, match=rf"train\.csv: expected the column '{column}', found .*'other'"):
        read(layout, "train")


def test_a_patient_in_two_splits_is_refused(layout: Path, open_table: Any) -> None:
    open_table(layout / "silver_dataset" / "splits" / "test.csv").change(1, "subject_id", "10000001")
    with pytest.raises(SourceError, match=r"test\.csv: expected every patient in one split, found 10000001 in train"):
        read(layout, "train")


def test_wrong_options_are_refused(layout: Path) -> None:
    with pytest.raises(SourceError, match="expected train, validation, test"):
        read(layout, "valid")
    with pytest.raises(SourceError, match="mimic_split: expected any, same or train; found 'test'"):
        read(layout, "train", mimic_split="test")  # type: ignore[arg-type]


def test_damaged_rows_are_counted_by_reason(layout: Path, read_all: Callable[..., Any], open_table: Any) -> None:
    table = open_table(layout / "silver_dataset" / "splits" / "train.csv")
    table.add(1)
    table.add(1, dicom_id="film")
    table.add(1, dicom_id="-".join(["a" * 8] * 5))
    table.rows.append(["9", "10000001"])
    table.save()
    with pytest.warns(SourceWarning, match="chest_imagenome, train: 3 studies read"):
        list(read(layout, "train"))
    assert read_all("chest_imagenome", layout, bad_inputs=4).skipped == {
        "second row of an image": 1,
        "row whose identifiers are not as MIMIC-CXR writes them": 1,
        "image whose original size MIMIC-CXR's metadata does not give": 1,
        "row with too few cells": 1,
    }


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_table_every_row_is_delivered_or_counted(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], open_table: Any
) -> None:
    folder = fuzzed / "silver_dataset" / "splits"
    path = data.draw(st.sampled_from([*(folder / name for name in SPLITS), fuzzed / METADATA]))
    content = path.read_bytes()
    open_table(path).damage(data)
    try:
        reading = read_all("chest_imagenome", fuzzed, bad_inputs=1, check_images=False)
    except SourceError as error:
        assert "expected every patient in one split" in str(error)
    else:
        left_out = {reason: n for reason, n in reading.skipped.items() if not reason.startswith(("box", "object"))}
        assert len(reading.found) + sum(left_out.values()) == sum(open_table(folder / name).filled() for name in SPLITS)
    finally:
        path.write_bytes(content)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_scene_graph_every_film_and_object_is_delivered_or_counted(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any]
) -> None:
    path = graph_of(fuzzed)
    content = path.read_bytes()
    values = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(-200, 200), st.text(max_size=3))
    corners = st.one_of(st.just((8, 8, 40, 40)), st.tuples(values, values, values, values))
    names = st.one_of(st.sampled_from(REGIONS[:3]), st.sampled_from(REGIONS[:3]), values)
    objects = st.lists(st.one_of(values, st.builds(lambda name, box: region(name, *box), names, corners)), max_size=12)
    drawn = data.draw(objects)
    write_objects(path, drawn)
    try:
        reading = read_all("chest_imagenome", fuzzed, bad_inputs=1, check_images=False)
    finally:
        path.write_bytes(content)
    first = path.name.removesuffix("_SceneGraph.json")
    kept = next(study for name, study in reading.found.items() if name.endswith(first)).structures
    assert len(kept) + sum(reading.skipped.values()) == len(drawn) and len(reading.found) == 6


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_are_an_error_that_names_the_file(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], damaged_bytes: Callable[..., bytes]
) -> None:
    folder = fuzzed / "silver_dataset" / "splits"
    path = data.draw(st.sampled_from([*(folder / name for name in SPLITS), graph_of(fuzzed)]))
    content = path.read_bytes()
    path.write_bytes(damaged_bytes(content, data))
    try:
        reading = read_all("chest_imagenome", fuzzed, bad_inputs=1, check_images=False)
    except SourceError as error:
        assert any(name in str(error) for name in SPLITS)
    else:
        assert (
            path.suffix == ".csv"
            or len(reading.found) + sum(n for reason, n in reading.skipped.items() if reason.startswith("scene graph"))
            == 6
        )
    finally:
        path.write_bytes(content)


def test_it_is_registered() -> None:
    assert get_reader("chest_imagenome").read is read
