"""BERTScore of many pairs gives what the package gives for each pair alone."""

import pytest
import torch

from radvlm_course.rewards.compat import bert_score as compat
from radvlm_course.rewards.scorers.bertscore import BertScorer

MODELS = ["distilbert-base-uncased", "distilroberta-base"]


@pytest.fixture(params=MODELS)
def package(request, metric_weights):
    return compat.load().BERTScorer(model_type=request.param, lang="en", rescale_with_baseline=True, device="cpu")


def pairs_of(texts: list[str]) -> list[tuple[str, str]]:
    return [(text, texts[(7 * index + 3) % len(texts)]) for index, text in enumerate(texts)]


def tokens(package, text: str) -> int:
    return len(package._tokenizer(text.strip(), add_special_tokens=False)["input_ids"])


def test_scores_equal_the_packages_for_each_pair_alone(package, reports, long_reports) -> None:
    texts = [text for text in (*reports, *long_reports) if tokens(package, text)]
    scorer = BertScorer(package.model_type, package=package)
    pairs = pairs_of(texts)
    expected = [package.score([candidate], [reference])[2].item() for candidate, reference in pairs]
    assert scorer.f1(pairs) == pytest.approx(expected, abs=5e-6)
    assert max(expected) - min(expected) > 0.1


def test_an_exact_match_scores_one_and_nothing_scores_more(package, reports) -> None:
    texts = [text for text in reports if tokens(package, text)]
    scorer = BertScorer(package.model_type, package=package)
    assert scorer.f1([(text, text) for text in texts]) == pytest.approx([1.0] * len(texts), abs=1e-5)
    assert max(scorer.f1(pairs_of(texts))) <= 1.0 + 1e-6


def test_a_text_without_tokens_scores_zero(package) -> None:
    scorer = BertScorer(package.model_type, package=package)
    assert scorer.f1([("", "heart size"), (" ", "heart size"), ("heart size", "")]) == [0.0, 0.0, 0.0]


def test_one_pair_alone_in_eight_and_in_a_thousand_scores_the_same(package, reports) -> None:
    scorer = BertScorer(package.model_type, package=package)
    pair = ("mild cardiomegaly , no effusion .", "severe cardiomegaly and small effusion .")
    many = [(f"{report} {number}", reports[number]) for number in range(13) for report in reports]
    found = []
    for batch in ([pair], [*pairs_of(reports[:7]), pair], [*many, pair]):
        scorer.forget()
        found.append(scorer.f1(batch)[-1])
    assert len(many) > 1000 - 8
    assert found[1:] == pytest.approx([found[0]] * 2, abs=5e-6)


def test_layer_and_rescaling_are_the_packages(package) -> None:
    scorer = BertScorer(package.model_type, package=package)
    assert package.num_layers == 5
    baseline = {"distilbert-base-uncased": 0.66620487, "distilroberta-base": 0.8473319}[package.model_type]
    assert scorer.lowest == pytest.approx((-1 - baseline) / (1 - baseline))


def test_raw_scores_without_rescaling(metric_weights) -> None:
    package = compat.load().BERTScorer(model_type=MODELS[0], lang="en", device="cpu")
    scorer = BertScorer(MODELS[0], package=package, rescale=False)
    pair = ("mild cardiomegaly", "severe cardiomegaly")
    assert scorer.f1([pair]) == pytest.approx(package.score([pair[0]], [pair[1]])[2].tolist(), abs=1e-6)
    assert scorer.lowest == -1.0


def test_references_survive_their_form_on_disk_and_take_no_batch_with_them(metric_weights, reports, tmp_path) -> None:
    scorer = BertScorer(MODELS[0], device="cpu", cache_path=tmp_path / "f")
    expected = scorer.f1(pairs_of(reports[:6]))
    kept = scorer.features(reports[:6], references=reports[:6])
    assert all(
        feature.vectors.untyped_storage().nbytes() == feature.vectors.nelement() * 4 for feature in kept.values()
    )
    later = BertScorer(MODELS[0], device="cpu", cache_path=tmp_path / "f")
    assert later.f1(pairs_of(reports[:6])) == pytest.approx(expected, abs=1e-6)
    assert later.cache_info().computed == 0


def test_lower_precision_stays_near(metric_weights, reports) -> None:
    texts = reports[:40]
    exact, coarse = BertScorer(MODELS[0], device="cpu"), BertScorer(MODELS[0], device="cpu", dtype="bfloat16")
    assert coarse.f1(pairs_of(texts)) == pytest.approx(exact.f1(pairs_of(texts)), abs=0.1)
    assert next(iter(coarse.features(texts).values())).vectors.dtype == torch.float32
