"""Read the beginning of an archive that lies on a server, or single files of it, without fetching all of it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import IO

import httpx

from radvlm_course.sources.downloads.http_answers import Changed, FetchError, RemoteState, check_answer, first_byte_of
from radvlm_course.sources.downloads.table import RemoteFile

__all__ = ["open_remote"]

_BLOCK = 1 << 20


@contextlib.contextmanager
def open_remote(client: httpx.Client, file: RemoteFile) -> Iterator[IO[bytes]]:
    """A remote archive, open for reading: a zip one by ranges, any other as a stream that ends when it is left.

    Raises:
        FetchError: it is not there, or it is a zip archive on a server without ranges.
        Cut, Changed, httpx.TransportError: the connection broke, or the file changed between two ranges.
    """
    if file.name.endswith(".zip"):
        yield io.BufferedReader(_Ranges(client, file), _BLOCK)
        return
    with client.stream("GET", file.url) as answer:
        check_answer(file, answer)
        yield io.BufferedReader(_Stream(answer), _BLOCK)


class _Stream(io.RawIOBase):
    """The bytes of an answer as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        self._chunks, self._rest = answer.iter_raw(), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


class _Ranges(io.RawIOBase):
    """A remote file that can be read anywhere, one request a read; its size and version must not change meanwhile."""

    def __init__(self, client: httpx.Client, file: RemoteFile) -> None:
        self._client, self._file, self._at = client, file, 0
        self._state: RemoteState | None = None
        self._request(0, 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(origin + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        last = min(self._at + len(buffer), self._size) - 1
        if last < self._at:
            return 0
        content = self._request(self._at, last)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    @property
    def _size(self) -> int:
        assert self._state is not None and self._state.total is not None
        return self._state.total

    def _request(self, first: int, last: int) -> bytes:
        answer = self._client.get(self._file.url, headers={"range": f"bytes={first}-{last}"})
        state = check_answer(self._file, answer)
        if answer.status_code != 206 or first_byte_of(answer) != first or state.total is None:
            raise FetchError(
                f"{self._file.url}: the server gives no parts of a file, so there is no sample: fetch it all"
            )
        if self._state and self._state.differs(state):
            raise Changed("the file changed at the source")
        self._state = self._state or state
        return answer.content
