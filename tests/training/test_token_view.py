"""What supervised fine-tuning sees: only the assistant's words count, and the losses are the trainer's."""

import pytest

from radvlm_course.training.token_view import qwen_pieces, sft_batch, sft_tokens, text_tokens


def test_only_the_answer_and_its_end_count(loaded, grounding_examples):
    example = grounding_examples[0]
    views = sft_tokens(loaded.processor, example)
    counted = "".join(view.text for view in views if view.counted)
    assert counted == example.answer + "<|im_end|>\n"
    read = "".join(view.text for view in views if not view.counted)
    assert example.question in read and read.endswith("<|im_start|>assistant\n")


def test_every_visual_token_has_its_place(loaded, grounding_examples):
    views = sft_tokens(loaded.processor, grounding_examples[0])
    assert sum(view.kind == "image" for view in views) == 16  # 64 x 64 pixels, blocks of 16
    assert not any(view.counted for view in views if view.kind == "image")


def test_the_mean_of_the_losses_is_the_models_loss(loaded, grounding_examples):
    example = grounding_examples[1]
    losses = [view.loss for view in sft_tokens(loaded.processor, example, loaded.model) if view.counted]
    batch = sft_batch(loaded.processor, example)
    assert sum(losses) / len(losses) == pytest.approx(float(loaded.model(**batch).loss.detach()), rel=1e-4)
    assert all(view.loss is None for view in sft_tokens(loaded.processor, example))


def test_a_cut_within_the_film_fails_and_a_cut_within_the_answer_does_not(loaded, grounding_examples):
    example = grounding_examples[0]
    with pytest.raises(ValueError, match="Image features and image tokens do not match"):
        loaded.model(**sft_batch(loaded.processor, example, max_length=12))
    whole = sft_batch(loaded.processor, example)
    cut = sft_batch(loaded.processor, example, max_length=whole["input_ids"].shape[1] - 5)
    assert int((cut["labels"] != -100).sum()) == int((whole["labels"] != -100).sum()) - 5
    loaded.model(**cut)


def test_a_box_is_17_tokens_here_and_24_pieces_there(loaded):
    box = "[0.38, 0.47, 0.76, 0.62]"
    own, theirs = text_tokens(loaded.processor.tokenizer, box), qwen_pieces(box)
    assert (len(own), len(theirs)) == (17, 24)
    assert "".join(view.text for view in own) == "".join(view.text for view in theirs) == box
