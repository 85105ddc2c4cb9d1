"""Files fetched from a server that misbehaves: whole and right in the end, or an error that says why."""

import errno
import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radvlm_course.sources.downloads.fetching import Fetcher, FetchError, FetchSettings, digests
from radvlm_course.sources.downloads.table import RemoteFile

CONTENT = bytes(range(256)) * 4096  # 1 MiB
ROOT = Path(__file__).parents[3]


def ranges(server) -> list[str]:
    return [asked for method, _, asked in server.requests if method == "GET"]


def test_a_file_comes_whole_with_its_digest_in_the_lock(server, fetcher, remote) -> None:
    file = remote(CONTENT)
    path = fetcher.fetch(file)
    assert path.read_bytes() == CONTENT and path.parent == fetcher.folder
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert fetcher.lock() == {"a.bin": {"url": file.url, "size": len(CONTENT), "sha256": sha256}}
    assert fetcher.has(file, verify=True)
    assert sorted(path.name for path in fetcher.work.iterdir()) == [".lock", "lock.json"]


def test_cut_connections_are_taken_up_where_they_broke(server, fetcher, remote, fault) -> None:
    server.faults["/a.bin"] = [
        fault(cut_after=300_000),
        fault(cut_after=1),
        fault(cut_after=0),
        fault(cut_after=400_000),
    ]
    assert fetcher.fetch(remote(CONTENT)).read_bytes() == CONTENT
    assert ranges(server) == ["", "bytes=300000-", "bytes=300001-", "bytes=300001-", "bytes=700001-"]
    assert server.bytes_sent == len(CONTENT)  # not a byte twice


def test_a_hang_is_cut_and_taken_up(server, tmp_path, remote, fault) -> None:
    server.faults["/a.bin"] = [fault(cut_after=1000), fault(hang=3.0)]
    with Fetcher(tmp_path, FetchSettings(silence_seconds=0.8, first_pause=0.01), progress=False) as fetcher:
        assert fetcher.fetch(remote(CONTENT)).read_bytes() == CONTENT
    assert len(ranges(server)) >= 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(server, fetcher, remote, fault, status) -> None:
    server.faults["/a.bin"] = [fault(status=status, headers={"retry-after": "0"}), fault(status=status)]
    assert fetcher.fetch(remote(CONTENT)).read_bytes() == CONTENT


def test_tries_that_bring_nothing_end_and_keep_what_came(server, fetcher, remote, fault) -> None:
    server.faults["/a.bin"] = [fault(cut_after=5000)] + [fault(cut_after=0)] * 3
    file = remote(CONTENT)
    with pytest.raises(FetchError, match=r"3 tries in a row brought nothing .* 5,000 bytes are kept"):
        fetcher.fetch(file)
    assert not (fetcher.folder / "a.bin").exists() and fetcher.fetched_so_far(file) == 5000
    assert fetcher.fetch(file).read_bytes() == CONTENT  # the next run
    assert server.bytes_sent == len(CONTENT)


def test_a_server_without_ranges_is_read_from_the_beginning(server, fetcher, remote, fault) -> None:
    server.ranges = False
    server.faults["/a.bin"] = [fault(cut_after=900_000), fault(cut_after=10)]
    assert fetcher.fetch(remote(CONTENT)).read_bytes() == CONTENT


def test_a_server_without_ranges_that_always_cuts_is_given_up(server, fetcher, remote, fault) -> None:
    server.ranges = False
    server.faults["/a.bin"] = [fault(cut_after=9000)] * 99
    with pytest.raises(FetchError, match="tries in a row brought nothing"):
        fetcher.fetch(remote(CONTENT))
    assert len(server.requests) < 10


@pytest.mark.parametrize("with_digest", [False, True])
def test_without_a_version_a_file_is_continued_only_if_a_digest_will_tell(
    server, fetcher, remote, fault, with_digest
) -> None:
    server.etags = False
    server.faults["/a.bin"] = [fault(cut_after=1000)]
    assert fetcher.fetch(remote(CONTENT, digest=with_digest)).read_bytes() == CONTENT
    assert ranges(server) == ["", "bytes=1000-" if with_digest else ""]


def test_a_server_without_versions_that_always_cuts_is_given_up(server, fetcher, remote, fault) -> None:
    server.etags = False
    server.faults["/a.bin"] = [fault(cut_after=9000)] * 99
    with pytest.raises(FetchError, match="tries in a row brought nothing"):
        fetcher.fetch(remote(CONTENT, digest=False))
    assert len(server.requests) < 10


def test_a_server_that_tells_no_length_is_read_to_the_end(server, fetcher, remote) -> None:
    server.lengths = False
    assert fetcher.fetch(remote(CONTENT, digest=False)).read_bytes() == CONTENT


OTHER = CONTENT[::-1]


