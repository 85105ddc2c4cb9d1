"""TBX11K on its real films, on small layouts, and on damaged data."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.phantoms.layouts_open import write_tbx11k_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError
from radvlm_course.sources.tbx11k import read

CATEGORIES = ("ActiveTuberculosis", "ObsoletePulmonaryTuberculosis", "PulmonaryTuberculosis")


def image(number: int, name: str, **changes: Any) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 100, "height": 50} | changes


def box(number: int, category: Any, corner_and_size: Any) -> dict[str, Any]:
    return {"id": number, "image_id": number, "category_id": category, "bbox": corner_and_size}


IMAGES = [image(1, "tb/tb0001.png"), image(2, "sick/s0002.png"), image(3, "health/h0003.png")]
BOXES = [box(1, 1, [10, 5, 20, 10]), box(1, 2, [50.0, 25.0, 25.0, 10.0])]


def write(root: Path, images: Any = IMAGES, annotations: Any = BOXES, part: str = "train", **changes: Any) -> None:
    categories = [{"id": number, "name": name} for number, name in enumerate(CATEGORIES, start=1)]
    content = {"categories": categories, "images": images, "annotations": annotations} | changes
    (root / "annotations" / "json").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / "json" / f"TBX11K_{part}.json").write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One film of each folder in the official train part, one healthy film in val."""
    write(tmp_path)
    write(tmp_path, [image(9, "health/h0009.png")], [], part="val")
    for name in ("tb/tb0001", "sick/s0002", "health/h0003", "health/h0009"):
        (tmp_path / "imgs" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 50)).save(tmp_path / "imgs" / f"{name}.png")
    return tmp_path


def by_id(studies: list[Study]) -> dict[str, Study]:
    return {study.study_id: study for study in studies}


