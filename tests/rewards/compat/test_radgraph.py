"""radgraph's patch: still needed, still about the same code, and right."""

import pytest

from radvlm_course.rewards import compat
from radvlm_course.rewards.compat import radgraph as patched

DIGESTS = {"radgraph.allennlp.common.cached_transformers:get_tokenizer": "38fc679321237a30"}


@pytest.mark.parametrize("patch", patched.PATCHES, ids=lambda patch: patch.touches)
def test_the_patch_is_needed_with_the_installed_versions(patch) -> None:
    assert patch.needed(), f"{patch.touches}: the installed versions work without this patch; remove it"


@pytest.mark.parametrize("patch", patched.PATCHES, ids=lambda patch: patch.touches)
def test_what_the_patch_replaces_is_what_it_was_written_for(patch) -> None:
    patched.load()
    assert compat.source_digest(patch) == DIGESTS[patch.touches], f"{patch.touches} has changed: read it again"


@pytest.mark.parametrize("name", ["encode_plus", "build_inputs_with_special_tokens"])
def test_transformers_still_lacks_each_of_the_methods(name) -> None:
    from transformers import PreTrainedTokenizerBase

    assert not hasattr(PreTrainedTokenizerBase, name), f"transformers has {name} again: that part of the patch can go"


def test_nothing_outside_the_package_is_touched() -> None:
    assert all(patch.touches.startswith("radgraph.") for patch in patched.PATCHES)


def test_the_added_methods_are_those_of_transformers_4(metric_weights) -> None:
    from transformers import AutoTokenizer

    tokenizer = patched.add_methods(AutoTokenizer.from_pretrained("bert-base-uncased"))
    inner = tokenizer.convert_tokens_to_ids(["no", "effusion"])
    cls, sep = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
    assert tokenizer.build_inputs_with_special_tokens(inner) == [cls, *inner, sep]
    assert tokenizer.build_inputs_with_special_tokens([]) == [cls, sep]
    assert tokenizer.encode_plus("no effusion", add_special_tokens=False)["input_ids"] == inner
    pair = tokenizer.encode_plus("no", "effusion", return_token_type_ids=True)
    assert pair["input_ids"] == [cls, inner[0], sep, inner[1], sep]
    assert pair["token_type_ids"] == [0, 0, 0, 1, 1]


def test_a_method_that_a_tokenizer_has_stays() -> None:
    class Tokenizer:
        def encode_plus(self, text):
            return "own"

        def build_inputs_with_special_tokens(self, ids):
            return "own"

    tokenizer = patched.add_methods(Tokenizer())
    assert (tokenizer.encode_plus("a"), tokenizer.build_inputs_with_special_tokens([])) == ("own", "own")


def test_the_package_annotates(metric_weights) -> None:
    from radvlm_course.rewards.scorers.radgraph import load_package_model

    annotation = load_package_model("radgraph")(["no pleural effusion ."])["0"]
    assert annotation["text"] == "no pleural effusion ."
