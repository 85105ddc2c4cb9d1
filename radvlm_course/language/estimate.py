"""What a run will cost and how long it will take, before anything is sent.

Tokens are estimated from the length of the texts: English medical prose has about four characters a token in the
tokenizers of today's models, give or take a fifth; a picture counts as many as the caller says. Prices are the user's
own table, since they change and differ::

    currency: USD
    models:
      name-of-the-model: {input_per_million: 0.15, output_per_million: 0.60}
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from radvlm_course.language.client import Message
from radvlm_course.language.jobs import Job

__all__ = ["Estimate", "Price", "PriceTable", "estimate", "read_prices"]

CHARACTERS_PER_TOKEN = 4.0
TOKENS_AROUND_A_MESSAGE = 5  # the chat template's own


class Price(BaseModel):
    """Price of a million tokens."""

    model_config = ConfigDict(extra="forbid")
    input_per_million: float = Field(ge=0)
    output_per_million: float = Field(ge=0)


class PriceTable(BaseModel):
    """Prices of models, in one currency."""

    model_config = ConfigDict(extra="forbid")
    currency: str
    models: dict[str, Price]


def read_prices(path: str | os.PathLike[str]) -> PriceTable:
    """Read the user's price table.

    Raises:
        ValueError: it is not one; names the file and what is wrong.
    """
    try:
        return PriceTable.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError, OSError) as error:
        raise ValueError(
            f"{path}: expected a price table like 'currency: USD, models: {{NAME: {{input_per_million: 0.15, "
            f"output_per_million: 0.60}}}}': {error}"
        ) from error


@dataclass(frozen=True)
class Estimate:
    """What a run will take if every first answer is accepted.

    Attributes:
        cost: in ``currency``; None if there is no price.
        seconds: at ``tokens_per_second`` an answer and ``concurrency`` answers at a time.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    currency: str
    seconds: float
    tokens_per_second: float
    concurrency: int

    def summary(self) -> str:
        """The estimate in words, with its assumptions."""
        cost = "no price table was given" if self.cost is None else f"about {self.cost:,.2f} {self.currency}"
        return (
            f"{self.calls:,} calls, about {self.input_tokens:,} tokens in and {self.output_tokens:,} out "
            f"({CHARACTERS_PER_TOKEN:g} characters a token); cost: {cost}; time: about {_duration(self.seconds)} at "
            f"{self.tokens_per_second:g} tokens a second an answer and {self.concurrency} at a time. Answers that are "
            "rejected are asked again and come on top"
        )


def estimate(
    jobs: Iterable[Job],
    output_characters: float,
    price: Price | None = None,
    currency: str = "",
    tokens_per_second: float = 40.0,
    concurrency: int = 16,
    picture_tokens: int = 0,
) -> Estimate:
    """Estimate a run.

    Args:
        output_characters: expected length of an answer.
        tokens_per_second: how fast one answer is written while ``concurrency`` are under way.
        picture_tokens: of one picture.
    """
    calls, pictures, characters = 0, 0, 0.0
    for job in jobs:
        messages = (job.outline or job.messages)()
        calls += 1
        characters += sum(_length(message) for message in messages)
        pictures += sum(_pictures(message) for message in messages)
    input_tokens = round(characters / CHARACTERS_PER_TOKEN) + pictures * picture_tokens
    output_tokens = round(calls * output_characters / CHARACTERS_PER_TOKEN)
    cost = None
    if price is not None:
        cost = (input_tokens * price.input_per_million + output_tokens * price.output_per_million) / 1e6
    seconds = output_tokens / (tokens_per_second * concurrency)
    return Estimate(calls, input_tokens, output_tokens, cost, currency, seconds, tokens_per_second, concurrency)


def _length(message: Message) -> float:
    content = message["content"]
    texts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return sum(map(len, texts)) + TOKENS_AROUND_A_MESSAGE * CHARACTERS_PER_TOKEN


def _pictures(message: Message) -> int:
    content = message["content"]
    return 0 if isinstance(content, str) else sum(part.get("type") == "image_url" for part in content)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
