"""Which addresses are local, and what may be sent to the others."""

import pytest

from radvlm_course.language.endpoint import OPEN_SOURCES, Endpoint, EndpointError, EndpointRefused

LOCAL = ["http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "https://[::1]:8000/v1", "http://LOCALHOST/v1"]
ELSEWHERE = [
    "https://api.example.org/v1",
    "http://10.0.0.7:8000/v1",
    "http://0.0.0.0:8000/v1",
    "http://node17:8000/v1",
    "http://localhost.example.org/v1",
    "http://127.0.0.1.example.org/v1",
    "http://127.0.0.1%2eexample.org/v1",
    "http://example.org/127.0.0.1/v1",
    "http://example.org\\@127.0.0.1.example.org/v1",
]
CREDENTIALED = ["mimic_cxr", "chexpert", "chexpert_plus", "vindr_cxr", "padchest_gr", "ms_cxr", "chest_imagenome"]


@pytest.mark.parametrize("url", LOCAL)
@pytest.mark.parametrize("source", [*CREDENTIALED, *sorted(OPEN_SOURCES)])
def test_everything_may_be_sent_to_this_machine(url: str, source: str) -> None:
    endpoint = Endpoint(url, "m")
    assert endpoint.is_local
    endpoint.check(source)


@pytest.mark.parametrize("url", ELSEWHERE)
@pytest.mark.parametrize("source", CREDENTIALED)
def test_credentialed_data_is_refused_elsewhere_with_the_reason(url: str, source: str) -> None:
    try:
        endpoint = Endpoint(url, "m")
    except EndpointError:  # an address that cannot be read is refused, too
        return
    assert not endpoint.is_local
    with pytest.raises(EndpointRefused, match=rf"nothing was sent: data of '{source}'.*--covered-by-agreement"):
        endpoint.check(source)


def test_open_data_may_be_sent_anywhere_and_an_unknown_dataset_counts_as_credentialed() -> None:
    endpoint = Endpoint("https://api.example.org/v1", "m")
    for source in OPEN_SOURCES:
        endpoint.check(source)
    for source in ("", "my_hospital", "nih_chestxray14_with_reports", "Phantom"):
        with pytest.raises(EndpointRefused):
            endpoint.check(source)


def test_an_agreement_that_covers_the_endpoint_is_believed() -> None:
    Endpoint("https://llm.hospital.example/v1", "m", covered_by="DUA 12 of 2026").check("mimic_cxr")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://127.0.0.1/v1",
        "file:///etc",
        "http://",
        "http://user:word@127.0.0.1/v1",
        "http://h/?q",
    ],
)
def test_an_address_that_is_not_plain_http_is_refused(url: str) -> None:
    with pytest.raises(EndpointError, match="endpoint: expected an address"):
        Endpoint(url, "m")


def test_the_key_comes_from_the_named_variable_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of another service")
    assert Endpoint("http://127.0.0.1/v1", "m").api_key() == "none"
    monkeypatch.setenv("A_KEY", " k ")
    assert Endpoint("http://127.0.0.1/v1", "m", api_key_variable="A_KEY").api_key() == "k"
    with pytest.raises(EndpointError, match="environment variable MISSING_KEY"):
        Endpoint("http://127.0.0.1/v1", "m", api_key_variable="MISSING_KEY").api_key()
