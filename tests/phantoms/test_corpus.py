"""A corpus is complete or says that it is not, and always the same bytes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from radvlm_course.phantoms import corpus
from radvlm_course.phantoms.corpus import CorpusError, write_corpus
from radvlm_course.records import Study, read_jsonl

PATIENTS = {"train": 4, "validation": 1, "test": 2}


def _bytes(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _write(root: Path, **changes: Any) -> Path:
    settings: dict[str, Any] = {"patients": PATIENTS, "size": 32, "seed": 3, "workers": 1, "progress": False}
    return write_corpus(root, **(settings | changes))


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("complete"))


def test_layout_manifest_and_table(complete: Path) -> None:
    studies = list(read_jsonl(complete / "studies.jsonl", Study))
    manifest = json.loads((complete / "corpus.json").read_text())
    assert manifest["complete"] and manifest["studies"] == len(studies)
    assert manifest["settings"] == {"patients": PATIENTS, "size": 32, "seed": 3, "version": corpus.VERSION}
    for study in studies:
        assert study.study_id.startswith(study.patient_id + "-") and study.source == "phantom"
        with Image.open(complete / study.image_path) as image:
            assert image.size == study.image_size == (32, 32) and image.mode == "L"
    assert sorted(f"images/{path.name}" for path in (complete / "images").iterdir()) == sorted(
        study.image_path for study in studies
    )


def test_splits_share_no_patient_and_have_the_asked_number(complete: Path) -> None:
    patients: dict[str, set[str]] = {}
    for study in read_jsonl(complete / "studies.jsonl", Study):
        patients.setdefault(study.split, set()).add(study.patient_id)
    assert {split: len(every) for split, every in patients.items()} == PATIENTS
    assert len(set.union(*patients.values())) == sum(PATIENTS.values())


def test_two_workers_write_the_same_bytes_as_one(complete: Path, tmp_path: Path) -> None:
    assert _bytes(_write(tmp_path / "two", workers=2)) == _bytes(complete)


def test_another_seed_writes_other_pictures(complete: Path, tmp_path: Path) -> None:
    other = _bytes(_write(tmp_path / "other", seed=4, patients={"train": 1}))
    assert other["images/phantom-00000-1.png"] != _bytes(complete)["images/phantom-00000-1.png"]


def test_more_training_patients_leave_the_test_films_as_they_are(complete: Path, tmp_path: Path) -> None:
    def reports(root: Path) -> list[str]:
        return [study.report for study in read_jsonl(root / "studies.jsonl", Study) if study.split == "test"]

    larger = _write(tmp_path / "larger", patients=PATIENTS | {"train": 5})
    assert reports(larger) == reports(complete)


def test_a_complete_corpus_is_left_alone(complete: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in complete.rglob("*")}
    _write(complete)
    assert {path: path.stat().st_mtime_ns for path in complete.rglob("*")} == before


def test_missing_and_truncated_files_are_made_again(complete: Path, tmp_path: Path) -> None:
    root = _write(tmp_path / "damaged")
    missing, truncated = sorted((root / "images").iterdir())[:2]
    missing.unlink()
    truncated.write_bytes(truncated.read_bytes()[:40])
    _write(root)
    assert _bytes(root) == _bytes(complete)


def test_a_killed_run_is_taken_up_with_the_same_bytes(tmp_path: Path) -> None:
    arguments = {"patients": {"train": 40}, "size": 32, "seed": 3, "progress": False}
    code = (
        f"from radvlm_course.phantoms.corpus import write_corpus; write_corpus(r'{tmp_path / 'killed'}', **{arguments})"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    images = tmp_path / "killed" / "images"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (images.exists() and len(list(images.iterdir())) >= 3):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    manifest = json.loads((tmp_path / "killed" / "corpus.json").read_text())
    assert manifest["complete"] is False and not (tmp_path / "killed" / "studies.jsonl").exists()
    (images / "phantom-00001-1.png.123.partial").write_bytes(b"left behind")
    assert _bytes(_write(tmp_path / "killed", **arguments)) == _bytes(_write(tmp_path / "whole", **arguments))


@pytest.mark.parametrize(
    ("changes", "named"), [({"size": 48}, "size"), ({"seed": 9}, "seed"), ({"patients": {"train": 2}}, "patients")]
)
def test_other_settings_in_the_same_folder_are_refused_by_name(
    complete: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(CorpusError, match=f"made with {named} = .* asked for {named} = "):
        _write(complete, **changes)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(CorpusError, match=r"no corpus\.json"):
        _write(tmp_path)
    (tmp_path / "corpus.json").write_text("[1, 2")
    with pytest.raises(CorpusError, match="expected the manifest"):
        _write(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"patients": {"dev": 3}},
        {"patients": {"train": 0}},
        {"patients": {"train": -1, "test": 2}},
        {"size": 4},
        {"seed": -1},
        {"workers": 0},
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(CorpusError, match="expected"):
        _write(tmp_path / "new", **changes)


def test_a_full_disk_ends_in_a_clear_error_and_can_be_resumed(
    complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, calls = Image.Image.save, 0

    def failing(self: Image.Image, target: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            Path(target).write_bytes(b"half a pict")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(self, target, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Image.Image, "save", failing)
        with pytest.raises(CorpusError, match=r"incomplete.*No space left"):
            _write(tmp_path / "full")
    assert json.loads((tmp_path / "full" / "corpus.json").read_text())["complete"] is False
    assert not list((tmp_path / "full").rglob("*.partial"))
    assert _bytes(_write(tmp_path / "full")) == _bytes(complete)


def test_a_folder_that_cannot_be_made_ends_in_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CorpusError, match="incomplete"):
        _write(tmp_path / "file" / "corpus")
