"""PadChest-GR on small layouts: sentences, boxes of either reader, views, guarded splits, and damaged data."""

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
from radvlm_course.phantoms.layouts_open import write_padchest_gr_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError
from radvlm_course.sources.padchest_gr import PAPER_PROJECTIONS, read

REPORTS, MASTER = "grounded_reports_20240819.json", "master_table.csv"
PADCHEST = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
FINDINGS = [
    {
        "sentence_en": "Bilateral pleural  effusion.",
        "sentence_es": "Derrame pleural bilateral.",
        "abnormal": True,
        "boxes": [[0.1, 0.6, 0.3, 0.9], [0.7, 0.6, 0.9, 0.9]],
        "extra_boxes": [[0.1, 0.5, 0.3, 0.9]],
        "labels": ["pleural effusion"],
        "locations": ["bilateral"],
        "progression": None,
    },
    {
        "sentence_en": "Edema with infiltrates.",
        "sentence_es": "Edema con infiltrados.",
        "abnormal": True,
        "boxes": [[0.2, 0.2, 0.4, 0.5]],
        "labels": ["pulmonary edema", "infiltrates"],
    },
    {"sentence_en": "Old fracture.", "sentence_es": "Fractura.", "abnormal": True, "labels": ["rib fracture"]},
    {
        "sentence_en": "No pneumothorax.",
        "sentence_es": "Sin neumotórax.",
        "abnormal": False,
        "labels": ["pneumothorax"],
    },
]


def entry(study: str, findings: Any = FINDINGS, **changes: Any) -> dict[str, Any]:
    return {"StudyID": study, "ImageID": f"{study}.png", "findings": findings} | changes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """s1 (train) and s2 (test) with findings, s3 (train) normal; films of 16 bits."""
    (tmp_path / "Padchest_GR_files").mkdir()
    normal = [{"sentence_en": "Normal film.", "sentence_es": "Normal.", "abnormal": False}]
    write_entries(tmp_path, [entry("s1"), entry("s2"), entry("s3", normal)])
    master = ["StudyID,label,split,PatientID", "s1,pleural effusion,train,p1", "s1,pulmonary edema,train,p1"]
    (tmp_path / MASTER).write_text("\n".join([*master, "s2,pleural effusion,test,p2", "s3,Normal,train,p3"]))
    for name in ("s1", "s2", "s3"):
        pixels = np.arange(12 * 20, dtype=np.uint16).reshape(12, 20) * 200
        Image.fromarray(pixels).save(tmp_path / "Padchest_GR_files" / f"{name}.png")
    return tmp_path


def write_entries(root: Path, entries: Any) -> None:
    (root / REPORTS).write_text(json.dumps(entries))


def test_sentences_become_phrases_labels_and_the_report(root: Path) -> None:
    first, normal = read(root, "train")
    effusion = (Box(0.1, 0.6, 0.3, 0.9), Box(0.7, 0.6, 0.9, 0.9))
    other = (Box(0.2, 0.2, 0.4, 0.5),)
    assert first.phrases == {"Bilateral pleural effusion.": effusion, "Edema with infiltrates.": other}
    assert first.abnormalities == {"pleural effusion": effusion, "edema": other, "infiltration": other}
    assert first.findings == {
        "pleural effusion": 1,
        "edema": 1,
        "infiltration": 1,
        "rib fracture": 1,
        "pneumothorax": 0,
    }
    assert first.report == "Bilateral pleural effusion. Edema with infiltrates. Old fracture. No pneumothorax."
    assert (first.image_size, first.patient_id, first.view) == ((20, 12), "p1", "")
    assert normal.findings == {"no finding": 1} and normal.report == "Normal film." and not normal.phrases
    (test,) = read(root, "test")
    assert test.study_id == "s2" and list(read(root, "validation")) == []


def test_language_and_reader_can_be_chosen(root: Path) -> None:
    first, _ = read(root, "train", language="es", boxes="extra_boxes")
    assert first.phrases == {"Derrame pleural bilateral.": (Box(0.1, 0.5, 0.3, 0.9),)}
    assert first.report.endswith("Sin neumotórax.")
    for wrong in ({"language": "de"}, {"boxes": "both"}):
        with pytest.raises(SourceError, match="expected language 'en' or 'es'"):
            read(root, "train", **wrong)


