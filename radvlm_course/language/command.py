"""What the command lines that ask a language model share: their options, the estimate, the run.

Used by ``rewrite_reports.py``, ``write_conversations.py`` and ``write_thinking_traces.py`` of ``data_scripts``.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from radvlm_course.consent import confirmed
from radvlm_course.language.client import CallSettings, LanguageClient
from radvlm_course.language.endpoint import Endpoint, EndpointError
from radvlm_course.language.estimate import Price, estimate, read_prices
from radvlm_course.language.jobs import Job
from radvlm_course.language.priors import prior_rules
from radvlm_course.language.running import RunSummary, run_jobs
from radvlm_course.language.store import AnswerStore, StoreError
from radvlm_course.records import Study
from radvlm_course.settings import parse_yaml
from radvlm_course.sources import READERS, Source, SourceError

__all__ = ["add_model_options", "add_options", "run_command", "studies_of"]

FAILED_FOR_NOW, STOPPED = 1, 2


def add_options(parser: argparse.ArgumentParser, max_tokens: int) -> None:
    """The options of a command that reads the studies of a dataset."""
    data = parser.add_argument_group("data")
    data.add_argument("--source", required=True, choices=sorted(READERS), help="which dataset")
    data.add_argument("--root", required=True, type=Path, help="its folder")
    data.add_argument("--splits", nargs="+", default=["train"], help="train, validation, test")
    data.add_argument("--output", required=True, type=Path, help="folder for the answers")
    data.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="for the dataset's reader")
    data.add_argument("--limit", type=int, help="only so many films, for a first look")
    add_model_options(parser, max_tokens)


def add_model_options(parser: argparse.ArgumentParser, max_tokens: int) -> None:
    """The options that every command has: the language model and the run."""
    model = parser.add_argument_group("language model")
    model.add_argument("--url", default="http://127.0.0.1:8000/v1", help="OpenAI-compatible address (%(default)s)")
    model.add_argument("--model", required=True, help="its name there")
    model.add_argument("--api-key-variable", default="", metavar="NAME", help="environment variable with the key")
    model.add_argument(
        "--covered-by-agreement",
        default="",
        metavar="TEXT",
        help="which agreement allows credentialed data to be sent to this address; recorded with the answers",
    )
    model.add_argument("--max-tokens", type=int, default=max_tokens, help="longest answer (%(default)s)")
    model.add_argument("--temperature", type=float, default=0.0)
    model.add_argument("--extra", type=json.loads, default={}, metavar="JSON", help="further fields of the request")
    run = parser.add_argument_group("run")
    run.add_argument("--concurrency", type=int, default=16, help="calls at a time (%(default)s)")
    run.add_argument("--attempts", type=int, default=3, help="answers until a study is rejected (%(default)s)")
    run.add_argument("--timeout", type=float, default=180.0, help="seconds for one answer (%(default)s)")
    run.add_argument("--tries", type=int, default=6, help="failing tries of a call (%(default)s)")
    run.add_argument("--again", action="store_true", help="ask again about studies that were rejected")
    run.add_argument(
        "--ignore-rules",
        nargs="+",
        default=[],
        choices=[rule.name for rule in prior_rules()],
        help="of the prior check",
    )
    run.add_argument("--prices", type=Path, help="YAML table of prices, for the estimate of costs")
    run.add_argument("--tokens-per-second", type=float, default=40.0, help="of one answer, for the estimate of time")
    run.add_argument("--estimate", action="store_true", help="show the estimate and stop")
    run.add_argument("--yes", action="store_true", help="agree to the estimate in advance")
    run.add_argument("--quiet", action="store_true", help="no progress bar")


def studies_of(options: argparse.Namespace) -> Iterator[Study]:
    """The studies that the options name.

    Raises:
        SystemExit: the dataset's data must not go to the address (told before anything is read), or it is unreadable.
    """
    try:
        _endpoint(options).check(options.source)
        source = Source(options.source, options.root, **_reader_options(options.option))
        if source.has_option("check_images"):
            source.options.setdefault("check_images", False)  # texts are read here, not pictures
        films = itertools.chain.from_iterable(map(source, options.splits))
        yield from itertools.islice(films, options.limit)
        for split, report in source.reports.items():
            if report.skipped:
                print(f"{split}: {report.summary()}")
    except (EndpointError, SourceError) as error:
        raise SystemExit(str(error)) from error


def _reader_options(given: Sequence[str]) -> dict[str, Any]:
    options = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise SystemExit(f"--option {item}: expected NAME=VALUE")
        try:
            options[name] = parse_yaml(value)
        except yaml.YAMLError as error:
            raise SystemExit(f"--option {item}: expected a value, found {error}") from error
    return options


def run_command(
    options: argparse.Namespace,
    jobs: Sequence[Job],
    skipped: Mapping[str, int],
    name: str,
    suffix: str,
    prompts: Mapping[str, str],
    output_characters: float,
    run: str = "",
    settings: Mapping[str, Any] | None = None,
    picture_tokens: int = 0,
) -> int:
    """Estimate, ask for consent, run, and say what happened.

    Args:
        name, suffix: of the folder and the files of the answers.
        prompts: prompt -> digest.
        output_characters: expected length of an answer.
        run: name of the run, if several share the folder.
        settings: what else all answers have in common, JSON-ready.
        picture_tokens: of one picture in a question.

    Returns:
        0 if every study is done, 1 if some got no answer for now, 2 if the run stopped.
    """
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells every request
    for reason, count in sorted(Counter(skipped).items()):
        print(f"left out: {count} x {reason}")
    try:
        with AnswerStore(options.output, name, suffix, _settings(options, prompts, settings or {}), run) as store:
            waiting = store.pending(jobs, options.again)
            print(f"{len(jobs)} studies, {len(jobs) - len(waiting)} of them done")
            if not waiting:
                return 0
            print(_estimate(options, waiting, output_characters, picture_tokens))
            if options.estimate or not confirmed(f"Ask {options.model} at {options.url}?", options.yes):
                return 0
            summary = asyncio.run(_run(options, jobs, store))
    except (EndpointError, StoreError, OSError, ValueError) as error:
        print(f"stopped: {error}")
        return STOPPED
    except KeyboardInterrupt:
        print("interrupted; what is done is kept, start again to go on")
        return STOPPED
    print(summary.text())
    print(f"answers in {store.outputs}, records of all attempts in {store.records}")
    return FAILED_FOR_NOW if summary.failed else 0


async def _run(options: argparse.Namespace, jobs: Sequence[Job], store: AnswerStore) -> RunSummary:
    client = LanguageClient(_endpoint(options), _call_settings(options))
    try:
        return await run_jobs(
            jobs, client, store, options.concurrency, options.attempts, options.again, progress=not options.quiet
        )
    finally:
        await client.close()


def _endpoint(options: argparse.Namespace) -> Endpoint:
    return Endpoint(options.url, options.model, options.covered_by_agreement, options.api_key_variable)


def _call_settings(options: argparse.Namespace) -> CallSettings:
    return CallSettings(
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        extra=options.extra,
        timeout_seconds=options.timeout,
        tries=options.tries,
    )


def _settings(options: argparse.Namespace, prompts: Mapping[str, str], more: Mapping[str, Any]) -> dict[str, Any]:
    data = {"source": options.source, "reader": sorted(options.option)} if "source" in options else {}
    return {
        "model": options.model,
        "covered_by": options.covered_by_agreement,
        "prompts": dict(prompts),
        "ignored_rules": sorted(options.ignore_rules),
        **data,
        **more,
        **_call_settings(options).provenance(),
    }


def _estimate(options: argparse.Namespace, jobs: Sequence[Job], output_characters: float, picture_tokens: int) -> str:
    price: Price | None = None
    currency = ""
    if options.prices is not None:
        table = read_prices(options.prices)
        price, currency = table.models.get(options.model), table.currency
        if price is None:
            listed = ", ".join(sorted(table.models)) or "none"
            raise ValueError(f"{options.prices}: no price of {options.model!r}; it has {listed}")
    speed = (options.tokens_per_second, options.concurrency)
    found = estimate(jobs, output_characters, price, currency, *speed, picture_tokens)
    return found.summary()
