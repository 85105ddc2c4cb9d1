"""Archives unpacked file by file: whole files only, nothing outside, taken up after a kill."""

import io
import tarfile
from pathlib import Path

import pytest

from radvlm_course.sources.downloads.http_answers import FetchError
from radvlm_course.sources.downloads.unpacking import Unpacker, is_film, members_of

FILES = {f"images/{number:03d}.png": bytes([number]) * (500 + number) for number in range(20)} | {
    "images/README.txt": b"r"
}


@pytest.fixture
def unpacker(tmp_path: Path) -> Unpacker:
    (tmp_path / "root" / ".downloads").mkdir(parents=True)
    return Unpacker(tmp_path / "root", tmp_path / "root" / ".downloads", progress=False)


def unpacked(root: Path) -> dict[str, bytes]:
    files = [path for path in root.rglob("*") if path.is_file() and ".downloads" not in path.parts]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(params=[".zip", ".tar.gz", ".tgz"])
def archive(request, tmp_path: Path, archive_of) -> Path:
    path = tmp_path / f"a{request.param}"
    path.write_bytes(archive_of(FILES, request.param))
    return path


def test_every_file_is_unpacked_with_its_bytes(unpacker: Unpacker, archive: Path) -> None:
    assert unpacker.unpack(archive, ".") == 21 and unpacked(unpacker.root) == FILES
    assert unpacker.is_unpacked(archive.name) and not unpacker.is_unpacked("other.zip")


def test_a_folder_may_be_added_and_one_left_out(unpacker: Unpacker, archive: Path) -> None:
    unpacker.unpack(archive, "films", strip="images")
    assert set(unpacked(unpacker.root)) == {f"films/{name.removeprefix('images/')}" for name in FILES}


def test_files_that_are_gone_or_of_another_size_are_noticed_and_put_back(unpacker: Unpacker, archive: Path) -> None:
    unpacker.unpack(archive, ".")
    for damage in (Path.unlink, lambda path: path.write_bytes(b"torn")):
        damage(unpacker.root / "images" / "007.png")
        assert not unpacker.is_unpacked(archive.name)
        unpacker.unpack(archive, ".")
        assert unpacker.is_unpacked(archive.name) and unpacked(unpacker.root) == FILES


def test_files_that_are_here_are_not_written_again(unpacker: Unpacker, archive: Path) -> None:
    unpacker.unpack(archive, ".")
    before = {path: path.stat().st_mtime_ns for path in (unpacker.root / "images").iterdir()}
    unpacker.unpack(archive, ".")
    assert before == {path: path.stat().st_mtime_ns for path in (unpacker.root / "images").iterdir()}


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.95])
def test_a_damaged_archive_is_an_error_and_not_done(unpacker: Unpacker, archive: Path, keep: float) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
    with pytest.raises(FetchError, match="expected a whole archive, found a damaged one"):
        unpacker.unpack(archive, ".")
    assert not unpacker.is_unpacked(archive.name)
    assert all(FILES[name] == content for name, content in unpacked(unpacker.root).items())


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
@pytest.mark.parametrize("name", ["../out.png", "/out.png", "a/../../out.png", "..\\out.png", "C:\\out.png", "a/.."])
def test_a_name_that_points_outside_is_refused(unpacker: Unpacker, tmp_path: Path, archive_of, suffix, name) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(archive_of({name: b"x"}, suffix))
    with pytest.raises(FetchError, match="expected names below the archive's own folder"):
        unpacker.unpack(path, ".")
    assert not unpacked(unpacker.root) and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_or_a_device_is_refused(unpacker: Unpacker, tmp_path: Path, kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        info = tarfile.TarInfo("link.png")
        info.type, info.linkname = kind, "/etc/passwd"
        made.addfile(info)
    path = tmp_path / "a.tgz"
    path.write_bytes(out.getvalue())
    with pytest.raises(FetchError, match=r"a link or a device: link\.png"):
        unpacker.unpack(path, ".")


def test_what_an_operating_system_left_is_passed_over(unpacker: Unpacker, tmp_path: Path, archive_of) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(
        archive_of({"__MACOSX/._a.png": b"m", "b/._a.png": b"m", "b/.DS_Store": b"m", "./a.png": b"a"}, ".zip")
    )
    assert unpacker.unpack(path, ".") == 1 and unpacked(unpacker.root) == {"a.png": b"a"}


def test_a_sample_is_the_first_films_only(unpacker: Unpacker, archive: Path) -> None:
    with archive.open("rb") as file:
        assert unpacker.take(members_of(file, archive.name), 5, archive.name, ".") == 5
    assert set(unpacked(unpacker.root)) == {f"images/{number:03d}.png" for number in range(5)}
    assert not unpacker.is_unpacked(archive.name)
    with archive.open("rb") as file:
        assert unpacker.take(members_of(file, archive.name), 500, archive.name, ".") == 20


def test_films_are_told_by_their_suffix() -> None:
    assert all(map(is_film, ("a.png", "a/b.JPG", "c.dcm", "d.jpeg"))) and not any(
        map(is_film, ("a.xml", "png", "a.csv"))
    )
