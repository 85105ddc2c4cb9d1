"""Which addresses stay on this machine."""

import pytest

from radvlm_course.hosts import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost"])
def test_addresses_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "127.0.0.1.example.org",
        "localhost.example.org",
        "node17",
        "127.1",
        "",
        "::ffff:10.0.0.1",
    ],
)
def test_addresses_elsewhere(host: str) -> None:
    assert not is_loopback(host)
