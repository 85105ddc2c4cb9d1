"""Classification: the paper's substrings and the rules, by hand and against scikit-learn."""

import numpy as np
import pytest

from radvlm_course.evaluation import classification
from radvlm_course.evaluation.classification import (
    PATHOLOGIES,
    named_by_rules,
    named_by_substring,
    score_response,
    vocabulary_of,
)
from radvlm_course.records import Example


def example(*labels: str, identifier: str = "e1") -> Example:
    return Example(identifier, "abnormality_classification", "a.png", "What?", "That.", labels=labels)


def values(rows: list[dict]) -> dict[str, float]:  # type: ignore[type-arg]
    return {name: item.value for name, item in classification.statistics(rows).items()}


def test_the_papers_thirteen_labels_in_alphabetical_order() -> None:
    assert len(PATHOLOGIES) == 13
    assert list(PATHOLOGIES) == sorted(PATHOLOGIES)
    assert "No Finding" not in PATHOLOGIES


def test_a_denied_label_counts_for_the_paper_and_not_for_the_rules() -> None:
    text = "No pneumothorax. There are signs of atelectasis and pleural effusion."
    assert named_by_substring(text) == ["Atelectasis", "Pleural Effusion", "Pneumothorax"]
    assert named_by_rules(text) == ["Atelectasis", "Pleural Effusion"]


def test_another_word_counts_for_the_rules_and_not_for_the_paper() -> None:
    text = "The heart is enlarged, with bilateral effusions."
    assert named_by_substring(text) == []
    assert named_by_rules(text) == ["Cardiomegaly", "Pleural Effusion"]


@pytest.mark.parametrize("label", PATHOLOGIES)
def test_each_label_is_read_by_its_own_name(label: str) -> None:
    for text in (f"The radiograph shows {label.lower()}.", label, f"There are signs of {label.lower()} and more."):
        assert label in named_by_rules(text)
        assert label in named_by_substring(text)


def test_labels_of_other_datasets_are_read_by_their_names_under_the_same_cues() -> None:
    labels = ("Nodule/Mass", "Pleural_Thickening", "Infiltration", "nodule", "Aortic enlargement")
    assert named_by_rules("A nodule, and pleural thickening. No infiltration.", labels) == [
        "Nodule/Mass",
        "Pleural_Thickening",
        "nodule",
    ]
    assert named_by_rules("Possible aortic enlargement.", labels) == ["Aortic enlargement"]


def test_the_vocabulary_is_the_papers_unless_the_examples_have_other_labels() -> None:
    assert vocabulary_of([example("edema"), example()]) == PATHOLOGIES
    assert vocabulary_of([example("nodule"), example("edema")]) == ("edema", "nodule")


def test_the_row_of_an_example_by_hand() -> None:
    row = score_response("No edema. Effusion.", example("pleural effusion", "Cardiomegaly"))
    assert row == {
        "labels_known": list(PATHOLOGIES),
        "labels_true": ["Cardiomegaly", "Pleural Effusion"],
        "named_paper": ["Edema"],
        "named": ["Pleural Effusion"],
        "claims_nothing": False,
    }
    with pytest.raises(ValueError, match="example 'e1': its label 'nodule'"):
        score_response("x", example("nodule"))


def test_metrics_by_hand() -> None:
    rows = [
        score_response("No edema. Effusion.", example("Pleural Effusion")),
        score_response("Cardiomegaly and edema.", example("Cardiomegaly")),
    ]
    found = values(rows)
    assert found["precision_micro"] == pytest.approx(2 / 3)
    assert found["recall_micro"] == 1.0
    assert found["f1_macro"] == pytest.approx((1 + 1 + 0) / 3)  # effusion, cardiomegaly, edema
    # the substrings: edema twice, cardiomegaly once; "effusion" is not "pleural effusion"
    assert found["precision_micro_paper"] == pytest.approx(1 / 3)
    assert found["recall_micro_paper"] == pytest.approx(1 / 2)
    assert found["f1_macro_paper"] == pytest.approx(1 / 13)
    assert found["exact"] == 0.5
    labels = classification.label_statistics(rows)
    assert labels["Edema"]["precision"].value == 0.0
    assert labels["Cardiomegaly"]["f1"].n == 1
    assert np.isnan(labels["Fracture"]["recall"].value)


@pytest.mark.parametrize(("response", "exact"), [("Nothing abnormal.", 1.0), ("", 0.0), (None, 0.0), ("Edema.", 0.0)])
def test_a_healthy_film_is_right_only_if_something_is_said_and_nothing_named(
    response: str | None, exact: float
) -> None:
    row = score_response(response, example())
    assert values([row])["exact"] == exact


def test_f1_equals_scikit_learns() -> None:
    metric = pytest.importorskip("sklearn.metrics")
    tables = np.random.default_rng(0).random((2, 60, 13)) < 0.25
    chosen = [[[name for name, on in zip(PATHOLOGIES, row, strict=True) if on] for row in table] for table in tables]
    rows = [score_response(", ".join(named).lower(), example(*true)) for named, true in zip(*chosen, strict=True)]
    found = values(rows)
    for average in ("micro", "macro"):
        for name, score in (
            ("f1", metric.f1_score),
            ("precision", metric.precision_score),
            ("recall", metric.recall_score),
        ):
            expected = score(tables[1], tables[0], average=average, zero_division=0)
            assert found[f"{name}_{average}_paper"] == pytest.approx(expected)
