"""radgraph: levels, models, the packages' values on lower-cased text."""

import pytest

from radvlm_course.records import Example
from radvlm_course.rewards import get_reward, weights
from radvlm_course.rewards.compat import radgraph as compat


def test_values_equal_the_packages_at_every_level(metric_weights, report_pairs) -> None:
    folder = weights.radgraph_folder("radgraph-xl").parent
    package = compat.load().F1RadGraph("all", "radgraph-xl", model_cache_dir=str(folder), cuda=-1)
    chosen = [0, 1, 2, 3, 4, 8, 12, 14, 25]
    completions, examples = ([side[index] for index in chosen] for side in report_pairs)
    references = [example.answer.lower() for example in examples]
    _, expected, _, _ = package(refs=references, hyps=[completion.lower() for completion in completions])
    for level, values in zip(("simple", "partial", "complete"), expected, strict=True):
        assert get_reward("radgraph", level=level, device="cpu")(completions, examples) == pytest.approx(values)
    assert max(expected[2]) == 1.0


def test_the_default_is_the_papers_level_and_model(metric_weights) -> None:
    reward = get_reward("radgraph", device="cpu")
    assert (reward.level, reward.scorer.model) == ("complete", "radgraph-xl")
    assert get_reward("radgraph", model="radgraph", device="cpu").scorer.model == "radgraph"


def test_a_reference_without_facts_gives_zero_to_all(metric_weights) -> None:
    example = Example("e", "report_generation", "film.png", "Report?", "\u200b")
    assert get_reward("radgraph", device="cpu")(["\u200b", "no effusion"], [example] * 2) == [0.0, 0.0]


def test_an_unknown_level_is_refused(metric_weights) -> None:
    with pytest.raises(ValueError, match="simple, partial, complete, combined; found 'all'"):
        get_reward("radgraph", level="all")
