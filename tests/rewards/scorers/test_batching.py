"""Batches by length: nothing lost, bounded padding, the encoder's output independent of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from radvlm_course.rewards.scorers.batching import batches_by_length, encoded, padded, set_precision

CPU = torch.device("cpu")
lengths = st.lists(st.integers(0, 60), max_size=40)


@given(lengths, st.integers(1, 200))
def test_every_sequence_is_in_one_batch_and_batches_are_bounded(sizes: list[int], max_tokens: int) -> None:
    batches = list(batches_by_length(sizes, max_tokens))
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    for batch in batches:
        longest = max(sizes[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= max_tokens


@given(lengths, st.integers(1, 200))
def test_batches_run_from_long_to_short(sizes: list[int], max_tokens: int) -> None:
    order = [sizes[index] for batch in batches_by_length(sizes, max_tokens) for index in batch]
    assert order == sorted(sizes, reverse=True)


def test_rows_are_padded_and_masked_only_if_they_differ_in_length() -> None:
    ids, mask = padded([[5, 6, 7], [8]], padding=1, device=CPU)
    assert ids.tolist() == [[5, 6, 7], [8, 1, 1]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    ids, mask = padded([[5, 6], [7, 8]], padding=1, device=CPU)
    assert (ids.tolist(), mask) == ([[5, 6], [7, 8]], None)


def test_padding_does_not_change_what_an_encoder_says(metric_weights) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained("bert-base-uncased").eval()
    rows = [[2, 5, 6, 7, 8, 9, 3], [2, 10, 3]]
    with torch.inference_mode():
        together = encoded(model, rows, 0, CPU)
        alone = encoded(model, rows[1:], 0, CPU)
    torch.testing.assert_close(together[1, :3], alone[0], atol=1e-5, rtol=1e-5)


def test_an_encoder_that_gives_no_numbers_is_an_error_and_not_a_feature(metric_weights) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained("bert-base-uncased").eval()
    with torch.inference_mode():
        encoded(model, [[2, 5, 3]], 0, CPU)
        for wrong in (float("nan"), float("inf")):
            model.encoder.layer[-1].output.LayerNorm.bias[0] = wrong
            with pytest.raises(ValueError, match=r"expected finite numbers from BertModel \(dtype torch\.float32\)"):
                encoded(model, [[2, 5, 3]], 0, CPU)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="float32, bfloat16, float16; found 'int8'"):
        set_precision(torch.nn.Linear(1, 1), "int8")
