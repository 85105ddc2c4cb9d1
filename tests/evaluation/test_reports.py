"""Report metrics: words, lengths, finding sets; F1 checked by hand and against scikit-learn."""

import numpy as np
import pytest

from radvlm_course.evaluation import reports
from radvlm_course.evaluation.reports import ReportScorer
from radvlm_course.evaluation.statistics import bootstrap
from radvlm_course.records import Example
from radvlm_course.rewards import RewardError, get_reward


def example(answer: str) -> Example:
    return Example("e1", "report_generation", "a.png", "Report?", answer, source="phantom")


def words_as_findings(text: str) -> frozenset[tuple[str, str]]:
    """Labeller for tests: each word is a finding, ``name/side`` has a side."""
    return frozenset(
        (name, side) for name, _, side in (word.partition("/") for word in text.split()) if name != "normal"
    )


def metrics(rows: list[dict]) -> dict[str, float]:  # type: ignore[type-arg]
    found = bootstrap(reports.statistics(rows), [str(i) for i in range(len(rows))], resamples=10)
    return {name: interval.value for name, interval in found.items()}


def rows(*pairs: tuple[str | None, str]) -> list[dict]:  # type: ignore[type-arg]
    scorer = ReportScorer(words_as_findings)
    return [scorer.score_response(response, example(answer)) for response, answer in pairs]


def test_words_and_lengths_of_one_report() -> None:
    row = ReportScorer().score_response(" No effusion. ", example("No pleural effusion."))
    assert row == {
        "gleu": pytest.approx(0.4),
        "rouge_l": pytest.approx(0.8),
        "bleu_counts": [3, 1, 0, 0, 3, 2, 1, 0, 3, 4],  # no, effusion and the full stop; "effusion ."
        "bleu_counts_paper": [2, 0, 0, 0, 2, 1, 0, 0, 2, 3],
        "characters": 12,
        "words": 2,
    }


def test_word_metrics_are_the_rewards_values() -> None:
    asked = example("No pleural effusion. Heart size is normal.")
    row = ReportScorer().score_response("Heart size normal. No effusion.", asked)
    for name in ("gleu", "rouge_l"):
        assert row[name] == get_reward(name)(["Heart size normal. No effusion."], [asked])[0]


@pytest.mark.parametrize("response", ["", "  ", None])
def test_no_response_counts_as_an_empty_report(response: str | None) -> None:
    (row,) = rows((response, "nodule/left"))
    assert (row["gleu"], row["rouge_l"], row["words"], row["findings_predicted"]) == (0.0, 0.0, 0, [])


def test_finding_f1_by_hand() -> None:
    values = metrics(
        rows(
            ("nodule/left edema", "nodule/right edema"),  # right names, one wrong side
            ("nodule/left", "effusion/left"),
            ("normal", "normal"),
        )
    )
    # names: nodule TP 1, predicted 2, true 1 -> 2/3; edema 1; effusion 0; pooled TP 2, predicted 3, true 3
    assert values["finding_f1_micro"] == pytest.approx(2 * 2 / 6)
    assert values["finding_f1_macro"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    # with sides only edema agrees: pooled TP 1, predicted 3, true 3; left nodule, right nodule, effusion 0
    assert values["finding_side_f1_micro"] == pytest.approx(2 * 1 / 6)
    assert values["finding_side_f1_macro"] == pytest.approx(1 / 4)
    assert values["findings_exact"] == pytest.approx(1 / 3)


def test_finding_f1_equals_scikit_learns() -> None:
    metric = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(1)
    names = ["nodule", "edema", "effusion", "mass"]
    tables = generator.random((2, 80, 4)) < 0.3
    texts = [[" ".join(n for n, on in zip(names, row, strict=True) if on) or "normal" for row in t] for t in tables]
    values = metrics(rows(*zip(*texts, strict=True)))
    for kind in ("micro", "macro"):
        expected = metric.f1_score(tables[1], tables[0], average=kind)
        assert values[f"finding_f1_{kind}"] == pytest.approx(expected)


def test_each_finding_has_its_own_f1() -> None:
    table = reports.finding_statistics(rows(("nodule/left edema", "nodule/right edema"), ("nodule", "effusion")))
    found = {name: bootstrap(mine, ["a", "b"], resamples=10) for name, mine in table.items()}
    assert sorted(found) == ["edema", "effusion", "nodule"]
    assert found["nodule"]["precision"].value == 0.5
    assert found["nodule"]["recall"].value == 1.0
    assert found["nodule"]["finding_f1"].value == pytest.approx(2 / 3)
    assert np.isnan(found["effusion"]["precision"].value)
    assert found["effusion"]["finding_f1"].n == 1


def test_without_a_labeller_there_are_only_word_metrics() -> None:
    row = ReportScorer().score_response("Clear.", example("Clear."))
    assert sorted(metrics([row])) == ["bleu", "bleu_paper", "characters", "gleu", "rouge_l", "words"]
    assert reports.finding_statistics([row]) == {}


def test_the_phantom_labeller_reads_sides_and_negations() -> None:
    found = reports.phantom_labeller()("Small left pleural effusion. No pneumothorax.")
    assert found == {("pleural effusion", "left")}


def test_real_reports_are_compared_by_the_observations_that_rules_read() -> None:
    scorer = ReportScorer(observations=True)
    pairs = [
        ("Cardiomegaly. No effusion.", "The heart is enlarged. Small effusion."),
        ("Clear lungs.", "No acute process."),
    ]
    made = scorer.score_responses([pair[0] for pair in pairs], [example(pair[1]) for pair in pairs])
    assert made[0]["observations_predicted"] == ["Cardiomegaly"]
    assert made[0]["observations_true"] == ["Cardiomegaly", "Pleural Effusion"]
    values = metrics(made)
    assert values["observation_f1_micro"] == pytest.approx(2 * 2 / (2 + 3))
    assert values["observation_f1_macro"] == pytest.approx((1 + 0 + 1) / 3)  # cardiomegaly, effusion, no finding
    assert values["observation_f1_5_micro"] == pytest.approx(2 * 1 / (1 + 2))
    assert reports.finding_statistics(made)["Pleural Effusion"]["recall"].value == 0.0


def test_scoring_together_or_alone_gives_equal_rows() -> None:
    asked = [example("No effusion."), example("Small left effusion, heart enlarged.")]
    texts = ["Effusion.", "Heart enlarged."]
    scorer = ReportScorer(reports.phantom_labeller(), observations=True)
    together = scorer.score_responses(texts, asked)
    assert together == [scorer.score_response(text, one) for text, one in zip(texts, asked, strict=True)]


def test_an_empty_reference_report_is_refused_by_name() -> None:
    with pytest.raises(RewardError, match="example 'e1' is empty"):
        ReportScorer().score_response("Clear.", example(""))
