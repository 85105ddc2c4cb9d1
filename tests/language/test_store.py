"""Files of answers: whole or absent, never of two origins, never written by two processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.language.jobs import Attempt, Job, Record
from radvlm_course.language.store import AnswerStore, StoreError

SETTINGS = {"model": "m", "temperature": 0.0}


def job(key: str) -> Job:
    return Job(key, "phantom", list, lambda text: None)  # type: ignore[arg-type, return-value]


def record(key: str, outcome: str = "accepted", output: str = "Clear lungs.") -> Record:
    return Record(key, "phantom", outcome, output, (Attempt("x", "stop", 1, 1),))  # type: ignore[arg-type]


def open_store(folder: Path, **settings: object) -> AnswerStore:
    return AnswerStore(folder, "reports", ".txt", SETTINGS | settings)


def keys(jobs: list[Job]) -> list[str]:
    return [job.key for job in jobs]


def test_an_accepted_answer_is_a_file_and_a_record_and_is_done(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert keys(store.pending([job("b"), job("train/a")])) == ["b", "train/a"]
        store.write(record("train/a"))
        assert keys(store.pending([job("b"), job("train/a")])) == ["b"]
    assert (tmp_path / "reports" / "train" / "a.txt").read_text() == "Clear lungs.\n"
    assert json.loads((tmp_path / "reports.run" / "records" / "train" / "a.json").read_text())["outcome"] == "accepted"
    assert [path.name for path in (tmp_path / "reports").rglob("*") if path.is_file()] == ["a.txt"]


@pytest.mark.parametrize("outcome", ["rejected", "nothing_left"])
def test_what_has_no_output_is_done_without_a_file(tmp_path: Path, outcome: str) -> None:
    with open_store(tmp_path) as store:
        store.write(record("a", outcome, ""))
        assert store.pending([job("a")]) == []
        assert keys(store.pending([job("a")], again=True)) == (["a"] if outcome == "rejected" else [])
    assert not list((tmp_path / "reports").iterdir())


def test_an_output_that_is_missing_is_written_from_its_record(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.write(record("a"))
    output = tmp_path / "reports" / "a.txt"
    for damage in (output.unlink, lambda: output.write_bytes(b"")):  # killed between the two writes; power loss
        damage()
        with open_store(tmp_path) as store:
            assert store.pending([job("a")]) == []
        assert output.read_text() == "Clear lungs.\n"


@pytest.mark.parametrize("content", [b"", b"{", b'{"key": "a"}', b"\xff", b"[]", b"null"])
def test_a_damaged_record_is_said_and_its_job_done_again(tmp_path: Path, content: bytes) -> None:
    with open_store(tmp_path) as store:
        store.write(record("a", "rejected", ""))
        (store.records / "a.json").write_bytes(content)
        if content:
            with pytest.warns(UserWarning, match=r"a\.json: not a record"):
                assert keys(store.pending([job("a")])) == ["a"]
        else:
            assert keys(store.pending([job("a")])) == ["a"]


def test_an_output_put_there_by_hand_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "a.txt").write_text("By hand.")
    with open_store(tmp_path) as store:
        assert store.pending([job("a")]) == []
    assert (tmp_path / "reports" / "a.txt").read_text() == "By hand."


def test_answers_of_other_settings_are_not_mixed_and_the_error_says_which(tmp_path: Path) -> None:
    with open_store(tmp_path):
        pass
    with open_store(tmp_path):
        pass
    with (
        pytest.raises(StoreError, match=r"other settings \(model: 'm' then, 'other' now\)"),
        open_store(tmp_path, model="other"),
    ):
        pass
    with open_store(tmp_path):  # the lock was released
        pass


def test_two_runs_may_share_the_folder_of_outputs(tmp_path: Path) -> None:
    with (
        AnswerStore(tmp_path, "c", ".json", {"prompt": "a"}, run="c.standard") as first,
        AnswerStore(tmp_path, "c", ".json", {"prompt": "b"}, run="c.grounding") as second,
    ):
        first.write(record("train/standard/a"))
        second.write(record("train/grounding/a"))
    assert len(list((tmp_path / "c").rglob("*.json"))) == 2


def test_a_second_process_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from radvlm_course.language.store import AnswerStore\n"
        f"with AnswerStore({str(tmp_path)!r}, 'reports', '.txt', {SETTINGS!r}):\n"
        "    print('in', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None and process.stdout.readline() == "in\n"
    with pytest.raises(StoreError, match="another process is writing here"), open_store(tmp_path):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with open_store(tmp_path):
        pass


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../a", "a/../b", "a//b", ".hidden", "a b", "a\\b", "a\n", "ä", "x" * 300]
)
def test_a_key_that_makes_no_file_name_is_refused(tmp_path: Path, key: str) -> None:
    with open_store(tmp_path) as store:
        with pytest.raises(StoreError, match="expected a key"):
            store.pending([job(key)])
        with pytest.raises(StoreError, match="expected a key"):
            store.write(record(key))


def test_two_jobs_of_one_name_are_refused_also_where_only_the_case_differs(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for pair in (("a", "a"), ("a", "A")):
            with pytest.raises(StoreError, match="two jobs are called"):
                store.pending(map(job, pair))


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path) as store:
        store.write(record("a", output="First."))

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(
            OSError, match=r"a\.json cannot be written, what was kept before stays whole: .*No space left"
        ):
            store.write(record("a", output="Second."))
        monkeypatch.undo()
    assert (tmp_path / "reports" / "a.txt").read_text() == "First.\n"
    with open_store(tmp_path) as store:
        assert store.pending([job("a")]) == [] and (store.read("a") or record("b")).output == "First."


@settings(deadline=None)
@given(output=st.text())
def test_any_text_comes_back_from_its_record(tmp_path_factory: pytest.TempPathFactory, output: str) -> None:
    folder = tmp_path_factory.mktemp("store")
    with open_store(folder) as store:
        store.write(record("a", output=output))
        found = store.read("a")
    assert found is not None and found.output == output
