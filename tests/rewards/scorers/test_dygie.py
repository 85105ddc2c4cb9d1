"""Many reports at once give the annotations that the package gives one by one."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radvlm_course.rewards import random_weights
from radvlm_course.rewards.base import RewardError
from radvlm_course.rewards.random_weights import WORDS
from radvlm_course.rewards.scorers.dygie import BatchedDygie
from radvlm_course.rewards.scorers.radgraph import RadGraphScorer, load_package_model

MODELS = ["radgraph-xl", "radgraph"]
token = st.one_of(st.sampled_from(WORDS), st.text(alphabet="abcxyz019.,/?()%\x00é😀", min_size=1, max_size=6))


def plain(package, texts: list[str]) -> list[dict]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of texts of one word
        return [package([text])["0"] for text in texts]


@pytest.fixture(scope="module")
def loaded_scorer(metric_weights_folder):
    with random_weights.used(metric_weights_folder):
        return RadGraphScorer("radgraph")


@pytest.mark.parametrize("model", MODELS)
def test_annotations_equal_the_packages_on_many_texts(metric_weights, reports, model) -> None:
    scorer = RadGraphScorer(model)
    expected, found = plain(scorer._package, reports), scorer.annotate(reports)
    assert found == expected
    for one, other in zip(found, expected, strict=True):
        assert list(one["entities"]) == list(other["entities"])  # numbered in the same order
    entities = [entity for annotation in expected for entity in annotation["entities"].values()]
    assert len(entities) > 300
    assert sum(len(entity["relations"]) for entity in entities) > 20
    assert len({entity["label"] for entity in entities}) > 2


def test_texts_beyond_512_tokens_are_cut_into_the_packages_segments(metric_weights, long_reports) -> None:
    scorer = RadGraphScorer("radgraph")
    assert scorer.annotate(["no effusion .", *long_reports]) == plain(scorer._package, ["no effusion .", *long_reports])


@given(texts=st.lists(st.lists(token, min_size=1, max_size=25).map(" ".join), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_texts_together_equal_the_package(loaded_scorer, texts) -> None:
    expected = plain(loaded_scorer._package, texts)
    assert loaded_scorer.annotate(texts) == expected


def test_one_text_alone_in_eight_and_in_a_thousand_is_annotated_the_same(metric_weights, reports) -> None:
    scorer = RadGraphScorer("radgraph")
    text = "mild cardiomegaly with small right pleural effusion , no pneumothorax ."
    batches = [
        [text],
        [*reports[:7], text],
        [*reports, *(f"{report} {i}" for i in range(8) for report in reports), text],
    ]
    found = []
    for batch in batches:
        scorer.forget()
        found.append(scorer.annotate(batch)[-1])
    assert found[0] == found[1] == found[2]
    assert found[0]["entities"]


def test_sentences_of_one_document_would_not_do(metric_weights, reports) -> None:
    """The lead that is not taken: the package's own decoding lets padding start relations."""
    package = load_package_model("radgraph")
    texts = [report.split() for report in reports[:15] if len(report.split()) > 1]
    document = {"doc_key": "0", "sentences": texts, "dataset": "radgraph"}
    from radgraph.allennlp.data import Batch

    batch = Batch([package.reader.text_to_instance(document)])
    batch.index_instances(package.model.vocab)
    result = package.model.make_output_human_readable(package.model(**batch.as_tensor_dict())).to_json()
    together = [sorted((r[0], r[1], r[2], r[3]) for r in sentence) for sentence in result["predicted_relations"]]
    alone = []
    for text in texts:
        batch = Batch([package.reader.text_to_instance({**document, "sentences": [text]})])
        batch.index_instances(package.model.vocab)
        result = package.model.make_output_human_readable(package.model(**batch.as_tensor_dict())).to_json()
        alone.append(sorted((r[0], r[1], r[2], r[3]) for r in result["predicted_relations"][0]))
    assert together != alone


def test_a_model_with_coreference_is_refused(metric_weights) -> None:
    package = load_package_model("radgraph")
    package.model._loss_weights["coref"] = 1.0
    with pytest.raises(RewardError, match="coreference or events"):
        BatchedDygie(package)
