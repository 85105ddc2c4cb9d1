"""Open-i on its real reports, on both forms by hand, and on damaged data."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from radvlm_course.phantoms.layouts_open import write_open_i_layout
from radvlm_course.records import Study
from radvlm_course.sources import SourceError
from radvlm_course.sources._open_i_reports import image_key
from radvlm_course.sources.open_i import read

NO_VIEW = "film of which nobody says whether it is PA, AP or lateral"


def report_file(number: int, findings: str, impression: str, labels: str, images: str = "") -> str:
    sections = "".join(
        f'<AbstractText Label="{name}">{text}</AbstractText>' if text else f'<AbstractText Label="{name}"/>'
        for name, text in (("COMPARISON", "None."), ("FINDINGS", findings), ("IMPRESSION", impression))
    )
    majors = "".join(f"<major>{label}</major>" for label in labels.split(";") if label)
    films = "".join(
        f'<parentImage id="{name}"><caption>PA and lateral chest x-XXXX.</caption></parentImage>'
        for name in (images or f"CXR{number}_IM-1-1001").split()
    )
    return f'<eCitation><uId id="CXR{number}"/><Abstract>{sections}</Abstract><MeSH>{majors}</MeSH>{films}</eCitation>'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Report 1 with two films, reports 2 and 3 with one each."""
    (tmp_path / "ecgen-radiology").mkdir()
    (tmp_path / "NLMCXR_png").mkdir()
    first = "The heart is large. There are no XXXX of effusion.  Lungs are clear."
    write(tmp_path, 1, first, "Cardiomegaly.", "Cardiomegaly/mild;Scoliosis", "CXR1_1_IM-1-3001 CXR1_1_IM-1-4001")
    write(tmp_path, 2, "", "1. Chest x-XXXX. 2. No acute disease. 3. Unchanged.", "normal")
    write(tmp_path, 3, "XXXX.", "", "")
    return tmp_path


def write(root: Path, number: int, findings: str, impression: str, labels: str, images: str = "") -> None:
    text = report_file(number, findings, impression, labels, images)
    (root / "ecgen-radiology" / f"{number}.xml").write_text(text)
    for name in re.findall(r'parentImage id="([^"]+)"', text):
        Image.new("L", (10, 8)).save(root / "NLMCXR_png" / f"{name}.png")


def test_the_real_reports_are_read_and_everything_odd_is_counted(
    real_data: Path, tmp_path: Path, read_all: Callable[..., Any]
) -> None:
    (tmp_path / "reports_xml").symlink_to(real_data / "open_i" / "reports_xml")
    (tmp_path / "images").mkdir()
    film = tmp_path / "elsewhere" / "film.png"  # the reports come without films here: a black one stands in
    film.parent.mkdir()
    Image.new("L", (8, 8)).save(film)
    for path in (real_data / "open_i" / "reports_xml").glob("*.xml"):
        for name in re.findall(r'parentImage id="([^"]+)"', path.read_text()):
            (tmp_path / "images" / f"{name}.png").symlink_to(film)
    reading = read_all("open_i", tmp_path)
    assert len(reading.found) == 191 and len({study.patient_id for study in reading.studies}) == 99
    assert dict(reading.skipped) == {"report without an image": 10, "sentence with XXXX": 83}
    assert reading.noted["report without findings, impression taken"] == 22
    assert reading.noted["report without a sentence that can be used"] == 6
    assert reading.noted[NO_VIEW] == 191
    assert all("XXXX" not in study.report for study in reading.studies)
    first = reading.found["1_IM-0001-3001"]
    assert first.report == (
        "The cardiac silhouette and mediastinum size are within normal limits. There is no pulmonary edema. "
        "There is no focal consolidation. There is no evidence of pneumothorax."
    )
    assert not any(first.findings.values()) and len(first.findings) == 19
    reading = read_all("open_i", tmp_path, anonymised="keep", sections="both", check_images=False)
    assert reading.found["1_IM-0001-3001"].report.endswith("no evidence of pneumothorax. Normal chest x-XXXX.")
    # Of the 109 reports, 55 have XXXX in one of the sections; so many of those have a film.
    masked = {study.patient_id for study in reading.studies if "XXXX" in study.report}
    reading = read_all("open_i", tmp_path, anonymised="leave out report", check_images=False)
    assert reading.skipped["report text with XXXX"] == len(masked)
    assert {study.patient_id for study in reading.studies if not study.report} >= masked


