"""Tokens and addresses."""

import pytest

from radvlm_course.rewards.service.access import AccessError, check_host, is_loopback, read_token
from radvlm_course.rewards.service.wire import TOKEN_VARIABLE

TOKEN = "a-token-of-a-fair-length"


def test_only_addresses_of_this_machine_are_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "node17", "localhost.example.org"]))


def test_an_address_elsewhere_needs_a_token() -> None:
    check_host("127.0.0.1", None)
    check_host("0.0.0.0", TOKEN)
    with pytest.raises(AccessError, match=rf"0\.0\.0\.0 can be reached .*{TOKEN_VARIABLE}"):
        check_host("0.0.0.0", None)


def test_the_token_comes_from_the_file_or_else_from_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert read_token() is None
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert read_token() == TOKEN
    (tmp_path / "token").write_text(f"{TOKEN}-in-a-file\n")
    assert read_token(tmp_path / "token") == f"{TOKEN}-in-a-file"


@pytest.mark.parametrize("bad", ["", "short", "with spaces in between", "ümlaut-ümlaut-ümlaut"])
def test_an_unfit_token_is_refused_without_showing_it(tmp_path, monkeypatch, bad) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, bad)
    with pytest.raises(AccessError, match=f"{TOKEN_VARIABLE}: expected at least 16") as refusal:
        read_token()
    assert not bad or bad not in str(refusal.value)
    with pytest.raises(AccessError, match="cannot be read"):
        read_token(tmp_path / "nothing")
