"""chexbert: F1 of the observations of a pair, cosine of its embeddings, options."""

import numpy as np
import pytest

from radvlm_course.records import Example
from radvlm_course.rewards import get_reward
from radvlm_course.rewards.scorers.chexbert import OBSERVATIONS, CheXbertLabels


@pytest.fixture
def labelled(metric_weights, monkeypatch):
    """A scorer that reads labels off the text: names of observations, with a question mark if uncertain."""
    from radvlm_course.rewards.scorers.chexbert import CheXbertScorer

    def compute(self, texts):
        def classes(text: str) -> np.ndarray:
            found = [next((w for w in text.split("|") if w.startswith(name.lower())), "") for name in OBSERVATIONS]
            return np.array([0 if not word else 3 if word.endswith("?") else 1 for word in found])

        return [CheXbertLabels(classes(text), np.array([1.0, len(text)], np.float32)) for text in texts]

    monkeypatch.setattr(CheXbertScorer, "compute", compute)


def value(response: str, reference: str, **options) -> float:
    reward = get_reward("chexbert", device="cpu", **options)
    reward.scorer.forget()
    return reward([response], [Example("e", "report_generation", "film.png", "Report?", reference)])[0]


def test_hand_computed_f1(labelled) -> None:
    assert value("Edema|Fracture", "Edema|Pneumonia|Fracture") == pytest.approx(2 * 2 / (2 + 3))
    assert value("Edema", "Fracture") == 0.0
    assert value("nothing", "nothing else") == 1.0
    assert value("nothing", "Edema") == 0.0


def test_uncertain_findings_count_as_the_mapping_says(labelled) -> None:
    assert value("Edema?", "Edema") == 1.0
    assert value("Edema?", "Edema", mapping="uncertain_negative") == 0.0
    assert value("Edema?", "clear", mapping="uncertain_negative") == 1.0


def test_only_the_five_count_if_asked(labelled) -> None:
    assert value("Edema|Fracture", "Edema", labels="five") == 1.0
    assert value("Fracture", "Pneumonia", labels="five") == 1.0
    assert value("Edema|Fracture", "Edema") == pytest.approx(2 / 3)


def test_cosine_of_the_embeddings(labelled) -> None:
    first, second = np.array([1.0, 5.0]), np.array([1.0, 9.0])
    expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert value("Edema", "Pneumonia", measure="cosine") == pytest.approx(expected)
    assert get_reward("chexbert", device="cpu", measure="cosine").range == (-1.0, 1.0)


@pytest.mark.parametrize(
    "options",
    [{"measure": "accuracy"}, {"labels": "some"}, {"mapping": "zero"}],
    ids=lambda options: next(iter(options)),
)
def test_an_unknown_option_is_refused_with_the_known_ones(metric_weights, options) -> None:
    (option,) = options
    with pytest.raises(ValueError, match=f"chexbert: expected {option} of"):
        get_reward("chexbert", device="cpu", **options)