def test_sections_labels_and_films_are_read(root: Path, read_all: Callable[..., Any]) -> None:
    reading = read_all("open_i", root)
    found = reading.found
    assert set(found) == {"1_IM-1-3001", "1_IM-1-4001", "2_IM-1-1001", "3_IM-1-1001"}
    first, second, third = found["1_IM-1-3001"], found["2_IM-1-1001"], found["3_IM-1-1001"]
    assert first.report == found["1_IM-1-4001"].report == "The heart is large. Lungs are clear."
    assert {name for name, value in first.findings.items() if value} == {"cardiomegaly", "other abnormality"}
    assert second.report == "2. No acute disease. 3. Unchanged." and not any(second.findings.values())
    assert third.report == "" and third.findings == {}
    assert first.image_size == (10, 8) and first.patient_id == "CXR1"
    assert dict(reading.skipped) == {"sentence with XXXX": 3}
    assert dict(reading.noted) == {
        "report without findings, impression taken": 1,
        "report without a sentence that can be used": 1,
        "report without labels": 1,
        "label that the course has no name for, taken as other abnormality": 1,
        NO_VIEW: 4,
    }


def test_both_sections_or_masked_text_can_be_asked_for(root: Path, read_all: Callable[..., Any]) -> None:
    reading = read_all("open_i", root, sections="both")
    assert reading.found["1_IM-1-3001"].report == "The heart is large. Lungs are clear. Cardiomegaly."
    reading = read_all("open_i", root, anonymised="keep")
    assert reading.found["1_IM-1-3001"].report == "The heart is large. There are no XXXX of effusion. Lungs are clear."
    assert reading.noted["sentence with XXXX, kept"] == 3
    reading = read_all("open_i", root, anonymised="leave out report")
    assert all(study.report == "" for study in reading.studies) and reading.skipped["report text with XXXX"] == 3
    with pytest.raises(SourceError, match="anonymised 'shred'"):
        read(root, "train", anonymised="shred")  # type: ignore[arg-type]


def test_projections_tell_the_lateral_film(root: Path, read_all: Callable[..., Any]) -> None:
    lines = ["uid,filename,projection", "1,1_IM-1-4001.dcm.png,Frontal", "1,1_IM-1-3001.dcm.png,Lateral", "2"]
    (root / "indiana_projections.csv").write_text("\n".join(lines))
    reading = read_all("open_i", root)
    views = {name: study.view for name, study in reading.found.items()}
    assert views == {"1_IM-1-4001": "PA", "1_IM-1-3001": "lateral", "2_IM-1-1001": "", "3_IM-1-1001": ""}
    assert reading.skipped["row with too few cells"] == 1


def test_the_names_of_a_film_in_both_forms_are_one() -> None:
    for name in ("CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-3001.png", "1_IM-0001-3001.dcm.png", "1_IM-0001-3001.dcm"):
        assert image_key(name) == "1_IM-0001-3001"
    assert image_key("CXR2_IM-0652-1001") == image_key("2_IM-0652-1001.dcm.png") == "2_IM-0652-1001"


def test_thickening_is_of_the_pleura_only_where_the_label_says_so(root: Path, read_all: Callable[..., Any]) -> None:
    write(root, 1, "a.", "b.", "Thickening/pleura/apex;Hernia, Hiatal/large", "CXR1_1_IM-1-3001")
    write(root, 2, "a.", "b.", "Thickening/bronchi;Technical Quality of Image Unsatisfactory ")
    reading = read_all("open_i", root)
    present = {study.study_id: {name for name, value in study.findings.items() if value} for study in reading.studies}
    assert present["1_IM-1-3001"] == {"pleural thickening", "hernia"}
    assert present["2_IM-1-1001"] == {"other abnormality"}


