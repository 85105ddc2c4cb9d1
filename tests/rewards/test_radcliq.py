"""radcliq: published coefficients, the sign, the parts, the packages' values."""

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.rewards import get_reward, weights
from radvlm_course.rewards.compat import bert_score, f1chexbert, radgraph
from radvlm_course.rewards.radcliq import RadCliQParts, bleu_2

unit = st.floats(0, 1)


def test_the_published_anchors() -> None:
    assert RadCliQParts(1, 1, 1, 1).radcliq() == pytest.approx(-1.4407, abs=5e-5)
    assert RadCliQParts(0, 0, 0, 0).radcliq() == pytest.approx(2.4501, abs=5e-5)
    # the composite written out: 2.45014 - 1.24522 RG - 1.65085 BS - 0.99477 SE
    assert RadCliQParts(0.3, 0.5, 0.8, 0.2).radcliq() == pytest.approx(
        2.45014 - 1.24522 * 0.3 - 1.65085 * 0.5 - 0.99477 * 0.8, abs=2e-5
    )


def test_the_composite_equals_the_published_scaler_and_linear_model() -> None:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    scaler.mean_ = np.array([0.53792312, 0.61757256, 0.76479421, 0.44738335])
    scaler.scale_ = np.array([0.30282584, 0.22430938, 0.25394391, 0.29892717])
    coefficients = np.array([-3.77083683e-01, -3.70300100e-01, -2.52616218e-01, 4.31504841e-12])
    parts = np.random.default_rng(0).random((20, 4))
    expected = scaler.transform(parts) @ coefficients + 2.46655256e-10
    assert [RadCliQParts(*row).radcliq() for row in parts.tolist()] == pytest.approx(expected.tolist(), abs=1e-12)


def test_the_sign_changes_once() -> None:
    parts = RadCliQParts(0.3, 0.5, 0.8, 0.2)
    assert parts.reward() == -parts.radcliq()


@given(unit, unit, unit, unit, st.sampled_from(["radgraph", "bertscore", "chexbert"]), st.floats(0.01, 1))
def test_a_better_part_is_a_better_reward(radgraph, bertscore, chexbert, bleu, name, gain) -> None:
    import dataclasses

    parts = RadCliQParts(radgraph, bertscore, chexbert, bleu)
    better = dataclasses.replace(parts, **{name: getattr(parts, name) + gain})
    assert better.reward() > parts.reward()
    assert better.radcliq() < parts.radcliq()


def test_bleu_2_of_hand_counted_pairs() -> None:
    # tokens "no effusion ." and "no pleural effusion .": 3 of 3 words, 1 of 2 pairs, shorter by a quarter
    assert bleu_2("No effusion.", "no pleural effusion.") == pytest.approx((3 / 3 * 1 / 2) ** 0.5 * np.exp(1 - 4 / 3))
    assert bleu_2("No effusion.", "no effusion.") == 1.0
    assert 0 <= bleu_2("clear", "no effusion.") < 0.05


def test_values_equal_the_packages_called_pair_by_pair(metric_weights, report_pairs, monkeypatch) -> None:
    chosen = [0, 1, 2, 3, 4, 8, 12, 14, 25]
    completions, examples = ([side[index] for index in chosen] for side in report_pairs)
    pairs = [(c.lower(), e.answer.lower()) for c, e in zip(completions, examples, strict=True)]
    plain_radgraph = radgraph.load().RadGraph(
        model_type="radgraph-xl", model_cache_dir=str(weights.radgraph_folder("radgraph-xl").parent), cuda=-1
    )
    module = f1chexbert.load()
    monkeypatch.setattr(module, "CACHE_DIR", str(weights.chexbert_checkpoint().parent))
    chexbert = module.F1CheXbert(device="cpu")
    bert = bert_score.load().BERTScorer(
        model_type="distilroberta-base", lang="en", rescale_with_baseline=True, device="cpu"
    )

    def facts(annotation):
        entities = annotation["entities"]
        nodes = {key: (entity["tokens"], entity["label"]) for key, entity in entities.items()}
        edges = {(nodes[key], nodes[to], kind) for key, entity in entities.items() for kind, to in entity["relations"]}
        return set(nodes.values()), edges

    def f1(predicted, true):
        return 2 * len(predicted & true) / (len(predicted) + len(true)) if predicted & true else 0.0

    def embedding(text):
        ids = torch.tensor(module.tokenize(pandas.Series([text]), chexbert.tokenizer))
        with torch.no_grad():
            return chexbert.model.bert(ids)[0][0, 0]

    expected = []
    for response, reference in pairs:
        predicted, true = (facts(plain_radgraph([text])["0"]) for text in (response, reference))
        combined = sum(map(f1, predicted, true)) / 2
        similarity = bert.score([response], [reference])[2].item()
        angle = torch.cosine_similarity(embedding(response), embedding(reference), dim=0).item()
        expected.append(-RadCliQParts(combined, similarity, angle, 0.0).radcliq())
    reward = get_reward("radcliq", device="cpu")
    assert reward(completions, examples) == pytest.approx(expected, abs=2e-5)
    assert [parts.reward() for parts in reward.parts(completions, examples)] == pytest.approx(expected, abs=2e-5)


def test_a_blank_response_earns_the_value_of_all_parts_zero(metric_weights, report_pairs) -> None:
    reward = get_reward("radcliq", device="cpu")
    assert reward([" "], report_pairs[1][:1]) == [pytest.approx(-2.4501, abs=5e-5)]
    assert reward.range[1] == pytest.approx(1.4407, abs=5e-5)


def test_the_radgraph_model_can_be_chosen(metric_weights) -> None:
    assert get_reward("radcliq", device="cpu").scorers[0].model == "radgraph-xl"
    assert get_reward("radcliq", radgraph_model="radgraph", device="cpu").scorers[0].model == "radgraph"
