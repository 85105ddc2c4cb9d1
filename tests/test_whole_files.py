"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from radvlm_course.whole_files import write_whole


def test_a_file_is_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b.txt", b"one")
    write_whole(tmp_path / "a" / "b.txt", b"two", partial=tmp_path / "partial")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"two" and not (tmp_path / "partial").exists()


def test_what_was_there_stays_if_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "b.txt", b"one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "b.txt", b"two")
    assert (tmp_path / "b.txt").read_bytes() == b"one"
