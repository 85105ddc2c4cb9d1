"""Is what a GRPO stage talks to there? vLLM and its server, and services that score, asked before hours are spent.

Asked twice: when a command starts that has the stage before it, and when the stage itself begins.
"""

from __future__ import annotations

import http.client
import importlib.util
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any

from radvlm_course.processes import main_process
from radvlm_course.profiles import Profile
from radvlm_course.rewards.choices import RewardChoice, read_choices
from radvlm_course.runs import RunError

__all__ = ["check_services", "missing_services", "vllm_server_url"]

SERVE = (
    'VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --weight-transfer-config \'{"backend": "nccl"}\' '
    "--logprobs-mode processed_logprobs --max-logprobs -1"
)
_ANSWER_SECONDS = 10.0


def check_services(profile: Profile, stages: Iterable[str]) -> None:
    """Ask for everything that some GRPO stages need; in the main process only, which speaks for all.

    A reward service that is still loading is waited for, as long as the reward says (``start_seconds``).

    Raises:
        RunError: names all that is missing and what to do.
    """
    if not main_process():
        return
    lacking = [f"{stage}: {line}" for stage in stages for line in missing_services(profile, stage)]
    if lacking:
        raise RunError(f"profile {profile.name!r} cannot start here:\n" + "\n".join(f"- {line}" for line in lacking))


def missing_services(profile: Profile, stage: str) -> list[str]:
    """What a GRPO stage needs and does not find, in words; empty if all is there."""
    settings = getattr(profile, stage)
    lines = [_missing_vllm(settings.trainer)] if settings.trainer.get("use_vllm") else []
    lines += [_missing_reward_service(choice) for choice in read_choices(settings.reward) if choice.name == "remote"]
    return [line for line in lines if line]


def vllm_server_url(trainer: Mapping[str, Any]) -> str:
    """Where a profile's vLLM server is, by the fields and the defaults of ``trl.GRPOConfig``."""
    given = trainer.get("vllm_server_base_url")
    host, port = trainer.get("vllm_server_host", "0.0.0.0"), trainer.get("vllm_server_port", 8000)
    return str(given).rstrip("/") if given else f"http://{host}:{port}"


def _missing_vllm(trainer: Mapping[str, Any]) -> str:
    if importlib.util.find_spec("vllm") is None:
        return (
            "it writes with vLLM, which is not installed: pip install -c constraints/vllm.txt vllm, or "
            "use_vllm=false for transformers' generate"
        )
    if trainer.get("vllm_mode", "colocate") != "server":
        return ""
    url = vllm_server_url(trainer)
    reason = _why_silent(f"{url}/health")
    if not reason:
        return ""
    return (
        f"no vLLM server answers at {url} ({reason}): start one on GPUs of its own and wait until it has loaded, with "
        f"{SERVE} (docs/many_gpus.md); to start it later, run the stages before this one by their own commands"
    )


def _why_silent(url: str) -> str:
    """Why an address does not answer with 200, in words; empty if it does."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # as TRL's neighbour, not through a proxy
    try:
        with opener.open(url, timeout=_ANSWER_SECONDS) as answer:
            return "" if answer.status == 200 else f"it answers {answer.status}"
    except urllib.error.HTTPError as error:
        return f"it answers {error.code} {error.reason}"
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def _missing_reward_service(choice: RewardChoice) -> str:
    """Ask a reward service as training will. One that training can do without (``on_failure: local``) is not asked."""
    from radvlm_course.rewards.base import RewardError

    if choice.options.get("on_failure") == "local":
        return ""
    try:
        reward: Any = choice.build()
    except (RewardError, RuntimeError, ValueError) as error:
        return (
            f"the reward {choice.key!r} is not served: {error}. Start the service (python -m radvlm_course "
            "serve-rewards, docs/rewards.md) and wait until it is ready"
        )
    reward.close()
    return ""
