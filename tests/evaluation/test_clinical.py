"""Report metrics that need models, on small random weights in the real layouts: the path, the quirks, the packages."""

import math
from pathlib import Path

import numpy as np
import pytest

from radvlm_course.evaluation import clinical
from radvlm_course.evaluation.clinical import CLINICAL_METRICS, ClinicalScorer, available_metrics
from radvlm_course.evaluation.predictions import Prediction
from radvlm_course.evaluation.score import score
from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.base import RewardError

REFERENCES = (
    "Mild cardiomegaly with small right pleural effusion. No pneumothorax.",
    "The heart size is normal. There is no focal consolidation.",
    "Severe pulmonary edema, unchanged.",
)
RESPONSES = ("Mild Cardiomegaly with small right pleural effusion. no pneumothorax.", "", "Edema.")
EXAMPLES = [Example(f"e{i}", "report_generation", "a.png", "q", text) for i, text in enumerate(REFERENCES)]


def values(rows: list[dict]) -> dict[str, float]:  # type: ignore[type-arg]
    return {name: statistic.value for name, statistic in clinical.statistics(rows).items()}


@pytest.fixture(scope="module")
def rows(metric_weights_folder: Path) -> list[dict]:  # type: ignore[type-arg]
    from radvlm_course.rewards import random_weights

    with random_weights.used(metric_weights_folder):
        columns = ClinicalScorer(CLINICAL_METRICS, device="cpu").columns(RESPONSES, EXAMPLES)
    return [{name: column[index] for name, column in columns.items()} for index in range(len(EXAMPLES))]


def test_weights_that_are_there_are_found(metric_weights: Path) -> None:
    assert available_metrics() == CLINICAL_METRICS


def test_without_weights_there_is_nothing_and_asking_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("RADVLM_COURSE_METRIC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert available_metrics() == ()
    with pytest.raises(RewardError, match=r"radvlm_course\.rewards\.weights"):
        ClinicalScorer(["chexbert"])
    with pytest.raises(ValueError, match="found green"):
        ClinicalScorer(["green"])


def test_values_are_the_rewards_of_these_names(rows: list[dict], metric_weights: Path) -> None:  # type: ignore[type-arg]
    for name, sign in (("bertscore", 1), ("radcliq", -1)):
        expected = get_reward(name, device="cpu")(RESPONSES, EXAMPLES)
        assert [sign * row[name] for row in rows] == pytest.approx(expected, abs=1e-5)
    expected = get_reward("radgraph", level="complete", device="cpu")(RESPONSES, EXAMPLES)
    assert [row["radgraph_complete"] for row in rows] == pytest.approx(expected)


def test_a_blank_report_differs_between_the_two_readings(rows: list[dict]) -> None:  # type: ignore[type-arg]
    blank = rows[1]
    assert blank["bertscore"] == 0.0
    assert blank["bertscore_paper"] == pytest.approx(-1.9958, abs=1e-3)  # raw 0, rescaled
    assert blank["radcliq"] == pytest.approx(2.4501, abs=1e-4)
    assert blank["radcliq_paper"] == 3.0
    assert set(blank["chexbert_predicted"]) == {0}
    assert blank["radgraph_simple"] == blank["radgraph_simple_paper"] == 0.0


def test_radgraph_reads_lower_case_and_for_the_paper_the_words_as_written(rows: list[dict]) -> None:  # type: ignore[type-arg]
    assert rows[0]["radgraph_simple"] == 1.0  # but for case the two reports are equal
    assert rows[0]["radgraph_simple_paper"] < 1.0


def test_chexbert_tables_equal_the_scorers_own_and_scikit_learns(rows: list[dict]) -> None:  # type: ignore[type-arg]
    metric = pytest.importorskip("sklearn.metrics")
    from radvlm_course.rewards.scorers.chexbert import f1_table, mapped

    predicted, true = (mapped(np.array([row[f"chexbert_{side}"] for row in rows])) for side in ("predicted", "true"))
    found, own = values(rows), f1_table(predicted, true)
    for name in ("all", "5"):
        assert found[f"chexbert_{name}_micro"] == pytest.approx(own[f"chexbert_{name}_micro"])
        assert found[f"chexbert_{name}_macro_paper"] == pytest.approx(own[f"chexbert_{name}_macro"])
        assert found[f"chexbert_{name}_macro"] >= found[f"chexbert_{name}_macro_paper"] or math.isnan(
            found[f"chexbert_{name}_macro"]
        )
    assert found["chexbert_all_macro_paper"] == pytest.approx(
        metric.f1_score(true, predicted, average="macro", zero_division=0)
    )


def test_score_gives_them_intervals_and_directions(metric_weights: Path) -> None:
    given = [Prediction(e.id, text, text, "m") for e, text in zip(EXAMPLES, RESPONSES, strict=True)]
    scorer = ClinicalScorer(CLINICAL_METRICS, device="cpu")
    first, again = (score(EXAMPLES, given, clinical=scorer, resamples=20) for _ in range(2))
    assert first.to_dict() == again.to_dict()
    metrics = first.tasks["report_generation"]
    assert metrics["radcliq"].n == 3
    perfect = [Prediction(e.id, e.answer, e.answer, "m") for e in EXAMPLES]
    best = score(EXAMPLES, perfect, clinical=scorer, resamples=20).tasks["report_generation"]
    assert best["bertscore"].value == pytest.approx(1.0, abs=1e-4)
    assert best["radcliq"].value < metrics["radcliq"].value  # lower is better
    assert best["chexbert_all_micro"].value == 1.0