def test_a_file_that_changed_between_two_ranges_is_begun_again(server, fetcher, remote, fault) -> None:
    server.faults["/a.bin"] = [fault(cut_after=1000), fault(change_to=OTHER)]
    assert fetcher.fetch(remote(CONTENT, digest=False)).read_bytes() == OTHER


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_a_change_is_noticed_even_if_the_server_does_not_look_at_if_range(server, fetcher, remote, fault, size) -> None:
    other = (OTHER * 2)[:size]
    server.faults["/a.bin"] = [fault(cut_after=1000), fault(change_to=other, blind=True)]
    assert fetcher.fetch(remote(CONTENT, digest=False)).read_bytes() == other


def test_a_range_that_is_not_the_one_asked_for_is_not_appended(server, fetcher, remote, fault) -> None:
    server.faults["/a.bin"] = [fault(cut_after=1000), fault(shift=7)]
    assert fetcher.fetch(remote(CONTENT)).read_bytes() == CONTENT


def test_a_file_that_shrank_below_what_is_here_is_begun_again(server, fetcher, remote, fault) -> None:
    server.faults["/a.bin"] = [fault(cut_after=1000), fault(change_to=CONTENT[:500], blind=True)]
    assert fetcher.fetch(remote(CONTENT, digest=False)).read_bytes() == CONTENT[:500]


def test_wrong_bytes_are_fetched_again(server, fetcher, remote, fault) -> None:
    server.faults["/a.bin"] = [fault(flip=77)]
    assert fetcher.fetch(remote(CONTENT)).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_bytes_that_stay_wrong_are_an_error_with_both_digests_and_nothing_is_kept(
    server, fetcher, remote, fault
) -> None:
    server.faults["/a.bin"] = [fault(flip=77), fault(flip=77)]
    file = remote(CONTENT)
    with pytest.raises(
        FetchError, match=rf"expected sha256 {file.sha256} \(published by the source\), found [0-9a-f]+"
    ):
        fetcher.fetch(file)
    assert not (fetcher.folder / "a.bin").exists() and not fetcher.fetched_so_far(file) and not fetcher.lock()


def test_an_md5_is_checked_too(server, fetcher, remote) -> None:
    good = hashlib.md5(CONTENT).hexdigest()
    assert fetcher.fetch(remote(CONTENT, digest=False, md5=good)).read_bytes() == CONTENT
    with pytest.raises(FetchError, match="expected md5"):
        fetcher.fetch(remote(CONTENT, "b.bin", digest=False, md5="0" * 32))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"status": 404}, "status 404"),
        ({"status": 403}, "status 403"),
        ({"headers": {"content-type": "text/html"}}, "found a web page"),
        ({"headers": {"content-encoding": "gzip"}}, "encoded as gzip"),
    ],
)
def test_what_is_not_the_file_is_an_error_at_once(server, fetcher, remote, fault, what, said) -> None:
    server.faults["/a.bin"] = [fault(**what)]
    with pytest.raises(FetchError, match=said):
        fetcher.fetch(remote(CONTENT))
    assert len(server.requests) == 1


def test_another_size_than_the_tables_is_an_error_before_the_bytes_come(server, fetcher, remote) -> None:
    with pytest.raises(FetchError, match=r"expected 5 bytes, the source has 1,048,576: the file changed there"):
        fetcher.fetch(remote(CONTENT, size=5))
    assert not fetcher.fetched_so_far(remote(CONTENT))


def test_a_redirect_is_followed(server, fetcher, remote, fault) -> None:
    remote(CONTENT)
    server.faults["/old.bin"] = [fault(status=302, headers={"location": "/a.bin"})]
    file = remote(CONTENT, "old.bin")
    assert fetcher.fetch(file).read_bytes() == CONTENT


def test_redirects_in_a_circle_are_an_error(server, fetcher, remote, fault) -> None:
    server.faults["/a.bin"] = [fault(status=302, headers={"location": "/a.bin"})] * 50
    with pytest.raises(FetchError, match="TooManyRedirects"):
        fetcher.fetch(remote(CONTENT))


def test_a_source_that_serves_other_bytes_later_is_noticed(server, fetcher, remote) -> None:
    file = remote(CONTENT, digest=False)
    fetcher.fetch(file).unlink()
    server.files["/a.bin"] = OTHER
    with pytest.raises(FetchError, match=r"as on the first download into this folder.*delete 'a\.bin' from"):
        fetcher.fetch(file)
    lock = fetcher.work / "lock.json"
    lock.write_text("{}")
    assert fetcher.fetch(file).read_bytes() == OTHER


def test_a_full_disk_keeps_what_came_and_says_so(server, fetcher, remote, monkeypatch) -> None:
    file = remote(CONTENT)
    chunks = httpx.Response.iter_raw

    def full(self, size=None):
        for number, chunk in enumerate(chunks(self, 65536)):
            if number == 5:
                raise OSError(errno.ENOSPC, "No space left on device")
            yield chunk

    monkeypatch.setattr(httpx.Response, "iter_raw", full)
    with pytest.raises(FetchError, match=r"the disk is full; 327,680 bytes are kept\. Make room and run again"):
        fetcher.fetch(file)
    monkeypatch.undo()
    assert fetcher.fetch(file).read_bytes() == CONTENT
    assert ranges(server)[-1] == "bytes=327680-"