def test_the_real_films_and_boxes_are_read(real_data: Path) -> None:
    studies = {}
    for split in ("train", "validation"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            studies |= by_id(list(read(real_data / "tbx11k", split)))
    assert set(studies) == {"tb0005", "tb0007", "h0001"}
    active, latent, healthy = studies["tb0005"], studies["tb0007"], studies["h0001"]
    (found,) = active.abnormalities["active tuberculosis"]
    assert found.to_pixels((512, 512)) == pytest.approx((381.8337, 126.8734, 422.0706, 171.4392), abs=1e-3)
    assert len(latent.abnormalities["latent tuberculosis"]) == 2
    assert (latent.findings["active tuberculosis"], latent.findings["latent tuberculosis"]) == (0, 1)
    assert not any(healthy.findings.values()) and healthy.findings["other abnormality"] == 0
    with pytest.raises(SourceError, match=r"expected annotations/json/TBX11K_val\.json"):
        read(real_data / "tbx11k", "test")


def test_boxes_and_the_folder_make_the_findings(root: Path, read_all: Callable[..., Any]) -> None:
    reading = read_all("tbx11k", root)
    found = reading.found
    assert not reading.counted
    assert found["tb0001"].abnormalities == {
        "active tuberculosis": (Box(0.1, 0.1, 0.3, 0.3),),
        "latent tuberculosis": (Box(0.5, 0.5, 0.75, 0.7),),
    }
    assert found["tb0001"].findings == {"active tuberculosis": 1, "latent tuberculosis": 1, "tuberculosis": 0}
    none = dict.fromkeys(("active tuberculosis", "latent tuberculosis", "tuberculosis"), 0)
    assert found["s0002"].findings == none | {"other abnormality": 1}
    assert found["h0003"].findings == none | {"other abnormality": 0}
    assert found["h0009"].split == "test" and found["tb0001"].split in ("train", "validation")


def test_tuberculosis_of_unknown_kind_says_nothing_of_either(root: Path, read_all: Callable[..., Any]) -> None:
    write(root, annotations=[box(1, 3, [10, 5, 20, 10])])
    reading = read_all("tbx11k", root)
    assert reading.found["tb0001"].findings == {"tuberculosis": 1}
    write(root, annotations=[])
    reading = read_all("tbx11k", root)
    assert reading.found["tb0001"].findings == {"tuberculosis": 1} and not reading.found["tb0001"].abnormalities
    assert dict(reading.noted) == {"film in tb/ without a box, taken as tuberculosis of unknown kind": 1}


def test_without_checking_the_json_file_is_believed(root: Path, read_all: Callable[..., Any]) -> None:
    for path in (root / "imgs").rglob("*.png"):
        path.unlink()
    reading = read_all("tbx11k", root, check_images=False)
    assert len(reading.found) == 4 and not reading.skipped and reading.studies[0].image_size == (100, 50)
    reading = read_all("tbx11k", root)
    assert dict(reading.skipped) == {"image file not found": 4}


def test_a_tenth_of_the_official_train_part_is_validation(root: Path) -> None:
    write(root, [image(number, f"health/h{number}.png") for number in range(500)], [])
    splits = [{study.study_id for study in read(root, split, check_images=False)} for split in ("train", "validation")]
    assert len(splits[0] | splits[1]) == 500 and not splits[0] & splits[1] and 30 < len(splits[1]) < 75


BAD_IMAGES = [
    ("text", "image without file_name or id"),
    (None, "image without file_name or id"),
    ({"id": 4, "width": 100, "height": 50}, "image without file_name or id"),
    (image(4, ""), "image without file_name or id"),
    (image(4, "health/h0004.png", id=None), "image without file_name or id"),
    (image(4, "health/h0004.png", width="100"), "image without width and height in pixels"),
    (image(4, "health/h0004.png", height=0), "image without width and height in pixels"),
    (image(4, "test/t0004.png"), "image in none of the folders health, sick and tb"),
    (image(4, "h0004.png"), "image in none of the folders health, sick and tb"),
    (image(4, "health/h0003.png"), "second entry of an image, or of its id"),
    (image(3, "health/h0004.png"), "second entry of an image, or of its id"),
    (image(4, "health/gone.png"), "image file not found"),
    (image(4, "health/cut.png"), "image file that cannot be decoded"),
    (image(4, "health/h0009.png", width=90), "image of another size than listed"),
]
BAD_BOXES = [
    ("text", "box of an image that is not listed"),
    ({"category_id": 1, "bbox": [1, 2, 3, 4]}, "box of an image that is not listed"),
    (box(77, 1, [1, 2, 3, 4]), "box of an image that is not listed"),
    (box(1, 9, [1, 2, 3, 4]), "box of an unknown category ''"),
    (box(1, None, [1, 2, 3, 4]), "box of an unknown category ''"),
    (box(1, 1, [1, 2, 3]), "box that is not four numbers"),
    (box(1, 1, None), "box that is not four numbers"),
    (box(1, 1, [1, 2, "x", 4]), "box that is not four numbers"),
    (box(1, 1, [1, 2, 10**400, 4]), "box that is not four numbers"),
    (box(1, 1, [1, 2, 0, 4]), "box with x2 <= x1 or y2 <= y1"),
    (box(1, 1, [200, 2, 10, 4]), "box wholly outside the image"),
    (box(1, 1, [90, 2, 20, 4]), "box partly outside the image, cut to it"),
    (box(3, 1, [1, 2, 3, 4]), "film in health/ with a box of tuberculosis, taken as present"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_IMAGES)
def test_a_bad_image_is_counted_and_the_others_read(
    root: Path, read_all: Callable[..., Any], bad: Any, reason: str
) -> None:
    (root / "imgs" / "health" / "cut.png").write_bytes((root / "imgs" / "health" / "h0003.png").read_bytes()[:60])
    write(root, [*IMAGES, bad])
    write(root, [image(19, "health/h0019.png")], [], part="val")
    Image.new("RGB", (100, 50)).save(root / "imgs" / "health" / "h0019.png")
    reading = read_all("tbx11k", root, bad_inputs=1)
    assert reading.counted == {reason: 1}
    assert {"tb0001", "s0002", "h0003", "h0019"} <= set(reading.found)


@pytest.mark.parametrize(("bad", "reason"), BAD_BOXES)
def test_a_bad_box_is_counted_and_the_others_read(
    root: Path, read_all: Callable[..., Any], bad: Any, reason: str
) -> None:
    write(root, annotations=[bad, *BOXES])
    reading = read_all("tbx11k", root, bad_inputs=1)
    assert reading.counted == {reason: 1}
    latent = reading.found["tb0001"].abnormalities["latent tuberculosis"]
    assert len(reading.found) == 4 and Box(0.5, 0.5, 0.75, 0.7) in latent


def test_what_is_missing_is_named(root: Path) -> None:
    path = root / "annotations" / "json" / "TBX11K_train.json"
    for content in ("", "{", "[]", "{}", '{"images": [], "annotations": [], "categories": []}', '{"images": 1}'):
        path.write_text(content)
        with pytest.raises(SourceError, match=r"TBX11K_train\.json: expected"):
            read(root, "train")
    write(root)
    content = json.loads(path.read_text())
    del content["categories"]
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match="expected lists under 'categories', found annotations, images"):
        read(root, "train")
    write(root)
    (root / "imgs").rename(root / "pictures")
    with pytest.raises(SourceError, match=r"expected images in .*imgs, found no such folder.*mmcheng"):
        read(root, "train")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_tables_lose_nothing_in_silence(
    studies: list[Study],
    tmp_path: Path,
    survives_damage: Callable[[str, Path, list[Path], st.DataObject], None],
    data: st.DataObject,
) -> None:
    root = tmp_path / "tbx"
    if not root.exists():
        write_tbx11k_layout(studies, root)
    survives_damage("tbx11k", root, sorted((root / "annotations" / "json").iterdir()), data)
