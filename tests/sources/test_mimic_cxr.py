"""MIMIC-CXR-JPG in its layout with known films, and damaged in every way we could think of."""

import gzip
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.phantoms.layouts_mimic import write_mimic_cxr_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError, SourceWarning, get_reader
from radvlm_course.sources.mimic_cxr import read

METADATA, SPLITS, LABELS = (f"mimic-cxr-2.0.0-{name}.csv" for name in ("metadata", "split", "chexpert"))
# The first film of the fixture in the layout.
SUBJECT, STUDY = "10000001", "50000001"
PRELIMINARY = "report with a preliminary text before FINAL REPORT, left out"
LAST_PARAGRAPH = "report without findings or impression, last paragraph taken"


@pytest.fixture
def layout(films: list[Study], tmp_path: Path) -> Path:
    write_mimic_cxr_layout(films, tmp_path / "mimic")
    return tmp_path / "mimic"


@pytest.fixture(scope="module")
def names(films: list[Study], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_mimic_cxr_layout(films, tmp_path_factory.mktemp("names"))


def page(layout: Path) -> Path:
    return layout / "files" / "p10" / f"p{SUBJECT}" / f"s{STUDY}.txt"


def film(layout: Path) -> Path:
    return next((layout / "files" / "p10" / f"p{SUBJECT}" / f"s{STUDY}").iterdir())


def test_films_written_in_the_layout_read_back_the_same(
    films: list[Study], layout: Path, names: dict[str, str], read_all: Callable[..., Any]
) -> None:
    reading = read_all("mimic_cxr", layout)
    assert set(reading.found) == set(names.values()) and len(names) == 7
    for study in films:
        back = reading.found[names[study.study_id]]
        assert (back.split, back.view, back.report) == (study.split, study.view, study.report)
        assert back.image_size == (96, 64)
        with Image.open(back.image_path) as image:
            assert image.size == (96, 64)
    assert not reading.skipped and reading.noted == {PRELIMINARY: 1, LAST_PARAGRAPH: 2}


def test_labels_are_delivered_as_they_are(layout: Path, names: dict[str, str], read_all: Callable[..., Any]) -> None:
    found = read_all("mimic_cxr", layout).found
    assert found[names["f1"]].findings == {"pleural effusion": 1, "lung lesion": 0}
    assert found[names["f3"]].findings == {"edema": 0, "support devices": 1, "no finding": 1}
    assert found[names["f4"]].findings == {"edema": -1}
    assert found[names["f6"]].findings == {}


def test_names_are_those_of_the_dataset(layout: Path) -> None:
    study = next(read(layout, "train", check_images=False))
    dicom = film(layout).stem
    assert (study.patient_id, study.study_id) == (SUBJECT, f"{STUDY}_{dicom}")
    assert study.image_path == str(layout / "files" / "p10" / f"p{SUBJECT}" / f"s{STUDY}" / f"{dicom}.jpg")


def test_two_films_of_a_study_are_two_records_with_its_report_and_its_remark_once(
    layout: Path, read_all: Callable[..., Any], open_table: Any
) -> None:
    other = "0" * 8 + "-00000000" * 4
    open_table(layout / METADATA).add(4, dicom_id=other, ViewPosition="LL")
    open_table(layout / SPLITS).add(4, dicom_id=other)
    shutil.copy(film(layout), layout / "files/p10/p10000003/s50000004" / f"{other}.jpg")
    reading = read_all("mimic_cxr", layout)
    pair = [study for study in reading.found.values() if study.study_id.startswith("50000004_")]
    assert [study.view for study in pair] == ["PA", "lateral"]
    assert {study.report for study in pair} == {"Perhaps mild edema."} and pair[0].findings == pair[1].findings
    assert reading.noted[PRELIMINARY] == 1


def test_only_frontal_films_are_read_if_asked_and_films_without_a_view_are_counted(
    layout: Path, names: dict[str, str], read_all: Callable[..., Any]
) -> None:
    reading = read_all("mimic_cxr", layout, frontal_only=True)
    assert set(reading.found) == {names[name] for name in ("f1", "f3", "f4", "f5", "f6")}
    assert reading.skipped == {"image without a view position, left out by frontal_only": 1}


@pytest.mark.parametrize(
    ("position", "view"),
    [("AP", "AP"), ("PA", "PA"), ("LL", "lateral"), ("LATERAL", "lateral"), ("LAO", ""), ("AP AXIAL", "")],
)
def test_views_are_named(layout: Path, open_table: Any, position: str, view: str) -> None:
    open_table(layout / METADATA).change(1, "ViewPosition", position)
    assert next(read(layout, "train", check_images=False)).view == view


def test_gzipped_tables_and_reports_in_their_archive_read_the_same(layout: Path, read_all: Callable[..., Any]) -> None:
    plain = read_all("mimic_cxr", layout)
    for name in (METADATA, SPLITS, LABELS):
        (layout / f"{name}.gz").write_bytes(gzip.compress((layout / name).read_bytes()))
        (layout / name).unlink()
    pages = sorted(layout.glob("files/*/*/*.txt"))
    with zipfile.ZipFile(layout / "mimic-cxr-reports.zip", "w") as archive:
        for path in pages:
            archive.write(path, f"mimic-cxr-reports/{path.relative_to(layout)}")
            path.unlink()
    packed = read_all("mimic_cxr", layout)
    assert packed.found == plain.found and packed.noted == plain.noted and len(pages) == 7


def test_sections_are_taken_from_a_table_in_the_order_findings_impression_last_paragraph(layout: Path) -> None:
    table = "study,impression,findings,last_paragraph,comparison\n"
    table += 's50000001,Imp.,"Two\nlines.",,\ns50000002,Imp.,,,\ns50000003,,,Last.,\ns50000007,,,,None\n'
    table += "s50000001,Again.,,,\n,x,,,\nshort\n"
    (layout / "mimic_cxr_sectioned.csv").write_text(table)
    with pytest.warns(SourceWarning) as caught:
        studies = list(read(layout, "train", text_from="sectioned"))
    assert [study.report for study in studies] == ["Two lines.", "Imp.", "Last.", ""]
    text = str(caught[0].message)
    for reason in (
        "second row of sections of a study (first: mimic_cxr_sectioned.csv, line 7)",
        "row of sections without a study",
        "row of sections with too few cells",
        "report without a text that describes the film",
    ):
        assert f"1 x {reason}" in text


def test_a_study_without_a_row_of_sections_is_delivered_without_a_report_and_counted(
    layout: Path, read_all: Callable[..., Any]
) -> None:
    (layout / "elsewhere").mkdir()
    (layout / "elsewhere" / "reports.csv").write_text("study,impression,findings,last_paragraph\ns50000001,A.,,\n")
    reading = read_all("mimic_cxr", layout, text_from="sectioned", text_root=layout / "elsewhere")
    assert sorted(study.report for study in reading.found.values()) == [""] * 6 + ["A."]
    assert reading.noted == {"study without a row of sections": 6}


def test_rewritten_reports_are_taken_and_none_counts_only_as_the_whole_answer(
    layout: Path, read_all: Callable[..., Any]
) -> None:
    folder = layout / "filtered_reports"
    folder.mkdir()
    (folder / "50000001.txt").write_text("None of the lungs\nis abnormal.")
    (folder / "50000002.txt").write_text(" None.\n")
    (folder / "50000003.txt").write_bytes(b"Large \xff heart.")
    for root in (None, folder):
        reading = read_all("mimic_cxr", layout, text_from="filtered", text_root=root)
        reports = {study.study_id[:8]: study.report for study in reading.found.values()}
        assert reports["50000001"] == "None of the lungs is abnormal."
        assert reports["50000002"] == "" and reports["50000003"] == "Large \ufffd heart."
        assert reading.noted == {
            "rewritten report in which nothing remained": 1,
            "report that is not UTF-8, damaged characters replaced": 1,
            "study without a rewritten report": 4,
        }


def test_texts_can_be_left_out(layout: Path, read_all: Callable[..., Any]) -> None:
    reading = read_all("mimic_cxr", layout, text_from="none")
    assert {study.report for study in reading.found.values()} == {""} and not reading.noted


def test_the_negbio_labels_are_read_if_asked(layout: Path) -> None:
    (layout / LABELS).rename(layout / "mimic-cxr-2.0.0-negbio.csv")
    assert next(read(layout, "train", labeller="negbio")).findings == {"pleural effusion": 1, "lung lesion": 0}
    with pytest.raises(SourceError, match=r"expected mimic-cxr-2\.0\.0-chexpert\.csv .*physionet"):
        read(layout, "train")


def test_without_checking_the_tables_are_enough(layout: Path, read_all: Callable[..., Any]) -> None:
    checked = read_all("mimic_cxr", layout)
    for path in layout.glob("files/*/*/*/*.jpg"):
        path.unlink()
    assert read_all("mimic_cxr", layout, check_images=False).found == checked.found
    assert read_all("mimic_cxr", layout).skipped == {"image file not found": 7}


def test_a_film_that_was_made_smaller_keeps_the_size_of_the_original(
    layout: Path, read_all: Callable[..., Any]
) -> None:
    Image.open(film(layout)).resize((48, 48)).save(film(layout))
    reading = read_all("mimic_cxr", layout)
    assert {study.image_size for study in reading.found.values()} == {(96, 64)}
    assert reading.noted["image file of another size than the original"] == 1


@pytest.mark.parametrize("cell", ["", "0", "-5", "many", "nan", "inf"])
def test_a_size_that_the_metadata_lacks_is_taken_from_the_file(
    layout: Path, read_all: Callable[..., Any], open_table: Any, cell: str
) -> None:
    open_table(layout / METADATA).change(1, "Rows", cell)
    for check in (True, False):
        reading = read_all("mimic_cxr", layout, bad_inputs=int(check), check_images=check)
        assert reading.noted["image whose size the metadata does not give, taken from the file"] == 1
        assert {study.image_size for study in reading.found.values()} == {(96, 64)}


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_film_that_cannot_be_decoded_is_counted(
    layout: Path, read_all: Callable[..., Any], content: bytes | None
) -> None:
    path = film(layout)
    path.write_bytes(path.read_bytes()[:700] if content is None else content)
    reading = read_all("mimic_cxr", layout, bad_inputs=1)
    assert len(reading.found) == 6 and reading.skipped == {"image file that cannot be decoded": 1}
    assert path.name in reading.reports["train"].places["image file that cannot be decoded"][0]


def test_what_was_left_out_is_warned_of_at_the_end(layout: Path) -> None:
    film(layout).unlink()
    with pytest.warns(SourceWarning, match=r"mimic_cxr, train: 3 studies read\nleft out: 1 x image file not found"):
        list(read(layout, "train"))


@pytest.mark.parametrize("name", [METADATA, SPLITS, LABELS])
def test_a_missing_table_is_named_with_where_to_get_it(layout: Path, name: str) -> None:
    (layout / name).unlink()
    with pytest.raises(SourceError, match=rf"{name}.*https://physionet\.org/content/mimic-cxr-jpg"):
        list(read(layout, "train"))


@pytest.mark.parametrize(
    ("name", "column"),
    [(METADATA, "ViewPosition"), (METADATA, "Rows"), (SPLITS, "split"), (LABELS, "Lung Lesion"), (LABELS, "study_id")],
)
def test_a_missing_column_is_named_with_the_file_and_what_was_found(layout: Path, name: str, column: str) -> None:
    path = layout / name
    path.write_text(path.read_text().replace(column, "other", 1))
    with pytest.raises(SourceError, match=rf"{name}: expected the column '{column}', found .*'other'.*physionet"):
        list(read(layout, "train"))


@pytest.mark.parametrize(
    ("text_from", "found"),
    [
        ("files", r"mimic-cxr-reports\.zip or files files/.*physionet\.org/content/mimic-cxr/"),
        ("sectioned", r"mimic_cxr_sectioned\.csv.*create_section_files"),
        ("filtered", r"filtered_reports"),
        ("letters", r"text_from: expected files, sectioned, filtered or none; found 'letters'"),
    ],
)
def test_missing_reports_are_named_with_where_to_get_them(layout: Path, text_from: str, found: str) -> None:
    for path in layout.glob("files/*/*/*.txt"):
        path.unlink()
    with pytest.raises(SourceError, match=found):
        read(layout, "train", text_from=text_from)  # type: ignore[arg-type]


def test_wrong_options_are_refused(layout: Path) -> None:
    with pytest.raises(SourceError, match="expected train, validation, test"):
        read(layout, "validate")
    with pytest.raises(SourceError, match="labeller: expected chexpert or negbio"):
        read(layout, "train", labeller="radgraph")  # type: ignore[arg-type]


def test_a_patient_in_two_splits_is_refused(layout: Path, open_table: Any) -> None:
    open_table(layout / SPLITS).change(2, "split", "test")
    with pytest.raises(SourceError, match=rf"expected every patient in one split, found {SUBJECT} in train and test"):
        read(layout, "train")


def test_a_missing_or_unreadable_report_is_counted_and_the_film_is_kept(
    layout: Path, read_all: Callable[..., Any]
) -> None:
    page(layout).unlink()
    other = layout / "files/p10/p10000001/s50000002.txt"
    other.unlink()
    other.mkdir()  # reading a folder fails for every user
    reading = read_all("mimic_cxr", layout, bad_inputs=2)
    assert len(reading.found) == 7
    assert reading.noted["study without a report file"] == reading.noted["report file that cannot be read"] == 1


def test_damaged_rows_are_counted_by_reason(layout: Path, read_all: Callable[..., Any], open_table: Any) -> None:
    new = ["-".join([digit * 8] * 5) for digit in "abcd"]
    metadata, splits, labels = (open_table(layout / name) for name in (METADATA, SPLITS, LABELS))
    metadata.add(1, dicom_id="../../etc")
    metadata.add(1, subject_id="1000")
    metadata.add(1)
    metadata.add(1, dicom_id=new[0])
    metadata.add(1, dicom_id=new[1], subject_id="10000004")
    metadata.rows.append(["short"])
    metadata.save()
    splits.add(1, dicom_id=new[1])
    splits.add(1, dicom_id=new[2])
    splits.add(1, split="dev")
    splits.add(1, dicom_id="film")
    splits.add(5)
    splits.rows.append([new[3], STUDY])
    splits.save()
    labels.change(1, "Edema", "2.0")
    labels.add(2)
    labels.add(2, study_id="59999999")
    labels.add(2, subject_id="19999999")
    labels.rows.append(["short"])
    labels.rows.remove(labels.rows[7])
    labels.save()
    reading = read_all("mimic_cxr", layout, bad_inputs=16)
    assert len(reading.found) == 7
    assert reading.skipped == {
        "row of the metadata whose identifiers are not as MIMIC-CXR writes them": 2,
        "second row of an image in the metadata": 1,
        "image that the split table does not list": 1,
        "image of a patient whom the split table puts elsewhere": 1,
        "row of the metadata with too few cells": 1,
        "image of the split table without a row of metadata": 1,
        "row of the split table with an unknown split or identifier": 2,
        "second row of an image in the split table": 1,
        "row of the split table with too few cells": 1,
        "label that is not 1, 0, -1 or blank": 1,
        "second row of labels of a study": 1,
        "row of labels of a study without a film": 2,
        "row of labels with too few cells": 1,
    }
    assert reading.noted["study without a row of labels"] == 1


@pytest.fixture(scope="module")
def fuzzed(films: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzzed")
    write_mimic_cxr_layout(films, root)
    return root


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_table_every_film_is_delivered_or_counted(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], open_table: Any
) -> None:
    path = fuzzed / data.draw(st.sampled_from([METADATA, SPLITS, LABELS]))
    content = path.read_bytes()
    open_table(path).damage(data)
    try:
        reading = read_all("mimic_cxr", fuzzed, bad_inputs=1, check_images=False)
    except SourceError as error:
        assert "expected every patient in one split" in str(error)  # nothing else stops everything
    else:
        left_out = {
            reason: count
            for reason, count in reading.skipped.items()
            if reason.startswith(("row of the metadata", "second row of an image in the metadata", "image"))
        }
        left_out.pop("image of the split table without a row of metadata", None)
        assert len(reading.found) + sum(left_out.values()) == open_table(fuzzed / METADATA).filled()
    finally:
        path.write_bytes(content)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_are_an_error_that_names_the_file(
    fuzzed: Path, data: st.DataObject, read_all: Callable[..., Any], damaged_bytes: Callable[..., bytes]
) -> None:
    path = fuzzed / data.draw(st.sampled_from([METADATA, SPLITS, LABELS]))
    content = path.read_bytes()
    path.write_bytes(damaged_bytes(content, data))
    try:
        read_all("mimic_cxr", fuzzed, bad_inputs=1, check_images=False)
    except SourceError as error:
        assert path.name in str(error)
    finally:
        path.write_bytes(content)


def test_it_is_registered() -> None:
    assert get_reader("mimic_cxr").read is read
