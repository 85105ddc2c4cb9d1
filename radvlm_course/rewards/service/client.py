"""A reward that is scored by a reward service: the trainer's side.

It is a :class:`~radvlm_course.rewards.base.Reward` like any other, with the name, the range and the tasks of the
reward that it stands for, and gives the same numbers: to the last bit where the reward counts words or boxes, within
the rounding of the models' arithmetic (about 1e-6, which depends on how texts share batches) where it runs a model.

A service that fails is never a low reward. ``on_failure`` says what else it is:

* ``"raise"`` (default): an error after the last try, which stops the training at a step that can be resumed;
* ``"wait"``: try for ever, with a warning each time, until the service is back;
* ``"local"``: score in this process, with a warning: the same numbers, at this process's cost.

An example that cannot be scored raises in all three.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from radvlm_course.records import Example
from radvlm_course.rewards.base import Reward, RewardError
from radvlm_course.rewards.service.access import read_token
from radvlm_course.rewards.service.wire import (
    Description,
    Pair,
    WireError,
    decode_values,
    encode_pairs,
    parse_description,
    reward_path,
)

if TYPE_CHECKING:
    from radvlm_course.rewards.service.transport import RetrySettings, Transport

__all__ = ["OnFailure", "RemoteReward"]

logger = logging.getLogger(__name__)

OnFailure = Literal["raise", "wait", "local"]

_LOCAL_SECONDS = 60.0


class RemoteReward(Reward):
    """A served reward; range, direction, empty value and tasks are those of the reward itself.

    Building one waits until the service has loaded the reward's models. It may be used from several threads, whose
    requests the service joins.

    Before training only an example's task is checked here; what else the reward may refuse (a blank reference, for
    one) the service refuses when it is asked for a score, naming the example.

    Args:
        url: address of the service, as in ``http://127.0.0.1:9400``, or several that serve the same rewards.
        reward: the name under which the service serves it.
        on_failure: what happens if the service stays out of reach (see the module).
        timeout_seconds: how long one answer may take, waiting in the queue included.
        attempts: how many tries of a request may fail; being told to come again later is no failure.
        give_up_seconds: how long a request is tried.
        start_seconds: how long to wait for a service that is starting.
        request_pairs: most pairs in one request, no more than the service allows.
        token_file: file with the service's token (default: the environment variable
            ``RADVLM_COURSE_REWARD_TOKEN``, if it is set).
        local_options: options of the reward for ``on_failure="local"``; they must be those of the service.

    Raises:
        RewardError: the service does not serve the reward, refuses the token, or (``raise``) is out of reach.
        ValueError: an argument is out of bounds, or the address is on another machine and there is no token.
        RuntimeError: the packages of the client are not installed.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        reward: str,
        on_failure: OnFailure = "raise",
        timeout_seconds: float = 300.0,
        attempts: int = 12,
        give_up_seconds: float = 900.0,
        start_seconds: float = 600.0,
        request_pairs: int = 256,
        token_file: str | None = None,
        local_options: Mapping[str, Any] | None = None,
    ) -> None:
        if on_failure not in ("raise", "wait", "local"):
            raise ValueError(f"{reward}: expected on_failure 'raise', 'wait' or 'local', found {on_failure!r}")
        if request_pairs < 1:
            raise ValueError(f"{reward}: expected request_pairs of at least 1, found {request_pairs}")
        self.on_failure = on_failure
        self._served_name = reward
        self._request_pairs = request_pairs
        self._local_options = dict(local_options or {})
        self._local: Reward | None = None
        self._local_until = 0.0
        self._local_lock = threading.Lock()
        urls = [url] if isinstance(url, str) else list(url)
        self._transport, self._retries = _open(urls, read_token(token_file), timeout_seconds, attempts, give_up_seconds)
        starting = replace(self._retries, attempts=None, give_up_seconds=start_seconds)
        if on_failure == "wait":
            self._retries = starting = replace(starting, give_up_seconds=None)
        declared = self._describe(starting)
        self.name, self.range = declared.name, declared.range
        self.empty_value, self.tasks, self.judges = declared.empty_value, declared.tasks, declared.judges

    def score(self, response: str, example: Example) -> float:
        return self.score_batch([response], [example])[0]

    def score_batch(self, responses: Sequence[str], examples: Sequence[Example]) -> list[float]:
        """Scores of many responses, in order.

        Raises:
            RewardError: the service refused or failed (names the example), or stayed out of reach.
        """
        pairs = [Pair(response, example) for response, example in zip(responses, examples, strict=True)]
        values: list[float] = []
        for start in range(0, len(pairs), self._request_pairs):
            values += self._scores(pairs[start : start + self._request_pairs])
        return values

    def close(self) -> None:
        """Close the connections; the reward cannot be used afterwards."""
        self._transport.close()

    def _scores(self, pairs: Sequence[Pair]) -> list[float]:
        from radvlm_course.rewards.service.transport import ServiceUnavailable

        if time.monotonic() < self._local_until:
            return self._score_locally(pairs)
        path = reward_path(self._served_name) + "/scores"
        try:
            return decode_values(self._transport.send("POST", path, self._retries, encode_pairs(pairs)), len(pairs))
        except ServiceUnavailable as error:
            if self.on_failure != "local":
                raise ServiceUnavailable(f"{self.name}: {_named(pairs)} not scored: {error}") from error
            logger.warning("%s: scoring in this process for %.0f s: %s", self.name, _LOCAL_SECONDS, error)
            values = self._score_locally(pairs)
            self._local_until = time.monotonic() + _LOCAL_SECONDS
            return values
        except WireError as error:
            raise RewardError(f"{self.name}: {_named(pairs)} not scored: {error}") from error

    def _describe(self, retries: RetrySettings) -> Description:
        from radvlm_course.rewards.service.transport import ServiceUnavailable

        try:
            return parse_description(self._transport.send("GET", reward_path(self._served_name), retries))
        except WireError as error:
            raise RewardError(f"{self._served_name}: {error}") from error
        except ServiceUnavailable as error:
            if self.on_failure != "local":
                raise
            logger.warning("%s: scoring in this process: %s", self._served_name, error)
            local = self._local_reward()
            return Description(local.name, local.range, local.empty_value, local.tasks, local.judges)

    def _score_locally(self, pairs: Sequence[Pair]) -> list[float]:
        local = self._local_reward()
        with self._local_lock:
            return local([pair.response for pair in pairs], [pair.example for pair in pairs])

    def _local_reward(self) -> Reward:
        from radvlm_course.rewards import get_reward

        with self._local_lock:
            if self._local is None:
                self._local = get_reward(self._served_name, **self._local_options)
            return self._local


def _open(
    urls: Sequence[str], token: str | None, timeout_seconds: float, attempts: int, give_up_seconds: float
) -> tuple[Transport, RetrySettings]:
    try:
        from radvlm_course.rewards.service.transport import RetrySettings, Transport
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"a remote reward needs the package {error.name}: install the extra 'metrics', "
            "for example pip install -c constraints/cpu.txt -e '.[metrics]'"
        ) from error
    return Transport(urls, token, timeout_seconds), RetrySettings(attempts, give_up_seconds)


def _named(pairs: Sequence[Pair]) -> str:
    count = f"{len(pairs)} pairs, the first of" if len(pairs) > 1 else "one pair, of"
    return f"{count} example {pairs[0].example.id!r},"
