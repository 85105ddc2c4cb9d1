import torch

from radvlm_course.models.tiny import TinySettings, build_tiny_model, never_sampled_token_ids


def test_the_default_model_has_about_two_million_parameters(tokenizer):
    model = build_tiny_model(tokenizer, TinySettings(), seed=0)
    assert 1.9e6 < model.num_parameters() < 2.5e6


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tokenizer, settings):
    first, second, other = (build_tiny_model(tokenizer, settings, seed) for seed in (0, 0, 1))
    assert torch.equal(first.lm_head.weight, second.lm_head.weight)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_embeddings_are_tied(model):
    assert model.lm_head.weight.data_ptr() == model.model.language_model.embed_tokens.weight.data_ptr()


def test_answers_end_at_the_end_of_turn_token(model, tokenizer):
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_image_tokens_are_never_sampled_but_text_and_the_end_of_turn_are(tokenizer):
    forbidden = set(never_sampled_token_ids(tokenizer))
    assert tokenizer.convert_tokens_to_ids("<|image_pad|>") in forbidden
    assert tokenizer.eos_token_id not in forbidden
    assert not forbidden & set(tokenizer("<think>No nodule.</think>")["input_ids"])
