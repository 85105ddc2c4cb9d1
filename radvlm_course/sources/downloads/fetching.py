"""Fetch large files over HTTP so that they arrive whole: ranges, checks, a lock file.

A file is written to ``.downloads/NAME.part`` and appears under its name only when it is complete and its bytes are
right. A cut connection is taken up where it broke, with a range request that holds only if the file is still the same
(``If-Range``); where nothing tells whether it is, neither a version nor a digest, the file is begun again. The digest
of every file is recorded in ``.downloads/lock.json``, so that other bytes under the same address are noticed later.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock
import httpx
from tqdm.auto import tqdm

from radvlm_course.sources.downloads.http_answers import (
    Changed,
    Cut,
    FetchError,
    RemoteState,
    check_answer,
    first_byte_of,
    state_of,
)
from radvlm_course.sources.downloads.table import RemoteFile
from radvlm_course.whole_files import write_whole

__all__ = ["FetchError", "FetchSettings", "Fetcher", "digests"]

_CHUNK = 1 << 20
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class FetchSettings:
    """Patience: tries in a row that bring nothing, seconds of silence, and pauses, doubled each time."""

    tries: int = 6
    silence_seconds: float = 60.0
    first_pause: float = 1.0
    longest_pause: float = 120.0


class Fetcher:
    """Fetches files into one folder; use it in a ``with`` block, which keeps other processes out.

    Args:
        folder: where the files go; ``.downloads`` in it holds what is unfinished, and the lock file.

    Raises:
        FetchError: another process fetches into the folder.
    """

    def __init__(self, folder: Path, settings: FetchSettings | None = None, progress: bool = True) -> None:
        self.folder, self.work = folder, folder / ".downloads"
        self.settings, self.progress = settings or FetchSettings(), progress
        self.client = httpx.Client(
            follow_redirects=True,
            timeout=httpx.Timeout(self.settings.silence_seconds),
            headers={"accept-encoding": "identity", "user-agent": "radvlm-course"},
        )
        self._guard = filelock.FileLock(self.work / ".lock", timeout=0)

    def __enter__(self) -> Fetcher:
        self.work.mkdir(parents=True, exist_ok=True)
        try:
            self._guard.acquire()
        except filelock.Timeout as error:
            raise FetchError(f"{self.folder}: another process is downloading here; wait until it has ended") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()
        self._guard.release()

    def fetch(self, file: RemoteFile) -> Path:
        """The file, whole and checked.

        Raises:
            FetchError: it cannot be had, or not with the right bytes; what is usable of it is kept for the next run.
        """
        part, state = self._part(file), self._state_path(file)
        for last in (False, True):
            self._complete(file)
            found = digests(part)
            wrong = self._wrong(file, part.stat().st_size, found)
            if not wrong:
                self._record(file, part.stat().st_size, found["sha256"])
                part.replace(self.folder / file.name)
                state.unlink(missing_ok=True)
                break
            self._discard(file)
            if last:
                raise FetchError(f"{file.url}: {wrong}. The bytes were fetched twice and thrown away")
        return self.folder / file.name

    def has(self, file: RemoteFile, verify: bool = False) -> bool:
        """Whether the file was fetched and is as it was: by size, or by its digest if ``verify``."""
        path, entry = self.folder / file.name, self.lock().get(file.name)
        if entry is None or not path.is_file() or path.stat().st_size != entry["size"]:
            return False
        return not verify or digests(path)["sha256"] == entry["sha256"]

    def size_of(self, file: RemoteFile) -> int | None:
        """Size in bytes: from the table, else asked of the server; None if it does not tell."""
        if file.size is not None:
            return file.size
        try:
            answer = self.client.head(file.url)
        except httpx.HTTPError:
            return None
        return state_of(answer, file.url).total if answer.is_success else None

    def fetched_so_far(self, file: RemoteFile) -> int:
        """Bytes of an unfinished download."""
        part = self._part(file)
        return part.stat().st_size if part.is_file() else 0

    def lock(self) -> dict[str, dict[str, Any]]:
        """Name -> url, size and sha256 of every file that was fetched."""
        path = self.work / "lock.json"
        try:
            return dict(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise FetchError(f"{path}: expected the lock file of the downloads, found {error}; move it away") from error

    def _complete(self, file: RemoteFile) -> None:
        """Fetch until all bytes are there, however often the connection breaks."""
        settings, barren, most = self.settings, 0, self.fetched_so_far(file)
        with tqdm(total=file.size, unit="B", unit_scale=True, desc=file.name, disable=not self.progress) as bar:
            while True:
                try:
                    self._try(file, bar)
                    return
                except (Cut, Changed, httpx.TransportError) as error:
                    if isinstance(error, Changed):
                        self._discard(file)
                    have = self.fetched_so_far(file)
                    barren, most = (0, have) if have > most else (barren + 1, most)
                    if barren >= settings.tries:
                        raise FetchError(
                            f"{file.url}: {barren} tries in a row brought nothing (last: {error!r:.200}); {have:,} "
                            "bytes are kept. Run again to go on"
                        ) from error
                    pause = min(settings.first_pause * 2**barren, settings.longest_pause)
                    time.sleep(max(pause, error.pause if isinstance(error, Cut) else 0.0))
                except httpx.HTTPError as error:
                    raise FetchError(f"{file.url}: {error!r:.200}") from error

    def _try(self, file: RemoteFile, bar: tqdm) -> None:
        """One request; what comes is appended to the part, or begins it."""
        state, have = self._state(file), self.fetched_so_far(file)
        if have and (state is None or not (state.validator or file.digests)):
            raise Changed("nothing tells whether what is here belongs to the file of today")
        if state and have and state.total == have:
            return
        headers = {"range": f"bytes={have}-"} if have else {}
        if have and state and state.validator:
            headers["if-range"] = state.validator
        with self.client.stream("GET", file.url, headers=headers) as answer:
            found = check_answer(file, answer)
            if answer.status_code == 206:
                if first_byte_of(answer) != have or (state and state.differs(found)):
                    raise Changed("the file changed at the source, or the range is not the one asked for")
            else:  # all of it: the first request, a server without ranges, or a file that changed
                have = 0
                write_whole(self._state_path(file), json.dumps(dataclasses.asdict(found)).encode())
            bar.n, bar.total = have, found.total or bar.total
            self._append(file, have, answer, bar)
        size = self.fetched_so_far(file)
        if found.total is not None and size != found.total:
            raise Cut(f"{size:,} of {found.total:,} bytes came") if size < found.total else Changed("too many bytes")

    def _append(self, file: RemoteFile, have: int, answer: httpx.Response, bar: tqdm) -> None:
        part = self._part(file)
        try:
            with part.open("r+b" if have else "wb") as out:
                out.seek(have)
                for chunk in answer.iter_raw():  # as they come: larger chunks would be lost in a cut
                    out.write(chunk)
                    bar.update(len(chunk))
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            kept = f"{self.fetched_so_far(file):,} bytes are kept"
            raise FetchError(f"{part}: the disk is full; {kept}. Make room and run again to go on") from error

    def _wrong(self, file: RemoteFile, size: int, found: dict[str, str]) -> str:
        """What is wrong with a complete file; empty if nothing is."""
        if file.size is not None and size != file.size:
            return f"expected {file.size:,} bytes, found {size:,}"
        for name, expected in file.digests.items():
            if found[name] != expected:
                return f"expected {name} {expected} ({file.digest_from}), found {found[name]}"
        before = self.lock().get(file.name)
        if before and before["url"] == file.url and before["sha256"] != found["sha256"]:
            return (
                f"expected sha256 {before['sha256']}, as on the first download into this folder, found "
                f"{found['sha256']}; to take the new file, delete {file.name!r} from {self.work / 'lock.json'}"
            )
        return ""

    def _record(self, file: RemoteFile, size: int, sha256: str) -> None:
        lock = self.lock() | {file.name: {"url": file.url, "size": size, "sha256": sha256}}
        write_whole(self.work / "lock.json", (json.dumps(lock, indent=1, sort_keys=True) + "\n").encode())

    def _part(self, file: RemoteFile) -> Path:
        return self.work / f"{file.name}.part"

    def _state_path(self, file: RemoteFile) -> Path:
        return self.work / f"{file.name}.part.json"

    def _state(self, file: RemoteFile) -> RemoteState | None:
        try:
            state = RemoteState(**json.loads(self._state_path(file).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):  # none, or not one of ours: begin again
            return None
        return state if state.url == file.url else None

    def _discard(self, file: RemoteFile) -> None:
        for path in (self._part(file), self._state_path(file)):
            path.unlink(missing_ok=True)


def digests(path: Path) -> dict[str, str]:
    """md5 and sha256 of a file, in one reading."""
    made = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for digest in made.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in made.items()}
