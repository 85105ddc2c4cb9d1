"""Rewards with models behind the service: several at a time that share models, each in a thread of its own."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.random_weights import WORDS, build, environment, used

NAMES = ("radcliq", "bertscore", "radgraph", "chexbert")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return build(tmp_path_factory.mktemp("weights"))


def test_served_together_they_score_as_they_do_alone(start_service, connect, weights) -> None:
    service = start_service(rewards=",".join(NAMES), environment=environment(weights))
    rng = random.Random(0)
    texts = [" ".join(rng.choices(list(WORDS), k=rng.randint(5, 30))) for _ in range(36)]
    examples = [Example(f"e{index}", "report_generation", "", "Report?", texts[index // 8]) for index in range(32)]
    completions = texts[4:]
    remotes = [connect(service.url, name, request_pairs=8, timeout_seconds=60.0) for name in NAMES]
    with ThreadPoolExecutor(len(NAMES)) as pool:
        served = list(pool.map(lambda remote: remote(completions, examples), remotes))
    with used(weights):
        for name, values in zip(NAMES, served, strict=True):
            assert values == pytest.approx(get_reward(name)(completions, examples), abs=1e-5), name
    # 4 references and the text of the warm-up once, a completion at most once for each of the two rewards
    assert service.metric("reward_texts_computed", reward="chexbert") <= 4 + 1 + 2 * 32
    assert service.metric("reward_text_cache_hits", reward="radcliq") > 0
    assert service.stop() == 0


def test_missing_weights_end_the_service_with_the_reason(start_service, tmp_path) -> None:
    service = start_service(rewards="chexbert", environment=environment(tmp_path), wait=False)
    assert service.process.wait(120) == 1
    assert "chexbert could not be loaded" in service.log.read_text()
