"""The counters of the service."""

from radvlm_course.rewards.gleu import Gleu
from radvlm_course.rewards.service.metrics import ServiceMetrics


def test_the_text_shows_what_was_counted() -> None:
    metrics = ServiceMetrics()
    metrics.observe_answer("gleu", 200, 0.02)
    metrics.observe_answer("gleu", 429, 0.001, "overloaded")
    metrics.observe_batch("gleu", 8, 0.5)
    metrics.watch_queue("gleu", lambda: 7)
    text = metrics.text().decode()
    for line in (
        'reward_requests_total{reward="gleu",status="200"} 1.0',
        'reward_failures_total{kind="overloaded",reward="gleu"} 1.0',
        'reward_request_seconds_count{reward="gleu"} 2.0',
        'reward_scored_pairs_total{reward="gleu"} 8.0',
        'reward_batch_seconds_sum{reward="gleu"} 0.5',
        'reward_waiting_pairs{reward="gleu"} 7.0',
    ):
        assert line in text


def test_two_services_in_one_process_count_apart() -> None:
    first, second = ServiceMetrics(), ServiceMetrics()
    first.observe_batch("gleu", 8, 0.5)
    assert b"8.0" in first.text()
    assert b"8.0" not in second.text()


def test_a_rewards_own_cache_shows_if_it_has_one() -> None:
    class Info:
        computed, hits = 5, 3

    class WithModel(Gleu):
        def cache_info(self) -> type[Info]:
            return Info

    metrics = ServiceMetrics()
    metrics.watch_texts("gleu", Gleu())
    metrics.watch_texts("radcliq", WithModel())
    text = metrics.text().decode()
    assert 'reward_texts_computed{reward="radcliq"} 5.0' in text
    assert 'reward_text_cache_hits{reward="radcliq"} 3.0' in text
    assert 'reward_texts_computed{reward="gleu"}' not in text