def test_views_come_from_the_table_of_padchest_and_can_be_filtered(root: Path, read_all: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match=f"expected {PADCHEST}"):
        read(root, "train", projections=PAPER_PROJECTIONS)
    lines = ["ImageID,Projection,Report", "s1.png,PA,x", "s3.png,AP_horizontal,x", "s2.png"]
    (root / PADCHEST).write_text("\n".join(lines))
    reading = read_all("padchest_gr", root)
    assert {name: study.view for name, study in reading.found.items()} == {"s1": "PA", "s3": "AP", "s2": ""}
    assert dict(reading.skipped) == {"row with too few cells": 1}
    reading = read_all("padchest_gr", root, projections=PAPER_PROJECTIONS)
    assert list(reading.found) == ["s1"]
    assert reading.skipped["film of another projection than asked for"] == 2


def test_a_patient_in_two_splits_stays_in_the_more_guarded_one(root: Path, read_all: Callable[..., Any]) -> None:
    path = root / MASTER
    path.write_text(path.read_text().replace("train,p3", "train,p2"))
    reading = read_all("padchest_gr", root)
    assert {name: study.split for name, study in reading.found.items()} == {"s1": "train", "s2": "test"}
    assert dict(reading.skipped) == {"study of a patient who is also in a more guarded split": 1}


SENTENCE = {"sentence_en": "Mass.", "abnormal": True}
BAD_FINDINGS = [
    ({"abnormal": True, "labels": ["mass"]}, "finding without a sentence, or without abnormal true or false"),
    ({"sentence_en": " ", "abnormal": True}, "finding without a sentence, or without abnormal true or false"),
    ({"sentence_en": 5, "abnormal": True}, "finding without a sentence, or without abnormal true or false"),
    ({"sentence_en": "Mass."}, "finding without a sentence, or without abnormal true or false"),
    ({"sentence_en": "Mass.", "abnormal": "yes"}, "finding without a sentence, or without abnormal true or false"),
    ("text", "finding without a sentence, or without abnormal true or false"),
    (None, "finding without a sentence, or without abnormal true or false"),
    (SENTENCE | {"labels": "mass"}, "labels that are not a list of names"),
    (SENTENCE | {"labels": [1]}, "labels that are not a list of names"),
    (SENTENCE | {"boxes": "here"}, "boxes that are not a list"),
    (SENTENCE | {"boxes": [0.1, 0.2, 0.3, 0.4]}, "box that is not four numbers"),
    (SENTENCE | {"boxes": [[0.1, 0.2, 0.3]]}, "box that is not four numbers"),
    (SENTENCE | {"boxes": [[0.1, 0.2, None, 0.4]]}, "box that is not four numbers"),
    (SENTENCE | {"boxes": [[0.1, 0.2, 10**400, 0.4]]}, "box that is not four numbers"),
    (SENTENCE | {"boxes": [[0.5, 0.2, 0.3, 0.4]]}, "box with x2 <= x1 or y2 <= y1"),
    (SENTENCE | {"boxes": [[1.5, 0.2, 1.9, 0.4]]}, "box wholly outside the image"),
    (SENTENCE | {"boxes": [[0.5, 0.2, 1.9, 0.4]]}, "box partly outside the image, cut to it"),
    (
        SENTENCE | {"abnormal": False, "boxes": [[0.1, 0.2, 0.3, 0.4]]},
        "sentence with boxes that is not abnormal, boxes left out",
    ),
]
BAD_ENTRIES = [
    ("text", "entry without StudyID or ImageID"),
    (None, "entry without StudyID or ImageID"),
    ({"ImageID": "s3.png", "findings": FINDINGS}, "entry without StudyID or ImageID"),
    (entry("s3", ImageID=""), "entry without StudyID or ImageID"),
    (entry("s3", ImageID=None), "entry without StudyID or ImageID"),
    (entry("s3", []), "entry without findings"),
    (entry("s3", "text"), "entry without findings"),
    (entry("s9"), "study that the master table does not list"),
    (entry("s1"), "second entry of a study"),
    (entry("s3", ImageID="gone.png"), "image file not found"),
    (entry("s3", ImageID="cut.png"), "image file that cannot be decoded"),
    (entry("s3", ImageID="s3.jpg"), "image listed as .jpg found as .png"),
]
BAD_MASTER_ROWS = {
    "s3,Normal,train": "row with too few cells",
    "s3,Normal,train,": "row without StudyID, PatientID or a known split",
    "s3,Normal,valid,p3": "row without StudyID, PatientID or a known split",
    ",Normal,train,p3": "row without StudyID, PatientID or a known split",
    "s1,Normal,train,p9": "row that gives its study another patient or split",
    "s1,Normal,test,p1": "row that gives its study another patient or split",
}


