"""VinDr-CXR on small layouts: both forms, the fusion's options, sizes, and damaged data."""

import gzip
import json
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.dicom_conversion import convert_folder
from radvlm_course.phantoms.dicom_files import write_dicom
from radvlm_course.phantoms.layouts_open import write_vindr_cxr_layout
from radvlm_course.records import Study
from radvlm_course.sources import ReadReport, SourceError
from radvlm_course.sources.vindr_cxr import DISEASES, FINDINGS, KAGGLE_CLASSES, read

READINGS = """image_id,rad_id,class_name,x_min,y_min,x_max,y_max
a,R1,Cardiomegaly,20.0,30.0,60.0,50.0
a,R2,Cardiomegaly,24.0,30.0,64.0,50.0
a,R1,Nodule/Mass,70,10,80,20
a,R3,No finding,,,,
b,R1,No finding,,,,
b,R2,No finding,,,,
b,R3,No finding,,,,
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two training films of 100 x 60 pixels in the PhysioNet form; no test part."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "annotations_train.csv").write_text(READINGS)
    for name in ("a", "b"):
        write_dicom(tmp_path / "train" / f"{name}.dicom", np.tile(np.arange(100, dtype=np.uint8), (60, 1)))
    return tmp_path


def all_train(root: Path, **options: Any) -> tuple[dict[str, Study], ReadReport]:
    report = ReadReport()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        studies = list(read(root, "train", report=report, fractions={"train": 1.0}, **options))
    return {study.study_id: study for study in studies}, report


def write_pictures(root: Path, folder: str, table: bool) -> None:
    """Pictures of a fifth of the size, as a conversion leaves them, with or without its table."""
    (root / folder).mkdir()
    suffix = ".jpg" if folder.endswith("jpg") else ".png"
    for name in ("a", "b"):
        Image.new("L", (20, 12), 90).save(root / folder / f"{name}{suffix}")
    if table:
        lines = ["image,source,width,height,view,remarks", *(f"{name}{suffix},{name}.dicom,100,60,," for name in "ab")]
        (root / folder / "image_sizes.csv").write_text("\n".join([*lines, "c.png,c.dicom,wide,60,,", ""]))


def test_readers_boxes_are_fused_in_pixels_of_the_film(root: Path) -> None:
    found, report = all_train(root)
    assert not report.skipped and not report.noted
    first = found["a"]
    assert first.image_size == (100, 60)
    (heart,) = first.abnormalities["cardiomegaly"]
    assert heart.to_list() == pytest.approx([0.22, 0.5, 0.62, 50 / 60], abs=1e-6)
    (nodule,) = first.abnormalities["nodule/mass"]
    assert nodule.to_list() == pytest.approx([0.7, 1 / 6, 0.8, 1 / 3], abs=1e-6)
    assert {name for name, value in first.findings.items() if value} == {"cardiomegaly", "nodule/mass"}
    assert found["b"].findings == dict.fromkeys(FINDINGS.values(), 0) and not found["b"].abnormalities


def test_agreement_of_readers_can_be_asked_for(root: Path) -> None:
    found, report = all_train(root, minimum_readers=2)
    assert set(found["a"].abnormalities) == {"cardiomegaly"}
    assert found["a"].findings["nodule/mass"] == 0
    assert dict(report.noted) == {"box of fewer than 2 readers left out": 1}
    found, report = all_train(root, minimum_readers=3)
    assert not found["a"].abnormalities and report.noted["box of fewer than 3 readers left out"] == 2


def test_a_higher_threshold_keeps_readers_boxes_apart(root: Path) -> None:
    found, _ = all_train(root, threshold=0.9)  # their intersection over union is 36/44
    assert len(found["a"].abnormalities["cardiomegaly"]) == 2


def test_the_other_spelling_of_the_reader_and_gzip_are_read(root: Path) -> None:
    path = root / "annotations" / "annotations_train.csv"
    path.unlink()
    with gzip.open(root / "annotations_train.csv.gz", "wt") as file:
        file.write(READINGS.replace("rad_id", "rad_ID"))
    assert len(all_train(root)[0]["a"].abnormalities["cardiomegaly"]) == 1


def test_the_consensus_stays_as_it_is_unless_asked(root: Path) -> None:
    overlapping = "c,Nodule/Mass,10,10,50,50\nc,Nodule/Mass,20,10,60,50\nd,No finding,,,,\n"
    header = "image_id,class_name,x_min,y_min,x_max,y_max\n"
    (root / "annotations" / "annotations_test.csv").write_text(header + overlapping)
    for name in ("c", "d"):
        write_dicom(root / "test" / f"{name}.dicom", np.tile(np.arange(100, dtype=np.uint8), (100, 1)))
    consensus, normal = read(root, "test")
    assert consensus.abnormalities["nodule/mass"] == (Box(0.1, 0.1, 0.5, 0.5), Box(0.2, 0.1, 0.6, 0.5))
    assert normal.split == "test" and not any(normal.findings.values())
    fused, _ = read(root, "test", fuse_consensus=True)
    (box,) = fused.abnormalities["nodule/mass"]
    assert box.to_list() == pytest.approx([0.15, 0.1, 0.55, 0.5], abs=1e-6)


def test_diseases_of_the_whole_film_come_from_the_label_table(root: Path) -> None:
    columns = [*FINDINGS, *DISEASES, "No finding"]
    lines = [",".join(["image_id", "rad_id", *columns]).replace("Other diseases", "Other disease")]
    for image, reader, disease in [("a", "R1", "Tuberculosis"), ("a", "R2", "Tuberculosis"), ("a", "R3", "COPD")]:
        lines.append(",".join([image, reader, *(str(int(name == disease)) for name in columns)]))
    lines.append(",".join(["b", "R1", *("0" for _ in columns)]))
    path = root / "annotations" / "image_labels_train.csv"
    path.write_text("\n".join([*lines, "b,R2," + "x," * len(columns), "b,R3"]))
    found, report = all_train(root)
    assert (found["a"].findings["tuberculosis"], found["b"].findings["tuberculosis"]) == (1, 0)
    assert found["a"].findings["chronic obstructive pulmonary disease"] == 1
    assert dict(report.skipped) == {"row with a label that is not 0 or 1": 1, "row with too few cells": 1}
    found, _ = all_train(root, minimum_readers=2)
    assert found["a"].findings["tuberculosis"] == 1
    assert found["a"].findings["chronic obstructive pulmonary disease"] == 0
    path.write_text(path.read_text().replace("Tuberculosis", "TB"))
    with pytest.raises(SourceError, match=r"image_labels_train\.csv: expected the column 'Tuberculosis'"):
        all_train(root)


def test_the_kaggle_form_is_split_by_film_and_knows_14_findings(root: Path) -> None:
    (root / "annotations" / "annotations_train.csv").unlink()
    lines = [line.split(",") for line in READINGS.strip().split("\n")]
    kaggle = [
        ",".join([line[0], line[2], "class_id" if line[1] == "rad_id" else "3", line[1], *line[3:]]) for line in lines
    ]
    for number in range(30):
        kaggle.append(f"n{number},No finding,14,R1,,,,")
        write_dicom(root / "train" / f"n{number}.dicom", np.tile(np.arange(100, dtype=np.uint8), (60, 1)))
    (root / "train.csv").write_text("\n".join(kaggle))
    splits = {
        split: {study.study_id for study in read(root, split, check_images=False)}
        for split in ("train", "validation", "test")
    }
    assert sum(len(found) for found in splits.values()) == 32 and all(splits.values())
    assert not splits["train"] & splits["test"] and not splits["validation"] & (splits["train"] | splits["test"])
    study = next(study for split in splits for study in read(root, split) if study.study_id == "a")
    assert set(study.findings) == {FINDINGS[name] for name in KAGGLE_CLASSES}
    assert set(study.abnormalities) == {"cardiomegaly", "nodule/mass"}


def test_boxes_are_in_pixels_of_the_film_also_when_its_picture_is_smaller(root: Path) -> None:
    expected, _ = all_train(root)
    convert_folder(root / "train", root / "train_png", longest_side=20, progress=False)
    found, report = all_train(root)
    assert not report.skipped
    assert found["a"].image_path.endswith("train_png/a.png") and Image.open(found["a"].image_path).size == (20, 12)
    assert found["a"].abnormalities == expected["a"].abnormalities and found["a"].image_size == (100, 60)
    assert not report.noted
    for path in (root / "train").iterdir():  # kept elsewhere: the table knows the sizes
        path.unlink()
    assert all_train(root)[0]["a"].abnormalities == expected["a"].abnormalities


def test_the_table_of_resolutions_gives_the_size_where_there_is_no_dicom(root: Path) -> None:
    expected, _ = all_train(root)
    write_pictures(root, "train_jpg", table=False)
    for path in (root / "train").iterdir():
        path.unlink()
    wrong, report = all_train(root)  # nobody knows the size: said so
    assert dict(report.noted)["picture without its original size, in whose pixels its boxes are"] == 1
    assert wrong["a"].image_size == (20, 12)
    (root / "image_resolutions_train.json").write_text(json.dumps({"a": [60, 100], "b": [60, 100], "c": [0]}))
    found, report = all_train(root)
    assert found["a"].abnormalities == expected["a"].abnormalities
    assert dict(report.skipped) == {"resolution that is not [rows, columns]": 1} and not report.noted
    (root / "image_resolutions_train.json").write_text("[]")
    with pytest.raises(SourceError, match="image ids with"):
        all_train(root)


def test_without_checking_no_listed_film_is_opened(root: Path) -> None:
    write_pictures(root, "train_png", table=True)
    for path in [*(root / "train").iterdir(), *(root / "train_png").glob("*.png")]:
        path.unlink()
    found, report = all_train(root, check_images=False)
    assert found["a"].image_size == (100, 60) and len(found) == 2
    assert dict(report.skipped) == {"row without a size in pixels": 1}
    with pytest.raises(SourceError, match="expected DICOM films"):
        all_train(root)


BAD_ROWS = {
    "a,R1,Cardiomegaly,,,,": ("box that is not four numbers", "skipped"),
    "a,R1,Cardiomegaly,nan,1,5,5": ("box that is not four numbers", "skipped"),
    "a,R1,Cardiomegaly,one,1,5,5": ("box that is not four numbers", "skipped"),
    "a,R1,Cardiomegaly,50,10,20,20": ("box with x2 <= x1 or y2 <= y1", "skipped"),
    "a,R1,Cardiomegaly,20,20,20,30": ("box with x2 <= x1 or y2 <= y1", "skipped"),
    "a,R1,Cardiomegaly,150,10,180,20": ("box wholly outside the image", "skipped"),
    "a,R1,Cardiomegaly,90,10,180,20": ("box partly outside the image, cut to it", "noted"),
    "a,R1,Big heart,10,10,20,20": ("box of an unknown finding 'Big heart'", "skipped"),
    "a,R1,,10,10,20,20": ("box of an unknown finding ''", "skipped"),
    ",R1,Cardiomegaly,10,10,20,20": ("row without image_id", "skipped"),
    "a,R1,Cardiomegaly": ("row with too few cells", "skipped"),
    "gone,R1,Cardiomegaly,10,10,20,20": ("image file not found", "skipped"),
    "cut,R1,Cardiomegaly,10,10,20,20": ("image file that cannot be decoded", "skipped"),
    "empty,R1,Cardiomegaly,10,10,20,20": ("image file that cannot be decoded", "skipped"),
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_bad_row_is_counted_and_the_rest_read(root: Path, tried: Counter[str], row: str) -> None:
    (root / "train" / "cut.dicom").write_bytes((root / "train" / "a.dicom").read_bytes()[:-500])
    (root / "train" / "empty.dicom").write_bytes(b"")
    path = root / "annotations" / "annotations_train.csv"
    others = [f"{name},R1,No finding,,,," for name in ("cut", "empty") if not row.startswith(name)]
    path.write_text(READINGS + "\n".join([row, *others]))
    tried["vindr_cxr"] += 1
    found, report = all_train(root)
    reason, kind = BAD_ROWS[row]
    counted = Counter(report.skipped) - Counter({"image file that cannot be decoded": len(others)})
    assert {"skipped": counted, "noted": report.noted}[kind] == {reason: 1}
    assert set(found) == {"a", "b"} and len(found["a"].abnormalities["nodule/mass"]) == 1


def test_a_finding_whose_boxes_are_all_bad_is_present_without_boxes(root: Path) -> None:
    path = root / "annotations" / "annotations_train.csv"
    path.write_text(READINGS.replace("70,10,80,20", "80,10,70,20"))
    found, _ = all_train(root)
    assert found["a"].findings["nodule/mass"] == 1 and "nodule/mass" not in found["a"].abnormalities


def test_a_film_that_no_row_lists_is_counted_in_one_split(root: Path) -> None:
    write_dicom(root / "train" / "stray.dicom", np.eye(9, dtype=np.uint8))
    report = ReadReport()
    for split in ("train", "validation"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            list(read(root, split, report=report))
    assert dict(report.skipped) == {"image file that the annotation table does not list": 1}


def test_what_is_missing_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"expected annotations/annotations_test\.csv .*physionet\.org"):
        read(root, "test")
    path = root / "annotations" / "annotations_train.csv"
    path.write_text(READINGS.replace("x_max", "xmax"))
    with pytest.raises(
        SourceError, match=r"annotations_train\.csv: expected the column 'x_max', found 'image_id', 'rad_id'"
    ):
        read(root, "train")
    path.write_text(READINGS.replace("rad_id", "doctor"))
    with pytest.raises(SourceError, match="expected the column 'rad_id'"):
        read(root, "train")
    path.write_text("")
    with pytest.raises(SourceError, match="an empty file"):
        read(root, "train")
    with pytest.raises(SourceError, match="expected a folder"):
        read(tmp_path / "nowhere", "train")
    with pytest.raises(SourceError, match="expected train and validation, since test is official"):
        read(root, "train", fractions={"train": 0.8, "test": 0.2})
    with pytest.raises(SourceError, match="minimum_readers 0"):
        read(root, "train", minimum_readers=0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_tables_lose_nothing_in_silence(
    studies: list[Study],
    tmp_path: Path,
    survives_damage: Callable[[str, Path, list[Path], st.DataObject], None],
    data: st.DataObject,
) -> None:
    root = tmp_path / "vindr"
    if not root.exists():
        write_vindr_cxr_layout(studies, root)
    survives_damage("vindr_cxr", root, sorted((root / "annotations").iterdir()), data)