def test_a_film_that_is_listed_again_is_counted_and_given_once(root: Path, read_all: Callable[..., Any]) -> None:
    write(root, 8, "Text.", "", "normal", "CXR8_IM-1-1001")
    path = root / "ecgen-radiology" / "8.xml"
    listed = re.findall(r"<parentImage.*?(?:/>|</parentImage>)", path.read_text())[0]
    path.write_text(path.read_text().replace(listed, listed * 2))
    write(root, 9, "Text.", "", "normal", "CXR8_IM-1-1001")
    reading = read_all("open_i", root)
    assert [study.patient_id for study in reading.studies if study.study_id == "8_IM-1-1001"] == ["CXR8"]
    assert reading.skipped["film that a report lists again"] == 2


BAD_FILES = {
    "": "report file that is not XML",
    "<eCitation>": "report file that is not XML",
    "no XML": "report file that is not XML",
    '<?xml version="1.0" encoding="nonsense"?><eCitation/>': "report file that is not XML",
    "<eCitation>&unknown;</eCitation>": "report file that is not XML",
    "<eCitation>\x00</eCitation>": "report file that is not XML",
    "<eCitation/>": "report without an image",
    report_file(9, "Text.", "", "normal").split("<parentImage")[0] + "</eCitation>": "report without an image",
    report_file(2, "Text.", "", "normal", "CXR2_IM-1-1002"): "second report of a number",
    report_file(9, "Text.", "", "normal", "CXR9_IM-9-gone"): "image file not found",
    report_file(9, "Text.", "", "normal", "cut"): "image file that cannot be decoded",
    report_file(9, "Text.", "", "normal").replace("CXR9_IM-1-1001", ""): "image file not found",
}


@pytest.mark.parametrize("content", BAD_FILES)
def test_a_bad_report_is_counted_and_the_others_read(root: Path, read_all: Callable[..., Any], content: str) -> None:
    (root / "ecgen-radiology" / "9.xml").write_text(content)
    if '"cut"' in content:
        whole = (root / "NLMCXR_png" / "CXR2_IM-1-1001.png").read_bytes()
        (root / "NLMCXR_png" / "cut.png").write_bytes(whole[:40])
    reading = read_all("open_i", root, bad_inputs=1)
    assert reading.skipped.pop("sentence with XXXX") == 3
    assert dict(reading.skipped) == {BAD_FILES[content]: 1}
    assert len(reading.found) == 4


def test_a_film_that_no_report_lists_is_counted_once(root: Path, read_all: Callable[..., Any]) -> None:
    Image.new("L", (8, 8)).save(root / "NLMCXR_png" / "CXR7_IM-1-1001.png")
    reading = read_all("open_i", root)
    assert reading.skipped["image file that no report lists"] == 1


def test_what_is_missing_is_named(root: Path, tmp_path: Path) -> None:
    for path in (root / "NLMCXR_png").iterdir():
        path.unlink()
    with pytest.raises(SourceError, match=r"expected images in .*openi"):
        read(root, "train")
    for path in (root / "ecgen-radiology").iterdir():
        path.unlink()
    with pytest.raises(SourceError, match=r"expected ecgen-radiology/\*\.xml.* or indiana_reports\.csv"):
        read(root, "train")
    (root / "indiana_reports.csv").write_text("uid,MeSH,image,findings,impression\n1,normal,x,Text.,\n")
    with pytest.raises(SourceError, match=r"expected indiana_projections\.csv beside indiana_reports\.csv"):
        read(root, "train")
    (root / "indiana_projections.csv").write_text("uid,file,projection\n1,1.png,Frontal\n")
    with pytest.raises(SourceError, match=r"indiana_projections\.csv: expected the column 'filename'"):
        read(root, "train")


@pytest.mark.parametrize("kaggle", [True, False])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_tables_lose_nothing_in_silence(
    studies: list[Study],
    tmp_path: Path,
    survives_damage: Callable[[str, Path, list[Path], st.DataObject], None],
    kaggle: bool,
    data: st.DataObject,
) -> None:
    root = tmp_path / f"open_i_{kaggle}"
    if not root.exists():
        write_open_i_layout(studies, root, kaggle=kaggle)
    tables = [*root.glob("*.csv")] if kaggle else sorted((root / "ecgen-radiology").iterdir())
    survives_damage("open_i", root, sorted(tables), data)
