"""Unpack archives file by file, so that a killed run is taken up, and take a sample from one that lies elsewhere.

Every unpacked file appears whole under its name. The list of an archive's files (``.downloads/NAME.files``) is written
last and tells later whether all of them are still there. Only plain files are unpacked, and only below the target.
"""

from __future__ import annotations

import itertools
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from tqdm.auto import tqdm

from radvlm_course.sources.downloads.http_answers import FetchError
from radvlm_course.whole_files import write_whole

__all__ = ["Member", "Unpacker", "is_film", "members_of"]

_CHUNK = 1 << 20
_FILM_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm")
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)


class Member(NamedTuple):
    """A plain file in an archive."""

    name: str
    size: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]


def is_film(name: str) -> bool:
    """Whether a file in an archive is an image."""
    return PurePosixPath(name).suffix.lower() in _FILM_SUFFIXES


def members_of(archive: IO[bytes], name: str) -> Iterator[Member]:
    """The plain files of a tar or zip archive, in its order; each must be read before the next is asked for.

    Args:
        archive: open for reading. A tar archive without ``seek`` is read as a stream, whose early end goes unnoticed
            between two files: whoever opens the stream must notice it.
        name: tells the kind.

    Raises:
        FetchError: it is no archive of that kind, or a damaged one.
    """
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(archive) as file:
                for entry in file.infolist():
                    if not entry.is_dir():
                        yield Member(entry.filename, entry.file_size, partial(file.open, entry))
        else:
            with tarfile.open(fileobj=archive, mode="r:*" if archive.seekable() else "r|*") as tar:
                for info in tar:
                    if not info.isdir():
                        yield Member(info.name, info.size, partial(_opened, tar, info))
    except _DAMAGED as error:
        raise FetchError(f"{name}: expected a whole archive, found a damaged one ({error!r:.200})") from error


def _opened(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info) if info.isfile() else None
    if file is None:
        raise FetchError(f"expected plain files in the archive, found a link or a device: {info.name}")
    return file


class Unpacker:
    """Unpacks archives below a root.

    Args:
        root: folder of the dataset.
        work: folder for the lists of files and for the file that is being written.
    """

    def __init__(self, root: Path, work: Path, progress: bool = True) -> None:
        self.root, self.work, self.progress = root, work, progress

    def unpack(self, archive: Path, into: str, strip: str = "") -> int:
        """Unpack a whole archive; returns the number of its files.

        Args:
            into: folder below the root.
            strip: leading folder of the names in the archive, left out.

        Raises:
            FetchError: it is damaged, or a name in it points outside.
        """
        listed = []
        with archive.open("rb") as file, self._bar(archive.name, None) as bar:
            for member in members_of(file, archive.name):
                if target := self.target_of(member.name, into, strip):
                    self.write(member, target)
                    listed.append(f"{member.size}\t{target.relative_to(self.root).as_posix()}")
                    bar.update()
        write_whole(self._list_of(archive.name), "".join(f"{line}\n" for line in listed).encode())
        return len(listed)

    def unpack_sample(self, archive: Path, count: int, into: str, strip: str, films: Sequence[str]) -> int:
        """Unpack what is no film and the first ``count`` films of an archive that is here; returns how many films.

        Args:
            films: patterns of the films that count, below the root: an archive may begin with films without labels.
            into, strip: as of :meth:`unpack`.

        Raises:
            FetchError: it is damaged, or a name in it points outside.
        """
        taken = 0
        with archive.open("rb") as file, self._bar(f"sample of {archive.name}", count) as bar:
            for member in members_of(file, archive.name):
                target = self.target_of(member.name, into, strip)
                if target is None:
                    continue
                if is_film(member.name):
                    inside = target.relative_to(self.root)
                    if taken == count or not any(inside.match(pattern) for pattern in films):
                        continue
                    taken += 1
                    bar.update()
                self.write(member, target)
        return taken

    def is_unpacked(self, name: str) -> bool:
        """Whether an archive was unpacked to its end and all its files are there with their sizes."""
        try:
            lines = self._list_of(name).read_text("utf-8").splitlines()
            return all((self.root / path).stat().st_size == int(size) for size, path in map(_split, lines))
        except (FileNotFoundError, ValueError):
            return False

    def take(self, members: Iterator[Member], count: int, name: str, into: str, strip: str = "") -> int:
        """Unpack the first ``count`` films of an archive and no more; returns how many there are now."""
        taken = 0
        with self._bar(f"sample of {name}", count) as bar:
            films = (member for member in members if is_film(member.name))
            for member in itertools.islice(films, count):
                if target := self.target_of(member.name, into, strip):
                    self.write(member, target)
                    taken += 1
                    bar.update()
        return taken

    def target_of(self, name: str, into: str, strip: str) -> Path | None:
        """Where a file of an archive goes; None for what an operating system left in it.

        Raises:
            FetchError: the name points outside.
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts or parts[0] == "/" or ":" in parts[0]:
            raise FetchError(
                f"expected names below the archive's own folder, found {name!r}; nothing of it was unpacked"
            )
        parts = tuple(part for part in parts if part != ".")
        if parts[0] == "__MACOSX" or parts[-1].startswith("._") or parts[-1] in (".DS_Store", "Thumbs.db"):
            return None
        if strip and parts[0] == strip:
            parts = parts[1:]
        return self.root.joinpath(into, *parts)

    def write(self, member: Member, target: Path) -> None:
        """Write one file, unless it is there with its size."""
        if target.is_file() and target.stat().st_size == member.size:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.work / "unpacking"
        with member.open() as source, unfinished.open("wb") as out:
            while chunk := source.read(_CHUNK):
                out.write(chunk)
        if (size := unfinished.stat().st_size) != member.size:
            raise FetchError(f"{member.name}: expected {member.size:,} bytes, the archive gives {size:,}")
        unfinished.replace(target)

    def _bar(self, name: str, total: int | None) -> tqdm:
        return tqdm(total=total, unit="file", desc=f"unpacking {name}", disable=not self.progress)

    def _list_of(self, name: str) -> Path:
        return self.work / f"{name}.files"


def _split(line: str) -> tuple[str, str]:
    size, _, path = line.partition("\t")
    return size, path
