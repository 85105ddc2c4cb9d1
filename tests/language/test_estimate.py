"""Cost and time before the run, by hand."""

from pathlib import Path

import pytest

from radvlm_course.language.estimate import Price, estimate, read_prices
from radvlm_course.language.jobs import Job


def job(characters: int) -> Job:
    return Job("a", "s", lambda: [{"role": "user", "content": "x" * characters}], lambda text: None)  # type: ignore


def test_tokens_cost_and_time_are_those_worked_out_by_hand() -> None:
    # 380 characters and 5 tokens of the template make 100 tokens; 200 characters make 50.
    found = estimate([job(380)] * 1000, 200, Price(input_per_million=2.0, output_per_million=10.0), "EUR", 25.0, 10)
    assert (found.calls, found.input_tokens, found.output_tokens) == (1000, 100_000, 50_000)
    assert found.cost == pytest.approx(0.2 + 0.5) and found.seconds == pytest.approx(200.0)
    assert "about 0.70 EUR" in found.summary() and "3 minutes" in found.summary()


def test_without_a_price_the_summary_says_so_and_images_do_not_break_it() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:"}}, {"type": "text", "text": "x" * 380}]
    found = estimate([Job("a", "s", lambda: [{"role": "user", "content": parts}], lambda text: None)], 0)  # type: ignore
    assert found.cost is None and found.input_tokens == 100 and "no price table was given" in found.summary()


def test_pictures_are_counted_and_not_opened() -> None:
    def refuse() -> list:
        raise AssertionError("the estimate opened a picture")

    parts = [{"type": "image_url", "image_url": {"url": ""}}, {"type": "text", "text": "x" * 380}]
    outlined = Job("a", "s", refuse, lambda text: None, lambda: [{"role": "user", "content": parts}])  # type: ignore
    assert estimate([outlined] * 3, 0, picture_tokens=1024).input_tokens == 3 * (100 + 1024)


def test_a_price_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("currency: USD\nmodels:\n  m: {input_per_million: 0.15, output_per_million: 0.6}\n")
    assert read_prices(path).models["m"].output_per_million == 0.6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "currency: USD",
        "models: {m: 1}",
        "{",
        "currency: USD\nmodels: {m: {input_per_million: -1, output_per_million: 1}}",
    ],
)
def test_a_wrong_price_table_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"prices\.yaml: expected a price table"):
        read_prices(path)
    with pytest.raises(ValueError, match="expected a price table"):
        read_prices(tmp_path / "absent.yaml")
