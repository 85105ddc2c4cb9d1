"""bert-score's patch: still needed, still about the same code, and right."""

import pytest

from radvlm_course.rewards import compat
from radvlm_course.rewards.compat import bert_score as patched

DIGESTS = {"bert_score.scorer:get_tokenizer": "037b8af02d2ecf2f"}


@pytest.mark.parametrize("patch", patched.PATCHES, ids=lambda patch: patch.touches)
def test_the_patch_is_needed_with_the_installed_versions(patch) -> None:
    assert patch.needed(), f"{patch.touches}: the installed versions work without this patch; remove it"


@pytest.mark.parametrize("patch", patched.PATCHES, ids=lambda patch: patch.touches)
def test_what_the_patch_replaces_is_what_it_was_written_for(patch) -> None:
    patched.load()
    assert compat.source_digest(patch) == DIGESTS[patch.touches], f"{patch.touches} has changed: read it again"


def test_add_prefix_space_in_encode_is_still_ignored(metric_weights) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("distilroberta-base")
    ignored = tokenizer.encode("heart size", add_prefix_space=True) == tokenizer.encode("heart size")
    assert ignored, "transformers heeds add_prefix_space again: that part of the patch can go"
    assert tokenizer.encode("heart size") != tokenizer.encode(" heart size")


def test_nothing_outside_the_package_is_touched() -> None:
    assert all(patch.touches.startswith("bert_score.") for patch in patched.PATCHES)


def test_the_first_word_of_a_text_has_its_space(metric_weights) -> None:
    scorer = patched.load().BERTScorer(model_type="distilroberta-base", lang="en", device="cpu")
    first = scorer._tokenizer.encode("heart size heart")
    assert first[1] == first[3]
    assert scorer._tokenizer.build_inputs_with_special_tokens([]) == [0, 2]


@pytest.mark.parametrize("model", ["distilroberta-base", "distilbert-base-uncased"])
def test_the_package_scores_an_empty_text(metric_weights, model) -> None:
    scorer = patched.load().BERTScorer(model_type=model, lang="en", rescale_with_baseline=True, device="cpu")
    _, _, f1 = scorer.score(["", "no effusion"], ["no effusion", "no effusion"])
    baseline = float(scorer.baseline_vals[2])
    assert f1.tolist() == pytest.approx([-baseline / (1 - baseline), 1.0], abs=1e-5)
