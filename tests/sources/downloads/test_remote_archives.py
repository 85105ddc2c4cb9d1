"""A few files out of an archive that lies on a server."""

import httpx
import pytest

from radvlm_course.sources.downloads.http_answers import Changed, FetchError
from radvlm_course.sources.downloads.remote_archives import open_remote
from radvlm_course.sources.downloads.unpacking import members_of

FILES = {f"{number:03d}.png": bytes([number]) * 300_000 for number in range(40)}  # 12 MB


@pytest.fixture
def client():
    with httpx.Client(headers={"accept-encoding": "identity"}) as made:
        yield made


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_all_files_come_with_their_bytes(client, remote, archive_of, suffix) -> None:
    file = remote(archive_of(FILES, suffix), f"a{suffix}", digest=False)
    found = {}
    with open_remote(client, file) as archive:
        for member in members_of(archive, file.name):
            with member.open() as content:
                found[member.name] = content.read()
    assert found == FILES


def test_the_first_file_of_a_zip_costs_little_and_asks_for_ranges_only(client, remote, server, archive_of) -> None:
    file = remote(archive_of(FILES, ".zip"), "a.zip", digest=False)
    with open_remote(client, file) as archive:
        members = members_of(archive, file.name)
        with next(members).open() as content:
            assert content.read() == FILES["000.png"]
    assert all(asked for _, _, asked in server.requests) and server.bytes_sent < 4_000_000


def test_a_zip_on_a_server_without_ranges_cannot_be_sampled(client, remote, server, archive_of) -> None:
    server.ranges = False
    with (
        pytest.raises(FetchError, match="the server gives no parts of a file, so there is no sample"),
        open_remote(client, remote(archive_of(FILES, ".zip"), "a.zip", digest=False)),
    ):
        pass


def test_a_zip_that_changes_between_two_ranges_is_noticed(client, remote, server, archive_of, fault) -> None:
    content = archive_of(FILES, ".zip")
    server.faults["/a.zip"] = [fault(), fault(), fault(change_to=content[:-1] + b"x")]
    file = remote(content, "a.zip", digest=False)
    with pytest.raises(Changed), open_remote(client, file) as archive:
        for member in members_of(archive, file.name):
            with member.open() as opened:
                opened.read()


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_an_archive_that_is_not_there_is_an_error(client, remote, server, suffix) -> None:
    file = remote(b"", f"a{suffix}", digest=False)
    del server.files[f"/a{suffix}"]
    with pytest.raises(FetchError, match="status 404"), open_remote(client, file):
        pass
