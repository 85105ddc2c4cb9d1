"""Each distinct text once, references from the cache, rollouts forgotten."""

import threading

import pytest
import torch

from radvlm_course.rewards.scorers.features import CacheInfo, TextScorer, fingerprint


class Lengths(TextScorer[int]):
    """A scorer for tests: the feature of a text is its length."""

    def __init__(self, cache_bytes: int = 100, **options) -> None:
        self.batches: list[list[str]] = []
        super().__init__(cache_bytes, **options)

    def compute(self, texts: list[str]) -> list[int]:
        self.batches.append(texts)
        return [len(text) for text in texts]

    def size(self, features: int) -> int:
        return 10

    def identity(self) -> str:
        return "lengths"

    def to_bytes(self, features: int) -> bytes:
        return b"%d" % features

    def from_bytes(self, data: bytes) -> int:
        return int(data)


def test_distinct_texts_are_computed_once_in_one_batch() -> None:
    scorer = Lengths()
    assert scorer.features(["aa", "b", "aa", "b", "ccc"]) == {"aa": 2, "b": 1, "ccc": 3}
    assert scorer.batches == [["aa", "b", "ccc"]]


def test_references_come_back_from_the_cache_and_rollouts_do_not() -> None:
    scorer = Lengths()
    scorer.features(["reference", "rollout"], references={"reference"})
    scorer.features(["reference", "rollout", "new"], references={"reference"})
    assert scorer.batches == [["reference", "rollout"], ["rollout", "new"]]
    assert scorer.cache_info() == CacheInfo(hits=1, computed=4, entries=1)


def test_the_cache_is_bounded_and_keeps_what_was_used_last() -> None:
    scorer = Lengths(cache_bytes=20)
    for text in ("a", "bb", "a", "ccc", "a", "bb"):
        scorer.features([text], references=[text])
    assert scorer.batches == [["a"], ["bb"], ["ccc"], ["bb"]]
    assert scorer.cache_info().entries == 2


def test_a_feature_larger_than_the_cache_is_not_kept() -> None:
    scorer = Lengths(cache_bytes=5)
    scorer.features(["a"], references=["a"])
    assert scorer.cache_info().entries == 0


def test_the_texts_of_the_last_call_can_be_remembered_for_another_reward() -> None:
    scorer = Lengths(remember_last_call=True)
    scorer.features(["a", "bb"])
    scorer.features(["bb", "a", "a"])
    assert scorer.batches == [["a", "bb"]]
    scorer.features(["other"])
    scorer.features(["a"])
    assert scorer.batches[1:] == [["other"], ["a"]]


def test_references_on_disk_outlive_the_scorer(tmp_path) -> None:
    Lengths(cache_path=tmp_path / "f").features(["reference", "rollout"], references=["reference"])
    later = Lengths(cache_path=tmp_path / "f")
    assert later.features(["reference", "rollout"], references=["reference"]) == {"reference": 9, "rollout": 7}
    assert later.batches == [["rollout"]]


def test_forgetting_empties_the_memory() -> None:
    scorer = Lengths(remember_last_call=True)
    scorer.features(["a"], references=["a"])
    scorer.forget()
    scorer.features(["a"])
    assert scorer.batches == [["a"], ["a"]]


def test_a_failed_computation_leaves_the_cache_as_it_was() -> None:
    class Failing(Lengths):
        def compute(self, texts: list[str]) -> list[int]:
            if "bad" in texts:
                raise RuntimeError("broken")
            return super().compute(texts)

    scorer = Failing()
    with pytest.raises(RuntimeError):
        scorer.features(["a", "bad"], references=["a", "bad"])
    assert scorer.cache_info() == CacheInfo(0, 0, 0)
    assert scorer.features(["a"], references=["a"]) == {"a": 1}


def test_threads_take_turns() -> None:
    scorer = Lengths(cache_bytes=10_000)
    texts = [str(number) for number in range(50)]
    threads = [threading.Thread(target=scorer.features, args=(texts, texts)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scorer.batches == [texts]


def test_a_fingerprint_tells_weights_and_settings_apart() -> None:
    torch.manual_seed(0)
    module, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    assert fingerprint(module, "float32") == fingerprint(module, "float32")
    assert len({fingerprint(module, "float32"), fingerprint(other, "float32"), fingerprint(module, "bfloat16")}) == 3
