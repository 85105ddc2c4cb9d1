"""CheXbert in batches: the package's labels, vectors of single texts, tables as scikit-learn's."""

import warnings

import numpy as np
import pytest
import torch

from radvlm_course.rewards.base import RewardError
from radvlm_course.rewards.compat import f1chexbert as compat
from radvlm_course.rewards.scorers import chexbert
from radvlm_course.rewards.scorers.chexbert import CheXbertScorer, cosine, f1_table, mapped
from radvlm_course.rewards.weights import chexbert_checkpoint


@pytest.fixture
def package(metric_weights, monkeypatch):
    module = compat.load()
    monkeypatch.setattr(module, "CACHE_DIR", str(chexbert_checkpoint().parent))
    return module.F1CheXbert(device="cpu")


def test_labels_equal_the_packages_on_many_texts(package, reports, long_reports) -> None:
    texts = [*reports, *long_reports]
    scorer = CheXbertScorer(device="cpu")
    labels = scorer.features(texts)
    found = chexbert.label_matrix(labels, texts)
    assert found.tolist() == [package.get_label(text.strip()) for text in texts]
    assert len(np.unique(found, axis=0)) > 10
    strict = {"": 0, 0: 0, 1: 1, -1: 0}
    expected = [[strict[label] for label in package.get_label(text.strip(), "classification")] for text in texts]
    assert chexbert.label_matrix(labels, texts, "uncertain_negative").tolist() == expected


def test_names_and_the_five_are_the_packages(package) -> None:
    assert list(chexbert.OBSERVATIONS) == package.target_names
    assert list(chexbert.FIVE) == package.target_names_5


def test_embeddings_equal_those_of_single_texts(package, reports) -> None:
    import pandas

    scorer = CheXbertScorer(device="cpu")
    found = scorer.features(reports)
    module = compat.load()
    for text in reports:
        ids = torch.tensor(module.tokenize(pandas.Series([text.strip()]), package.tokenizer))
        with torch.no_grad():
            expected = package.model.bert(ids, attention_mask=torch.ones_like(ids))[0][0, 0].numpy()
        np.testing.assert_allclose(found[text].embedding, expected, atol=1e-5)


def test_tables_equal_the_packages_report(package, reports) -> None:
    references, responses = reports[:30], reports[30:60]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, _, all_labels, five = package(hyps=responses, refs=references)
    labels = CheXbertScorer(device="cpu").features(reports)
    table = f1_table(chexbert.label_matrix(labels, responses), chexbert.label_matrix(labels, references))
    assert table == pytest.approx(
        {
            "chexbert_all_micro": all_labels["micro avg"]["f1-score"],
            "chexbert_all_macro": all_labels["macro avg"]["f1-score"],
            "chexbert_5_micro": five["micro avg"]["f1-score"],
            "chexbert_5_macro": five["macro avg"]["f1-score"],
        }
    )


def test_a_hand_computed_table() -> None:
    true, predicted = np.zeros((2, 14), int), np.zeros((2, 14), int)
    true[:, 1] = 1  # cardiomegaly in both
    predicted[0, 1] = predicted[0, 0] = 1  # found once, and an enlarged mediastinum too many
    table = f1_table(predicted, true)
    assert table["chexbert_all_micro"] == pytest.approx(2 * 1 / (2 + 2))
    assert table["chexbert_5_micro"] == pytest.approx(2 * 1 / (1 + 2))
    assert table["chexbert_all_macro"] == pytest.approx((2 / 3) / 14)
    assert table["chexbert_5_macro"] == pytest.approx((2 / 3) / 5)
    assert set(f1_table(np.zeros((1, 14), int), np.zeros((1, 14), int)).values()) == {0.0}


def test_mappings_of_the_four_classes() -> None:
    classes = np.array([0, 1, 2, 3] + [0] * 10)
    assert mapped(classes)[:4].tolist() == [0, 1, 0, 1]
    assert mapped(classes, "uncertain_negative")[:4].tolist() == [0, 1, 0, 0]
    assert mapped(classes, observations=["Lung Lesion", "Cardiomegaly"]).tolist() == [1, 1]
    with pytest.raises(ValueError, match="uncertain_positive, uncertain_negative; found 'zero'"):
        mapped(classes, "zero")


def test_cosines() -> None:
    assert cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(2**-0.5)
    assert cosine(np.array([1.0, 2.0]), np.array([-2.0, -4.0])) == pytest.approx(-1.0)
    assert cosine(np.zeros(2), np.ones(2)) == 0.0
    vector = np.float32([0.1, 0.7, 0.3])
    assert cosine(vector, vector) == 1.0


def test_one_text_alone_in_eight_and_in_a_thousand_is_the_same(metric_weights, reports) -> None:
    scorer, text = CheXbertScorer(device="cpu"), "mild cardiomegaly , no effusion ."
    found = []
    for batch in ([text], [*reports[:7], text], [text, *(f"{report} {i}" for i in range(13) for report in reports)]):
        scorer.forget()
        found.append(scorer.features(batch)[text])
    for other in found[1:]:
        assert other.classes.tolist() == found[0].classes.tolist()
        np.testing.assert_allclose(other.embedding, found[0].embedding, atol=1e-5)


def test_labels_survive_their_form_on_disk(metric_weights, reports, tmp_path) -> None:
    expected = CheXbertScorer(device="cpu", cache_path=tmp_path / "f").features(reports[:3], references=reports[:3])
    later = CheXbertScorer(device="cpu", cache_path=tmp_path / "f")
    for text, labels in later.features(reports[:3], references=reports[:3]).items():
        assert labels.classes.tolist() == expected[text].classes.tolist()
        assert labels.embedding.tolist() == expected[text].embedding.tolist()
    assert later.cache_info().hits == 3


def test_a_checkpoint_that_lacks_weights_is_refused(metric_weights, monkeypatch, tmp_path) -> None:
    state = torch.load(chexbert_checkpoint())["model_state_dict"]
    del state["module.linear_heads.3.weight"]
    (tmp_path / "chexbert").mkdir()
    torch.save({"model_state_dict": state}, tmp_path / "chexbert" / "chexbert.pth")
    monkeypatch.setenv("RADVLM_COURSE_METRIC_WEIGHTS", str(tmp_path))
    with pytest.raises(RewardError, match=r"lacks weights of CheXbert, for example linear_heads\.3\.weight"):
        CheXbertScorer(device="cpu")


def test_a_missing_checkpoint_names_the_file_and_the_command(metric_weights, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("RADVLM_COURSE_METRIC_WEIGHTS", str(tmp_path))
    with pytest.raises(RewardError, match=r"chexbert\.pth, found none.*rewards\.weights chexbert"):
        CheXbertScorer(device="cpu")
