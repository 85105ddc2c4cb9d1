"""The reader yields what the corpus holds, and says what it left out."""

import shutil
import warnings
from pathlib import Path

import pytest
from PIL import Image

from radvlm_course.phantoms import FINDINGS, report_findings
from radvlm_course.phantoms.corpus import write_corpus
from radvlm_course.sources import SourceWarning, get_reader
from radvlm_course.sources._common import ReadReport, SourceError
from radvlm_course.sources.phantom import read


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantoms")
    return write_corpus(root, {"train": 4, "validation": 1, "test": 2}, size=32, seed=1, progress=False)


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "copy"))


def test_studies_have_existing_images_and_all_labels(written: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        studies = list(read(written, "train"))
    assert len({study.patient_id for study in studies}) == 4
    for study in studies:
        assert study.split == "train" and tuple(study.findings) == FINDINGS
        with Image.open(study.image_path) as image:
            assert image.size == study.image_size
        affirmed = {finding for finding, _ in report_findings(study.report)}
        assert affirmed == set(study.abnormalities) == {name for name, value in study.findings.items() if value}


def test_splits_share_no_patient(written: Path) -> None:
    patients = [{study.patient_id for study in read(written, split)} for split in ("train", "validation", "test")]
    assert all(patients) and len(set.union(*patients)) == sum(map(len, patients))


def test_it_is_registered() -> None:
    assert get_reader("phantom").read is read


def test_truncated_and_missing_images_are_counted_and_named(copied: Path) -> None:
    whole = list(read(copied, "train"))
    truncated, missing = Path(whole[0].image_path), Path(whole[1].image_path)
    truncated.write_bytes(truncated.read_bytes()[:200])
    missing.unlink()
    with pytest.warns(SourceWarning, match=f"(?s){missing.name}.*|{truncated.name}.*"):
        assert len(list(read(copied, "train"))) == len(whole) - 2
    report = ReadReport()
    assert len(list(read(copied, "train", report=report))) == report.read == len(whole) - 2
    assert sum(report.skipped.values()) == 2
    assert any(str(truncated) in place for places in report.places.values() for place in places)


def test_without_the_check_only_missing_images_are_left_out(copied: Path) -> None:
    truncated = Path(next(read(copied, "test")).image_path)
    truncated.write_bytes(truncated.read_bytes()[:200])
    assert str(truncated) in {study.image_path for study in read(copied, "test", check_images=False)}


@pytest.mark.parametrize("name", ["corpus.json", "studies.jsonl"])
def test_a_missing_file_is_named_with_the_command_that_makes_it(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(SourceError, match=rf"{name}.*radvlm_course\.phantoms write"):
        read(copied, "train")


def test_an_interrupted_corpus_is_refused(copied: Path) -> None:
    manifest = copied / "corpus.json"
    manifest.write_text(manifest.read_text().replace('"complete": true', '"complete": false'))
    with pytest.raises(SourceError, match="interrupted"):
        read(copied, "train")


def test_a_damaged_table_names_the_line(copied: Path) -> None:
    table = copied / "studies.jsonl"
    table.write_text(table.read_text() + '{"image_path": 3}\n')
    with pytest.raises(SourceError, match="line"):
        list(read(copied, "test"))


def test_an_unknown_split_is_refused(written: Path) -> None:
    with pytest.raises(SourceError, match="split"):
        read(written, "dev")
