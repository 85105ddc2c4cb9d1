"""bertscore: the paper's model, layer and rescaling, the package's values."""

import pytest

from radvlm_course.rewards import get_reward
from radvlm_course.rewards.compat import bert_score as compat


def test_values_equal_the_packages_for_each_pair_alone(metric_weights, report_pairs) -> None:
    package = compat.load().BERTScorer(
        model_type="distilbert-base-uncased", lang="en", rescale_with_baseline=True, device="cpu"
    )
    chosen = [0, 1, 2, 3, 4, 7, 8, 12, 14, 25]
    completions, examples = ([side[index] for index in chosen] for side in report_pairs)
    expected = [
        package.score([completion.lower().strip()], [example.answer.lower()])[2].item()
        for completion, example in zip(completions, examples, strict=True)
    ]
    assert get_reward("bertscore", device="cpu")(completions, examples) == pytest.approx(expected, abs=5e-6)


def test_the_default_is_the_papers_metric_and_not_the_one_inside_radcliq(metric_weights) -> None:
    assert get_reward("bertscore", device="cpu").scorer.model == "distilbert-base-uncased"
    assert get_reward("radcliq", device="cpu").scorers[2].model == "distilroberta-base"


def test_a_blank_response_earns_what_an_unrelated_text_earns(metric_weights, report_pairs) -> None:
    reward = get_reward("bertscore", device="cpu")
    assert reward(["", "\u200b"], report_pairs[1][:2]) == [0.0, 0.0]
    assert reward.range == (pytest.approx(-4.9917, abs=1e-4), 1.0)