def test_a_real_file_size_limit_is_a_full_disk(server, remote, tmp_path) -> None:
    remote(CONTENT)
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from radvlm_course.sources.downloads.fetching import Fetcher, FetchError\n"
        "from radvlm_course.sources.downloads.table import RemoteFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "with Fetcher(Path(sys.argv[1]), progress=False) as fetcher:\n"
        "    try: fetcher.fetch(RemoteFile(name='a.bin', url=sys.argv[2]))\n"
        "    except FetchError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "root"), f"{server.url}/a.bin"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert "the disk is full; 500,000 bytes are kept" in said.stdout, said.stderr
    with Fetcher(tmp_path / "root", progress=False) as fetcher:
        assert fetcher.fetch(remote(CONTENT)).read_bytes() == CONTENT
    assert ranges(server) == ["", "bytes=500000-"]


def test_what_is_here_is_known_by_size_or_by_digest(server, fetcher, remote) -> None:
    file = remote(CONTENT)
    path = fetcher.fetch(file)
    path.write_bytes(OTHER)
    assert fetcher.has(file) and not fetcher.has(file, verify=True)
    path.write_bytes(b"short")
    assert not fetcher.has(file)
    assert fetcher.fetch(file).read_bytes() == CONTENT


def test_the_size_is_asked_of_the_server_where_the_table_has_none(server, fetcher, remote) -> None:
    assert fetcher.size_of(remote(CONTENT)) == len(CONTENT) and not server.requests
    assert fetcher.size_of(remote(CONTENT, digest=False)) == len(CONTENT)
    assert fetcher.size_of(RemoteFile(name="b", url=f"{server.url}/absent")) is None
    assert fetcher.size_of(RemoteFile(name="b", url="http://127.0.0.1:9/b")) is None
    assert {method for method, _, _ in server.requests} == {"HEAD"}


@pytest.mark.parametrize("damage", ["{", "[1]", '{"url": "u"}', ""])
def test_a_damaged_state_begins_again(server, fetcher, remote, fault, damage) -> None:
    server.faults["/a.bin"] = [fault(cut_after=1000)] + [fault(cut_after=0)] * 3
    file = remote(CONTENT)
    with pytest.raises(FetchError):
        fetcher.fetch(file)
    (fetcher.work / "a.bin.part.json").write_text(damage)
    assert fetcher.fetch(file).read_bytes() == CONTENT
    assert ranges(server)[-1] == ""


def test_a_damaged_lock_file_is_an_error_that_names_it(fetcher, remote) -> None:
    (fetcher.work / "lock.json").write_text("{")
    with pytest.raises(FetchError, match=r"lock\.json: expected the lock file"):
        fetcher.fetch(remote(CONTENT))


def test_two_processes_do_not_fetch_into_one_folder(fetcher, quick) -> None:
    with pytest.raises(FetchError, match="another process is downloading here"), Fetcher(fetcher.folder, quick):
        pass


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    content=st.binary(min_size=1, max_size=3000),
    cuts=st.lists(st.integers(0, 3000), max_size=8),
    wrong=st.booleans(),
    versions=st.booleans(),
)
def test_whatever_the_cuts_the_bytes_are_right_in_the_end(
    server, remote, fault, tmp_path_factory, content, cuts, wrong, versions
) -> None:
    server.etags = versions
    server.faults["/a.bin"] = [fault(flip=0)] * wrong + [fault(cut_after=cut) for cut in cuts]
    patient = FetchSettings(tries=10, silence_seconds=30, first_pause=0, longest_pause=0)
    with Fetcher(tmp_path_factory.mktemp("root"), patient, progress=False) as fetcher:
        assert fetcher.fetch(remote(content)).read_bytes() == content


def test_killed_in_the_middle_and_started_again_not_a_byte_is_fetched_twice(server, remote, fault, tmp_path) -> None:
    content = CONTENT * 8
    file = remote(content)
    # The first run gets 3 MB and then silence; it is killed while it waits.
    server.faults["/a.bin"] = [fault(cut_after=3_000_000), fault(hang=20.0)]
    code = (
        "import sys; from pathlib import Path\n"
        "from radvlm_course.sources.downloads.fetching import Fetcher\n"
        "from radvlm_course.sources.downloads.table import RemoteFile\n"
        "with Fetcher(Path(sys.argv[1]), progress=False) as fetcher:\n"
        "    fetcher.fetch(RemoteFile.model_validate_json(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "root"), file.model_dump_json()]
    process = subprocess.Popen(command, cwd=ROOT)
    while len(server.requests) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "root" / "a.bin").exists()
    with Fetcher(tmp_path / "root", progress=False) as fetcher:
        assert fetcher.fetched_so_far(file) == 3_000_000
        assert fetcher.fetch(file).read_bytes() == content
    assert ranges(server) == ["", "bytes=3000000-", "bytes=3000000-"] and server.bytes_sent == len(content)


def test_digests_are_those_of_hashlib(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    expected = {"md5": hashlib.md5(CONTENT).hexdigest(), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    assert digests(tmp_path / "a") == expected
