"""What an answer says about a file."""

import httpx
import pytest

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

FILE = RemoteFile(name="a.zip", url="https://example.org/a.zip", size=10)


def answer(status: int = 200, url: str = FILE.url, ranged: bool = False, **headers: str) -> httpx.Response:
    request = httpx.Request("GET", url, headers={"range": "bytes=5-"} if ranged else {})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, request=request)


def test_the_total_comes_from_the_range_or_the_length() -> None:
    assert state_of(answer(content_length="10", etag='"e"', last_modified="m"), "u") == RemoteState("u", 10, '"e"', "m")
    ranged = answer(206, ranged=True, content_length="5", content_range="bytes 5-9/10")
    assert state_of(ranged, "u").total == 10 and first_byte_of(ranged) == 5
    for unclear in ("bytes 5-9/*", "5-9/10", ""):
        assert state_of(answer(206, content_length="", content_range=unclear), "u").total is None
    assert first_byte_of(answer(206)) is None


def test_a_weak_etag_does_not_validate_a_range() -> None:
    assert RemoteState("u", 1, 'W/"e"', "date").validator == "date"
    assert RemoteState("u", 1, '"e"', "date").validator == '"e"'
    assert RemoteState("u", 1, "", "").validator == ""


def test_versions_differ_only_where_both_tell() -> None:
    known = RemoteState("u", 10, '"a"', "m")
    assert not known.differs(RemoteState("u", None, "", "")) and not known.differs(known)
    for other in (RemoteState("u", 11, "", ""), RemoteState("u", 10, '"b"', "m"), RemoteState("u", 10, "", "n")):
        assert known.differs(other)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_later(status: int) -> None:
    with pytest.raises(Cut) as cut:
        check_answer(FILE, answer(status, retry_after="7"))
    assert cut.value.pause == 7


@pytest.mark.parametrize(("said", "pause"), [("99999", 600), ("-1", 0), ("nan", 0), ("inf", 0), ("tomorrow", 0)])
def test_odd_pauses_are_bounded(said: str, pause: float) -> None:
    with pytest.raises(Cut) as cut:
        check_answer(FILE, answer(503, retry_after=said))
    assert cut.value.pause == pause


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (answer(404), "status 404. Has it moved"),
        (answer(401), "status 401"),
        (answer(206), "status 206"),  # nobody asked for a part
        (answer(url="http://example.org/a.zip"), "without encryption"),
        (answer(content_type="text/html; charset=utf-8"), "found a web page"),
        (answer(content_encoding="gzip"), "encoded as gzip"),
        (answer(content_length="11"), "expected 10 bytes, the source has 11"),
    ],
)
def test_what_is_not_the_file_is_refused(found: httpx.Response, said: str) -> None:
    with pytest.raises(FetchError, match=said):
        check_answer(FILE, found)


def test_a_range_that_does_not_exist_means_a_change() -> None:
    with pytest.raises(Changed):
        check_answer(FILE, answer(416, ranged=True))
    assert check_answer(FILE, answer(content_length="10")).total == 10