@pytest.mark.parametrize(("finding", "reason"), BAD_FINDINGS)
def test_a_bad_finding_is_counted_and_the_others_read(
    root: Path, read_all: Callable[..., Any], finding: Any, reason: str
) -> None:
    write_entries(root, [entry("s1", [finding, *FINDINGS]), entry("s2"), entry("s3", [SENTENCE])])
    reading = read_all("padchest_gr", root, bad_inputs=1)
    assert set(reading.counted) == {reason}
    first = reading.studies[0]
    assert len(reading.found) == 3 and len(first.phrases) >= 2 and first.findings["pneumothorax"] == 0


@pytest.mark.parametrize(("bad", "reason"), BAD_ENTRIES)
def test_a_bad_entry_is_counted_and_the_others_read(
    root: Path, read_all: Callable[..., Any], bad: Any, reason: str
) -> None:
    films = root / "Padchest_GR_files"
    (films / "cut.png").write_bytes((films / "s1.png").read_bytes()[:100])
    write_entries(root, [entry("s1"), bad, entry("s2")])
    reading = read_all("padchest_gr", root, bad_inputs=1)
    unlisted = reading.skipped.pop("image file that the JSON file does not list", 0)
    assert reading.counted == {reason: 1} and unlisted >= 1
    assert {"s1", "s2"} <= set(reading.found)


@pytest.mark.parametrize("row", BAD_MASTER_ROWS)
def test_a_bad_row_of_the_master_table_is_counted_once(root: Path, read_all: Callable[..., Any], row: str) -> None:
    path = root / MASTER
    path.write_text("\n".join([*path.read_text().split("\n")[:-1], row]))
    reading = read_all("padchest_gr", root, bad_inputs=1)
    assert dict(reading.skipped) == {BAD_MASTER_ROWS[row]: 1, "study that the master table does not list": 1}
    assert set(reading.found) == {"s1", "s2"}


def test_a_study_is_not_called_normal_if_a_sentence_was_lost(root: Path) -> None:
    write_entries(root, [entry("s3", [{"sentence_en": "Normal film.", "abnormal": False}, {"abnormal": True}])])
    with pytest.warns(UserWarning, match="finding without a sentence"):
        (study,) = read(root, "train")
    assert study.findings == {}


def test_what_is_missing_is_named(root: Path) -> None:
    (root / MASTER).write_text("StudyID,split\ns1,train")
    with pytest.raises(SourceError, match=r"master_table\.csv: expected the column 'PatientID'.*bimcv"):
        read(root, "train")
    (root / MASTER).unlink()
    with pytest.raises(SourceError, match=r"expected master_table\.csv"):
        read(root, "train")
    for content in ("", "{", "{}", "[]", "[1]", '[{"StudyID": "s1", "ImageID": "s1.png"}]'):
        (root / REPORTS).write_text(content)
        with pytest.raises(SourceError, match=r"grounded_reports_20240819\.json: expected"):
            read(root, "train")


def test_a_folder_without_films_is_refused(root: Path) -> None:
    for path in (root / "Padchest_GR_files").iterdir():
        path.unlink()
    with pytest.raises(SourceError, match="expected images in"):
        read(root, "train")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_tables_lose_nothing_in_silence(
    studies: list[Study],
    tmp_path: Path,
    survives_damage: Callable[[str, Path, list[Path], st.DataObject], None],
    data: st.DataObject,
) -> None:
    root = tmp_path / "padchest"
    if not root.exists():
        write_padchest_gr_layout(studies, root)
    survives_damage("padchest_gr", root, [root / REPORTS, root / MASTER, root / PADCHEST], data)
