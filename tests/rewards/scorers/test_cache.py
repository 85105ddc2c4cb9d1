"""The cache on disk: kept between processes, bounded, apart by namespace, never a foreign file."""

import subprocess
import sys
import threading

import pytest

from radvlm_course.rewards.scorers.cache import DiskCache


def test_what_was_put_is_found_by_another_object_and_process(tmp_path) -> None:
    path = tmp_path / "new" / "features.sqlite"
    DiskCache(path, "model").put({"no effusion": b"1", "\udc80": b"2"})
    assert DiskCache(path, "model").get(["no effusion", "other", "\udc80"]) == {"no effusion": b"1", "\udc80": b"2"}
    code = (
        "import sys; from radvlm_course.rewards.scorers.cache import DiskCache; "
        "print(DiskCache(sys.argv[1], 'model').get(['no effusion']))"
    )
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert found.stdout == "{'no effusion': b'1'}\n"


def test_namespaces_do_not_see_each_other(tmp_path) -> None:
    DiskCache(tmp_path / "f", "one").put({"a": b"1"})
    other = DiskCache(tmp_path / "f", "two")
    assert other.get(["a"]) == {}
    assert len(other) == 0


def test_the_least_recently_used_is_forgotten_beyond_the_bound(tmp_path) -> None:
    cache = DiskCache(tmp_path / "f", "model", max_bytes=300)
    for name in "abc":
        cache.put({name: bytes(100)})
    assert set(cache.get("a")) == {"a"}  # now b is the oldest
    cache.put({"d": bytes(100)})
    assert set(cache.get("abcd")) == {"a", "c", "d"}


def test_thousands_of_texts_go_in_and_out(tmp_path) -> None:
    cache = DiskCache(tmp_path / "f", "model")
    features = {str(number): b"%d" % number for number in range(2500)}
    cache.put(features)
    assert cache.get(features) == features


def test_several_threads_write_at_once(tmp_path) -> None:
    caches = [DiskCache(tmp_path / "f", "model") for _ in range(4)]

    def write(cache: DiskCache, number: int) -> None:
        for item in range(50):
            cache.put({f"{number} {item}": b"x"})

    threads = [threading.Thread(target=write, args=(cache, number)) for number, cache in enumerate(caches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(caches[0]) == 200


def test_a_file_that_is_no_cache_is_named(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    with pytest.raises(OSError, match=r"notes\.txt as a cache of features.*remove it or name another"):
        DiskCache(tmp_path / "notes.txt", "model")
