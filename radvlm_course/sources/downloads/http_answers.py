"""What an HTTP answer says about a file: its size and version, whether it is one to take, when to come back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import httpx

from radvlm_course.sources.downloads.table import RemoteFile

__all__ = ["Changed", "Cut", "FetchError", "RemoteState", "check_answer", "first_byte_of", "state_of"]

_LATER = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_PAUSE = 600.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class FetchError(RuntimeError):
    """A file that could not be fetched; says what was expected, what was found and what to do."""


class Cut(Exception):
    """A try that ended early and may be taken up; ``pause`` is what the server asked for, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class Changed(Exception):
    """What was fetched so far cannot be continued: begin again."""


@dataclass(frozen=True)
class RemoteState:
    """Size and version of a file at its source, as far as an answer tells."""

    url: str
    total: int | None
    etag: str
    modified: str

    @property
    def validator(self) -> str:
        """For ``If-Range``: a strong ETag, else the date (RFC 9110, 13.1.5); empty if there is neither."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def differs(self, other: RemoteState) -> bool:
        """Whether two answers are surely about different bytes."""
        pairs = ((self.total, other.total), (self.etag, other.etag), (self.modified, other.modified))
        return any(one and another and one != another for one, another in pairs)


def state_of(answer: httpx.Response, url: str) -> RemoteState:
    """What an answer with the file, a range of it, or its headers only tells of it."""
    ranged = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    length = ranged.group(2) if ranged else answer.headers.get("content-length", "")
    total = int(length) if length.isdigit() else None
    return RemoteState(url, total, answer.headers.get("etag", ""), answer.headers.get("last-modified", ""))


def first_byte_of(answer: httpx.Response) -> int | None:
    """Where a partial answer begins; None if it does not say."""
    ranged = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    return int(ranged.group(1)) if ranged else None


def check_answer(file: RemoteFile, answer: httpx.Response) -> RemoteState:
    """Take an answer's head or not.

    Raises:
        Cut: come back later. Changed: begin again.
        FetchError: this is not the file and will not be: an error status, a web page, another size, no encryption.
    """
    status, headers = answer.status_code, answer.headers
    if status in _LATER:
        raise Cut(f"status {status}", _pause_of(headers.get("retry-after", "")))
    if status == 416:
        raise Changed("the source has no such range")
    if status not in (200, 206) or (status == 206 and "range" not in answer.request.headers):
        raise FetchError(f"{file.url}: expected the file, found status {status}. Has it moved? See the source's page")
    if answer.url.scheme == "http" and file.url.startswith("https:"):
        raise FetchError(f"{file.url}: redirected to an address without encryption ({answer.url}); not taken")
    if "text/html" in headers.get("content-type", "") and not file.name.endswith((".html", ".htm")):
        raise FetchError(f"{file.url}: expected {file.name}, found a web page (a log-in?). Open it in a browser")
    if headers.get("content-encoding", "identity") != "identity":
        raise FetchError(f"{file.url}: expected plain bytes, found them encoded as {headers['content-encoding']}")
    state = state_of(answer, file.url)
    if file.size is not None and state.total not in (None, file.size):
        raise FetchError(
            f"{file.url}: expected {file.size:,} bytes, the source has {state.total:,}: the file changed there. See "
            "the source's page; sizes and digests stand in radvlm_course/sources/downloads/table.yaml"
        )
    return state


def _pause_of(retry_after: str) -> float:
    try:
        seconds = float(retry_after)
    except ValueError:  # absent, or a date: the own pauses do
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_PAUSE) if math.isfinite(seconds) else 0.0
