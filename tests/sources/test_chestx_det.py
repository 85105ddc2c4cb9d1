"""ChestX-Det on its real annotations, on its layout with known films, and on damaged data."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.phantoms.layouts import write_chestx_det_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError, SourceWarning
from radvlm_course.sources.chestx_det import read

ReadAll = Callable[..., Any]


@pytest.fixture
def layout(studies: list[Study], tmp_path: Path) -> Path:
    write_chestx_det_layout(studies, tmp_path / "det")
    return tmp_path / "det"


def change_entries(path: Path, *entries: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) + list(entries)))


def test_the_real_annotations_become_boxes_in_the_same_place(
    real_chestx_det: Path, tmp_path: Path, read_all: ReadAll
) -> None:
    entries = json.loads((real_chestx_det / "ChestX_Det_test.json").read_text())
    (tmp_path / "ChestX_Det_test.json").symlink_to(real_chestx_det / "ChestX_Det_test.json")
    (tmp_path / "test_data").mkdir()
    for entry in entries[:-1]:  # the annotations come without films here: black ones stand in
        Image.new("L", (8, 8)).save(tmp_path / "test_data" / entry["file_name"])
    reading = read_all("chestx_det", tmp_path, splits=("test",))
    assert len(reading.found) == 552 and reading.skipped == {"image file not found": 1}
    for entry, study in zip(entries, reading.studies, strict=False):
        boxes = sorted(box.to_pixels((1024, 1024)) for group in study.abnormalities.values() for box in group)
        assert boxes == [pytest.approx(box) for box in sorted(map(tuple, entry["boxes"]))]
        assert sum(study.findings.values()) == len(set(entry["syms"]))
        assert len(study.findings) == 13 and study.patient_id == study.study_id


def test_a_layout_written_from_known_films_reads_back_the_same(
    studies: list[Study], tmp_path: Path, read_all: ReadAll
) -> None:
    names = write_chestx_det_layout(studies, tmp_path / "det")
    found = read_all("chestx_det", tmp_path / "det").found
    assert len(found) == 3
    for study in studies:
        back = found[names[study.study_id]]
        kept = {name: boxes for name, boxes in study.abnormalities.items() if name != "support devices"}
        assert set(back.abnormalities) == set(kept)
        for name, boxes in kept.items():
            for ours, theirs in zip(boxes, back.abnormalities[name], strict=True):
                assert ours.to_list() == pytest.approx(theirs.to_list(), abs=1 / 2048)
    assert found[names["a1"]].patient_id == found[names["a2"]].patient_id == "00000001"
    assert found[names["a1"]].split == found[names["a2"]].split
    assert found[names["b1"]].split == "test"


def test_damaged_entries_and_boxes_are_counted(layout: Path, read_all: ReadAll) -> None:
    name = "00000002_000.png"
    good = {"syms": ["Mass"], "boxes": [[10, 10, 50, 50]]}
    Image.new("L", (8, 8)).save(layout / "test_data" / "00000003_000.png")
    boxes = [[50, 10, 20, 90], [1100, 10, 1200, 90], [1000, 10, 1100, 90], [1, 2, 3], None]
    change_entries(
        layout / "ChestX_Det_test.json",
        {"file_name": "00000003_000.png", "syms": ["Mass"] * 5, "boxes": boxes},
        {"file_name": name} | good,
        {"file_name": "00000004_000.png", "syms": ["Mass"], "boxes": []},
        {"file_name": "00000005_000.png", "syms": ["Lump"], "boxes": [[1, 2, 3, 4]]},
        {"file_name": "00000008_000.png", "syms": [["Mass"]], "boxes": [[1, 2, 3, 4]]},
        {"file_name": "00000006_000.png", "boxes": []},
        {"file_name": "00000007_000.png"} | good,
        good,
        "text",
    )
    reading = read_all("chestx_det", layout, splits=("test",), bad_inputs=13)
    assert list(reading.found) == ["00000002_000", "00000003_000"]
    third = reading.found["00000003_000"]
    assert len(third.abnormalities["mass"]) == 1 and third.findings["mass"] == 1
    assert reading.noted == {"box partly outside the image, cut to it": 1}
    assert reading.skipped == {
        "box with x2 <= x1 or y2 <= y1": 1,
        "box wholly outside the image": 1,
        "box that is not four numbers": 2,
        "second entry of an image": 1,
        "entry with another number of syms than of boxes": 1,
        "entry with an unknown finding": 2,
        "entry without syms or boxes": 1,
        "image file not found": 1,
        "entry without file_name": 2,
    }


def test_a_truncated_film_is_counted(layout: Path) -> None:
    path = layout / "test_data" / "00000002_000.png"
    path.write_bytes(path.read_bytes()[:600])
    with pytest.warns(SourceWarning, match="1 x image file that cannot be decoded"):
        assert list(read(layout, "test")) == []


def test_a_film_that_no_entry_names_is_counted_in_its_own_split(layout: Path, read_all: ReadAll) -> None:
    for part in ("train", "test"):
        Image.new("L", (8, 8)).save(layout / f"{part}_data" / "00000099_000.png")
    assert read_all("chestx_det", layout).skipped == {"image file that the JSON file does not list": 2}
    (layout / "test_data").rename(layout / "images")  # films of both parts may lie there
    reading = read_all("chestx_det", layout)
    assert len(reading.found) == 3 and reading.skipped == {"image file that the JSON file does not list": 1}


def test_a_missing_key_is_named(layout: Path) -> None:
    path = layout / "ChestX_Det_test.json"
    path.write_text(path.read_text().replace('"syms"', '"labels"'))
    with pytest.raises(SourceError, match=r"ChestX_Det_test\.json: expected the key 'syms', found boxes, file_name"):
        read(layout, "test")


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"file_name": 1}', "[" * 100_000], ids=range(6))
def test_a_file_that_is_no_list_of_images_is_an_error(layout: Path, content: str) -> None:
    (layout / "ChestX_Det_test.json").write_text(content)
    with pytest.raises(SourceError, match=r"ChestX_Det_test\.json"):
        read(layout, "test")


def test_a_missing_file_or_folder_of_images_is_named(layout: Path, real_chestx_det: Path) -> None:
    (layout / "ChestX_Det_train.json").unlink()
    with pytest.raises(SourceError, match=r"expected ChestX_Det_train\.json .*Deepwise"):
        read(layout, "train")
    with pytest.raises(SourceError, match="expected images"):
        read(real_chestx_det, "test")


def test_a_gzip_file_with_damaged_content_is_an_error(layout: Path) -> None:
    path = layout / "ChestX_Det_test.json"
    packed = gzip.compress(path.read_bytes(), mtime=0)
    path.with_suffix(".json.gz").write_bytes(packed[:12] + bytes(8) + packed[20:])
    path.unlink()
    with pytest.raises(SourceError, match=r"ChestX_Det_test\.json\.gz: expected a JSON file, found a damaged one"):
        read(layout, "test")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_annotations_lose_nothing_in_silence(
    layout: Path, survives_damage: Callable[[str, Path, list[Path], st.DataObject], None], data: st.DataObject
) -> None:
    survives_damage("chestx_det", layout, sorted(layout.glob("*.json")), data)
