"""MS-CXR in its layouts with known films, and on damaged data."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.phantoms.layouts_mimic import write_mimic_cxr_layout, write_ms_cxr_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError, SourceWarning, get_reader
from radvlm_course.sources.ms_cxr import read

CSV, JSON = (f"MS_CXR_Local_Alignment_v1.1.0.{form}" for form in ("csv", "json"))
SPLITS = "mimic-cxr-2.0.0-split.csv"
UNNAMED = "box whose path and dicom_id do not name one film of MIMIC-CXR"


@pytest.fixture
def layout(films: list[Study], tmp_path: Path) -> Path:
    """Both datasets in one folder, so that ``mimic_root`` need not be given."""
    write_mimic_cxr_layout(films, tmp_path / "data")
    write_ms_cxr_layout(films, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def coco(films: list[Study], tmp_path: Path) -> Path:
    write_mimic_cxr_layout(films, tmp_path / "data")
    write_ms_cxr_layout(films, tmp_path / "data", "json")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def fuzzed(films: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzzed")
    write_mimic_cxr_layout(films, root)
    write_ms_cxr_layout(films, root)
    write_ms_cxr_layout(films, root, "json")
    return root


@pytest.mark.parametrize("form", ["csv", "json"])
@pytest.mark.parametrize("version", ["1.1.0", "1.0.0"])
def test_phrases_written_in_the_layout_read_back_the_same(
    films: list[Study], tmp_path: Path, read_all: Callable[..., Any], form: Any, version: Any
) -> None:
    write_mimic_cxr_layout(films, tmp_path / "mimic")
    names = write_ms_cxr_layout(films, tmp_path / "ms", form, version)
    reading = read_all("ms_cxr", tmp_path / "ms", mimic_root=tmp_path / "mimic")
    assert set(reading.found) == set(names.values()) and set(names) == {"f1", "f4", "f5", "f7"}
    assert not reading.skipped and not reading.noted
    for study in films:
        if study.phrases:
            back = reading.found[names[study.study_id]]
            assert (back.split, back.image_size) == (study.split, (96, 64)) and Path(back.image_path).is_file()
            assert back.phrases == study.phrases  # the boxes of the fixture are whole pixels
            assert set(back.findings.values()) == {1} and list(back.findings) == list(back.abnormalities)
    first = reading.found[names["f1"]]
    assert len(first.phrases["small effusions"]) == 2 and first.abnormalities == {
        "pleural effusion": first.phrases["small effusions"]
    }
    assert list(reading.found[names["f5"]].findings) == ["lung opacity"]


def test_films_patients_and_studies_are_named_as_in_mimic_cxr(layout: Path, read_all: Callable[..., Any]) -> None:
    mimic, ours = (read_all(name, layout).found for name in ("mimic_cxr", "ms_cxr"))
    for name, study in ours.items():
        other = mimic[name]
        assert (study.patient_id, study.image_path, study.split) == (other.patient_id, other.image_path, other.split)


def test_both_forms_give_the_same_and_a_gzipped_file_too(
    fuzzed: Path, tmp_path: Path, read_all: Callable[..., Any]
) -> None:
    found = read_all("ms_cxr", fuzzed, annotations=CSV).found
    assert read_all("ms_cxr", fuzzed, annotations=JSON).found == found and len(found) == 4
    for name in (CSV, JSON):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.gz").write_bytes(gzip.compress((fuzzed / name).read_bytes()))
        assert read_all("ms_cxr", folder, mimic_root=fuzzed).found == found


def test_the_newest_file_is_read_if_none_is_named(layout: Path, read_all: Callable[..., Any], open_table: Any) -> None:
    old = layout / CSV.replace("1.1.0", "1.0.0")
    shutil.copy(layout / CSV, old)
    open_table(old).change(1, "label_text", "old")
    assert not any("old" in study.phrases for study in read_all("ms_cxr", layout).found.values())
    assert any("old" in study.phrases for study in read_all("ms_cxr", layout, annotations=old.name).found.values())


def test_boxes_of_one_phrase_on_one_film_are_merged_and_a_repeated_box_is_counted(
    layout: Path, read_all: Callable[..., Any], open_table: Any
) -> None:
    table = open_table(layout / CSV)
    table.add(1, x="48", y="0", w="24", h="16", label_text=" small  effusions ")
    table.add(1)
    table.add(1, label_text="another phrase", category_name="Pneumonia")
    reading = read_all("ms_cxr", layout)
    study = next(study for study in reading.found.values() if "small effusions" in study.phrases)
    assert len(study.phrases["small effusions"]) == 3 and Box(0.5, 0, 0.75, 0.25) in study.phrases["small effusions"]
    assert set(study.phrases) == {"small effusions", "another phrase"}
    assert study.findings == {"pleural effusion": 1, "pneumonia": 1} and len(study.abnormalities["pneumonia"]) == 1
    assert reading.noted == {"box given twice for a phrase, taken once": 1}


@pytest.mark.parametrize("written", ["val", "valid", "validate", "validation"])
def test_the_split_of_the_file_is_taken_if_asked(
    layout: Path, read_all: Callable[..., Any], open_table: Any, written: str
) -> None:
    table = open_table(layout / CSV)
    for row in (1, 2):
        table.change(row, "split", written)
    own, mimic = (read_all("ms_cxr", layout, split_from=source).found for source in ("file", "mimic"))
    moved = [name for name in own if own[name].split != mimic[name].split]
    assert len(moved) == 1 and (own[moved[0]].split, mimic[moved[0]].split) == ("validation", "train")
    (layout / SPLITS).unlink()
    assert read_all("ms_cxr", layout, split_from="file").found == own
    with pytest.raises(SourceError, match=rf"expected {SPLITS}"):
        read(layout, "train")


def test_a_file_without_a_split_needs_that_of_mimic_cxr(films: list[Study], tmp_path: Path) -> None:
    write_ms_cxr_layout(films, tmp_path, "csv", "1.0.0")
    with pytest.raises(SourceError, match="expected the column 'split'"):
        list(read(tmp_path, "train", split_from="file"))


def test_a_coco_file_without_a_split_has_no_film_of_a_split(films: list[Study], tmp_path: Path) -> None:
    write_ms_cxr_layout(films, tmp_path, "json", "1.0.0")
    with pytest.warns(SourceWarning, match="0 studies read\nleft out: 5 x box of a film without a split"):
        assert list(read(tmp_path, "train", split_from="file")) == []


def test_boxes_do_not_depend_on_the_size_of_the_file_and_need_no_image_unless_checked(
    layout: Path, read_all: Callable[..., Any]
) -> None:
    before = read_all("ms_cxr", layout).found
    for path in layout.glob("files/*/*/*/*.jpg"):
        Image.open(path).resize((48, 48)).save(path)
    after = read_all("ms_cxr", layout)
    assert after.found == before and after.noted == {"image file of another size than the original": 4}
    shutil.rmtree(layout / "files")
    assert read_all("ms_cxr", layout, check_images=False).found == before
    assert read_all("ms_cxr", layout).skipped == {"image file not found": 4}


def test_a_truncated_film_is_counted(layout: Path) -> None:
    path = Path(next(read(layout, "test")).image_path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.warns(SourceWarning, match="1 x image file that cannot be decoded"):
        assert list(read(layout, "test")) == []


# changed cells -> (what is counted, films that remain)
BAD_CELLS: list[tuple[dict[str, str], str]] = [
    ({"w": "0"}, "box with x2 <= x1 or y2 <= y1"),
    ({"h": "-3"}, "box with x2 <= x1 or y2 <= y1"),
    ({"x": "96"}, "box wholly outside the image"),
    ({"y": "-90", "h": "5"}, "box wholly outside the image"),
    ({"x": ""}, "box that is not four numbers"),
    ({"y": "nan"}, "box that is not four numbers"),
    ({"w": "inf"}, "box that is not four numbers"),
    ({"h": "wide"}, "box that is not four numbers"),
    ({"category_name": "Fracture"}, "box of an unknown category 'Fracture'"),
    ({"category_name": ""}, "box of an unknown category ''"),
    ({"label_text": " "}, "box without a phrase"),
    ({"image_width": "0"}, "box of a film without a size"),
    ({"image_height": "tall"}, "box of a film without a size"),
    ({"image_width": "97"}, "box of a film that an earlier row describes otherwise"),
    ({"path": "files/p10/s50000001/film.jpg"}, UNNAMED),
    ({"path": ""}, UNNAMED),
    ({"dicom_id": "-".join(["a" * 8] * 5)}, UNNAMED),
]


@pytest.mark.parametrize(("changed", "reason"), BAD_CELLS)
def test_a_faulty_row_is_counted_and_the_others_are_kept(
    layout: Path, read_all: Callable[..., Any], open_table: Any, changed: dict[str, str], reason: str
) -> None:
    before = read_all("ms_cxr", layout).found
    open_table(layout / CSV).add(1, **changed)
    reading = read_all("ms_cxr", layout, bad_inputs=1)
    assert reading.skipped == {reason: 1} and reading.found == before


def test_a_film_that_the_split_table_does_not_list_is_counted(
    layout: Path, read_all: Callable[..., Any], open_table: Any
) -> None:
    table = open_table(layout / SPLITS)
    del table.rows[1]
    table.save()
    reading = read_all("ms_cxr", layout)
    assert reading.skipped == {"box of a film without a split": 2} and len(reading.found) == 3


def test_a_film_without_a_usable_box_is_counted(layout: Path, read_all: Callable[..., Any], open_table: Any) -> None:
    open_table(layout / CSV).change(3, "w", "0")
    reading = read_all("ms_cxr", layout)
    assert reading.skipped == {"box with x2 <= x1 or y2 <= y1": 1, "film without a usable box": 1}
    assert len(reading.found) == 3


def test_a_row_cut_short_is_counted_and_a_box_partly_outside_is_cut(
    layout: Path, read_all: Callable[..., Any], open_table: Any
) -> None:
    table = open_table(layout / CSV)
    table.add(1, x="72", y="-16", w="48", h="32", label_text="edge")
    table.rows.append(table.rows[1][:4])
    table.save()
    reading = read_all("ms_cxr", layout, bad_inputs=2)
    assert reading.skipped == {"row with too few cells": 1}
    assert reading.noted == {"box partly outside the image, cut to it": 1}
    assert [study.phrases["edge"] for study in reading.found.values() if "edge" in study.phrases] == [
        (Box(0.75, 0, 1, 0.25),)
    ]


UNKNOWN, NO_BOX = "annotation of an unknown image or category", "box that is not four numbers"
# changed keys of an annotation, or something in its place -> what is counted
BAD_ANNOTATIONS: list[tuple[Any, str]] = [
    ("text", UNKNOWN),
    (None, UNKNOWN),
    ({"image_id": 99}, UNKNOWN),
    ({"image_id": [1]}, UNKNOWN),
    ({"category_id": None}, UNKNOWN),
    ({"category_id": "6"}, UNKNOWN),
    ({"bbox": None}, NO_BOX),
    ({"bbox": [1, 2, 3]}, NO_BOX),
    ({"bbox": [1, 2, 10**400, 4]}, NO_BOX),
    ({"bbox": {"x": 1}}, NO_BOX),
    ({"bbox": "1234"}, NO_BOX),
    ({"bbox": [1, 2, 0, 4]}, "box with x2 <= x1 or y2 <= y1"),
    ({"label_text": None}, "box without a phrase"),
]


@pytest.mark.parametrize(("changed", "reason"), BAD_ANNOTATIONS)
def test_a_faulty_annotation_is_counted_and_the_others_are_kept(
    coco: Path, read_all: Callable[..., Any], changed: Any, reason: str
) -> None:
    before = read_all("ms_cxr", coco).found
    content = json.loads((coco / JSON).read_text())
    good = content["annotations"][0]
    content["annotations"].append(good | changed if isinstance(changed, dict) else changed)
    (coco / JSON).write_text(json.dumps(content))
    reading = read_all("ms_cxr", coco, bad_inputs=1)
    assert reading.skipped == {reason: 1} and reading.found == before


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"images": [], "annotations": {}}', b"[" * 100_000, b"\xff\xfe"]
)
def test_a_coco_file_that_is_none_is_an_error(coco: Path, content: bytes) -> None:
    (coco / JSON).write_bytes(content)
    with pytest.raises(SourceError, match=r"v1\.1\.0\.json: expected .*physionet\.org/content/ms-cxr"):
        list(read(coco, "train"))


def test_a_missing_file_or_column_is_named_with_where_to_get_it(layout: Path) -> None:
    path = layout / CSV
    path.write_text(path.read_text().replace("label_text", "sentence", 1))
    with pytest.raises(SourceError, match=r"expected the column 'label_text', found .*'sentence'.*physionet"):
        list(read(layout, "train"))
    path.unlink()
    with pytest.raises(
        SourceError, match=r"expected MS_CXR_Local_Alignment_v1\.1\.0\.csv or .*v1\.0\.0\.json.*physionet"
    ):
        read(layout, "train")


def test_a_patient_in_two_splits_is_refused(layout: Path, open_table: Any) -> None:
    open_table(layout / CSV).change(1, "split", "test")
    with pytest.raises(SourceError, match="expected every patient in one split, found 10000001 in two"):
        list(read(layout, "train", split_from="file"))


def test_wrong_options_are_refused(layout: Path) -> None:
    with pytest.raises(SourceError, match="expected train, validation, test"):
        read(layout, "validate")
    with pytest.raises(SourceError, match="split_from: expected mimic or file, found 'own'"):
        read(layout, "train", split_from="own")  # type: ignore[arg-type]


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_table_every_box_is_delivered_or_counted(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], open_table: Any
) -> None:
    path = fuzzed / data.draw(st.sampled_from([CSV, CSV, SPLITS]))
    split_from = data.draw(st.sampled_from(["mimic", "file"]))
    content = path.read_bytes()
    open_table(path).damage(data)
    try:
        reading = read_all("ms_cxr", fuzzed, bad_inputs=1, split_from=split_from, annotations=CSV, check_images=False)
    except SourceError as error:
        assert "expected every patient in one split" in str(error)
    else:
        kept = sum(len(boxes) for study in reading.found.values() for boxes in study.phrases.values())
        twice = reading.noted["box given twice for a phrase, taken once"]
        left_out = sum(n for reason, n in reading.skipped.items() if reason != "film without a usable box")
        assert kept + twice + left_out == open_table(fuzzed / CSV).filled()
    finally:
        path.write_bytes(content)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_coco_file_every_annotation_is_delivered_or_counted(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any]
) -> None:
    original = (fuzzed / JSON).read_bytes()
    content = json.loads(original)
    values = st.one_of(
        st.none(),
        st.booleans(),
        st.floats(),
        st.integers(-9, 200),
        st.text(max_size=5),
        st.lists(st.integers(0, 90), max_size=5),
    )
    for _ in range(data.draw(st.integers(1, 4))):
        items = content[data.draw(st.sampled_from(["images", "categories", "annotations", "annotations"]))]
        position = data.draw(st.integers(0, len(items) - 1))
        if isinstance(items[position], dict) and data.draw(st.integers(0, 4)):
            key = data.draw(st.sampled_from(sorted(items[position])))
            items[position][key] = data.draw(values)
        else:
            items[position] = data.draw(values)
    (fuzzed / JSON).write_text(json.dumps(content))
    try:
        reading = read_all("ms_cxr", fuzzed, bad_inputs=1, annotations=JSON, check_images=False)
    finally:
        (fuzzed / JSON).write_bytes(original)
    kept = sum(len(boxes) for study in reading.found.values() for boxes in study.phrases.values())
    twice = reading.noted["box given twice for a phrase, taken once"]
    left_out = sum(n for reason, n in reading.skipped.items() if reason != "film without a usable box")
    assert kept + twice + left_out == 5


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_are_an_error_that_names_the_file(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], damaged_bytes: Callable[..., bytes]
) -> None:
    name = data.draw(st.sampled_from([CSV, JSON]))
    content = (fuzzed / name).read_bytes()
    (fuzzed / name).write_bytes(damaged_bytes(content, data))
    try:
        read_all("ms_cxr", fuzzed, bad_inputs=1, annotations=name, check_images=False)
    except SourceError as error:
        assert name in str(error)
    finally:
        (fuzzed / name).write_bytes(content)


def test_it_is_registered() -> None:
    assert get_reader("ms_cxr").read is read
