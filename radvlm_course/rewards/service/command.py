"""``python -m radvlm_course serve-rewards``: the command line of the reward service."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from radvlm_course.rewards.service.wire import DEFAULT_PORT, TOKEN_VARIABLE

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``serve-rewards`` to a parser."""
    parser.add_argument("--rewards", required=True, help="names of rewards, joined by commas: radcliq,bertscore")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port, 0 for a free one ({DEFAULT_PORT})")
    parser.add_argument(
        "--token-file",
        help=f"file with the token that callers must show (default: the environment variable {TOKEN_VARIABLE}); "
        "required unless the host is this machine only",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="REWARD.OPTION=VALUE", help="an option of one of the rewards"
    )
    parser.add_argument("--batch-pairs", type=int, default=1024, help="most pairs scored in one call (1024)")
    parser.add_argument("--queue-pairs", type=int, default=4096, help="most pairs that wait; more get 429 (4096)")
    parser.add_argument("--cache-pairs", type=int, default=16384, help="scores that are remembered (16384)")
    parser.add_argument("--request-pairs", type=int, default=1024, help="most pairs in one request (1024)")
    parser.add_argument("--request-bytes", type=int, default=16 * 1024 * 1024, help="largest request body (16 MiB)")
    parser.add_argument(
        "--stuck-seconds", type=float, default=300.0, help="a batch that takes longer makes the service unhealthy (300)"
    )
    parser.add_argument("--drain-seconds", type=int, default=60, help="time to finish after a signal (60)")


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it; returns the exit status.

    Raises:
        ValueError: an unknown reward, a wrong option, or no token where one is required.
        RuntimeError: the packages of the service are not installed.
        OSError: the address is taken or not of this machine.
    """
    rewards = rewards_with_options(options.rewards, options.set)
    try:
        from radvlm_course.rewards.service.batching import BatchSettings
        from radvlm_course.rewards.service.running import serve
        from radvlm_course.rewards.service.server import ServiceSettings
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"the reward service needs the package {error.name}: install the extra 'metrics', "
            "for example pip install -c constraints/cpu.txt -e '.[metrics]'"
        ) from error
    from radvlm_course.rewards.service.access import read_token

    batch = BatchSettings(options.batch_pairs, options.queue_pairs, options.cache_pairs)
    settings = ServiceSettings(batch, options.request_bytes, options.request_pairs, options.stuck_seconds)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    token = read_token(options.token_file)
    return serve(rewards, options.host, options.port, token, settings, options.drain_seconds)


def rewards_with_options(names: str, overrides: list[str]) -> dict[str, dict[str, Any]]:
    """Names of rewards with their options.

    Args:
        names: joined by commas.
        overrides: ``REWARD.OPTION=VALUE``, the value as YAML.

    Raises:
        ValueError: a name is not registered, appears twice, or an override is for another reward.

    >>> rewards_with_options("gleu,soft_f1", ["soft_f1.variant=published"])
    {'gleu': {}, 'soft_f1': {'variant': 'published'}}
    """
    from radvlm_course.profiles import parse_override
    from radvlm_course.rewards import reward_names

    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"expected different names of rewards, joined by commas, found {names!r}")
    if unknown := sorted(set(chosen) - set(reward_names())):
        raise ValueError(f"unknown reward {', '.join(unknown)}: expected some of {', '.join(reward_names())}")
    rewards: dict[str, dict[str, Any]] = {name: {} for name in chosen}
    for text in overrides:
        key, value = parse_override(text)
        name, dot, option = key.partition(".")
        if not dot or name not in rewards:
            raise ValueError(f"expected an option of {', '.join(rewards)} like {chosen[0]}.option=1, found {text!r}")
        rewards[name][option] = value
    return rewards
