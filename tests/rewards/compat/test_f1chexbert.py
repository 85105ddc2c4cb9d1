"""f1chexbert's patches: still needed, still about the same code, and right."""

import pandas
import pytest

from radvlm_course.rewards import compat
from radvlm_course.rewards.compat import f1chexbert as patched

MODULE = "f1chexbert.f1chexbert"
DIGESTS = {
    f"{MODULE}:tokenize": "4d8288893391aac0",
    f"{MODULE}:download_model": "39bf3c3529c4e8e9",
}


@pytest.mark.parametrize("patch", patched.PATCHES, ids=lambda patch: patch.touches)
def test_the_patch_is_needed_with_the_installed_versions(patch) -> None:
    assert patch.needed(), f"{patch.touches}: the installed versions work without this patch; remove it"


@pytest.mark.parametrize("patch", patched.PATCHES[:2], ids=lambda patch: patch.touches)
def test_what_the_patch_replaces_is_what_it_was_written_for(patch) -> None:
    patched.load()
    assert compat.source_digest(patch) == DIGESTS[patch.touches], f"{patch.touches} has changed: read it again"


def test_check_targets_is_used_where_the_patch_expects_it() -> None:
    import inspect

    source = inspect.getsource(patched.load().F1CheXbert.forward)
    assert source.count("_check_targets") == 1
    assert "y_type, y_true, y_pred = _check_targets(refs_chexbert_5, hyps_chexbert_5)" in source


def test_nothing_outside_the_package_is_touched() -> None:
    assert all(patch.touches.startswith(f"{MODULE}:") for patch in patched.PATCHES)


def test_tokens_are_wordpieces_between_special_tokens_and_512_at_most(metric_weights) -> None:
    from transformers import BertTokenizer

    tokenizer = BertTokenizer.from_pretrained("bert-base-uncased")
    texts = pandas.Series(["  No\n effusion ", "", "heart " * 600])
    short, empty, long = patched.load().tokenize(texts, tokenizer)
    cls, sep, no, effusion, heart = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]", "no", "effusion", "heart"])
    assert short == [cls, no, effusion, sep]
    assert empty == [cls, sep]
    assert long == [cls, *[heart] * 510, sep]


def test_the_download_puts_the_file_where_it_is_read(tmp_path, monkeypatch) -> None:
    import huggingface_hub

    (tmp_path / "blob").write_text("weights")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda repo_id, filename: str(tmp_path / "blob"))
    patched.load().download_model("some/repository", str(tmp_path / "cache"), "chexbert.pth")
    assert (tmp_path / "cache" / "chexbert.pth").read_text() == "weights"


def test_the_package_scores(metric_weights, monkeypatch) -> None:
    from radvlm_course.rewards.weights import chexbert_checkpoint

    package = patched.load()
    monkeypatch.setattr(package, "CACHE_DIR", str(chexbert_checkpoint().parent))
    reports = ["no effusion", "severe cardiomegaly"]
    accuracy, per_report, table, _ = package.F1CheXbert()(hyps=reports, refs=reports)
    assert accuracy == 1.0
    assert per_report.tolist() == [1.0, 1.0]
    assert "micro avg" in table
