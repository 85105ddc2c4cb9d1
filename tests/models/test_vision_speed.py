import pytest
import torch

from radvlm_course.models.vision_speed import _distinct_rows, speed_up_vision


def batch(processor, films, order):
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Where is the nodule?"}]}]
    text = processor.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    return processor(images=[films[i] for i in order], text=[text] * len(order), padding=True, return_tensors="pt")


def logits_and_gradient(model, inputs):
    model.zero_grad()
    logits = model(**inputs).logits
    weights = torch.linspace(-1, 1, logits.numel()).reshape(logits.shape)
    (logits * weights).mean().backward()
    return logits.detach(), model.model.visual.patch_embed.proj.weight.grad.clone()


@pytest.mark.parametrize("order", [[0], [0, 1, 2], [0, 0, 0, 1, 1, 1], [2, 0, 2, 1, 0]])
@pytest.mark.parametrize("encode_once", [True, False])
def test_logits_and_vision_gradients_equal_the_plain_tower(model, processor, films, order, encode_once):
    inputs = batch(processor, films, order)
    plain_logits, plain_gradient = logits_and_gradient(model, inputs)
    speed_up_vision(model, encode_once=encode_once)
    logits, gradient = logits_and_gradient(model, inputs)
    torch.testing.assert_close(logits, plain_logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradient, plain_gradient, atol=1e-6, rtol=1e-4)


def test_films_of_different_sizes_fall_back_to_the_plain_tower(model, processor, films):
    mixed = [films[0], films[1].resize((96, 64)), films[0]]
    inputs = batch(processor, mixed, [0, 1, 2])
    plain = model(**inputs).logits
    speed_up_vision(model)
    torch.testing.assert_close(model(**inputs).logits, plain)


def test_each_distinct_film_is_encoded_once(model, processor, films):
    speed_up_vision(model)
    seen = []
    model.model.visual.patch_embed.register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    model(**batch(processor, films, [0, 0, 0, 1, 1, 1]))
    assert seen == [2 * 64]


def test_distinct_rows_gives_the_first_index_of_each_value_and_rebuilds_the_batch():
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    first, copy_of = _distinct_rows(rows)
    assert sorted(first.tolist()) == [0, 1, 4]
    assert torch.equal(rows[first][copy_of], rows)


def test_another_vision_tower_is_refused_by_name(model):
    model.model.visual = torch.nn.Linear(1, 1)
    with pytest.raises(TypeError, match="found Linear"):
        speed_up_vision(model)


def test_model_saves_and_loads_as_plain_qwen3_vl(model, tmp_path):
    from transformers import Qwen3VLForConditionalGeneration

    speed_up_vision(model)
    model.save_pretrained(tmp_path)
    loaded = Qwen3VLForConditionalGeneration.from_pretrained(tmp_path)
    assert torch.equal(loaded.model.visual.pos_embed.weight, model.model.visual.pos_embed.weight)


def frozen(model):
    speed_up_vision(model)
    model.model.visual.requires_grad_(False)
    return model


def test_a_frozen_tower_encodes_the_same_films_once_however_often_it_is_asked(model, processor, films):
    inputs = batch(processor, films, [0, 0, 1, 1])
    plain = model(**inputs).logits
    seen = []
    frozen(model).model.visual.patch_embed.register_forward_hook(lambda module, args, out: seen.append(1))
    for _ in range(3):
        torch.testing.assert_close(model(**inputs).logits, plain, atol=1e-5, rtol=1e-5)
    assert len(seen) == 1
    inputs = batch(processor, films, [2, 2, 0, 0])
    memory = model(**inputs).logits
    assert len(seen) == 2
    model.model.visual.__dict__.pop("_kept")
    torch.testing.assert_close(model(**inputs).logits, memory, atol=1e-5, rtol=1e-5)


def test_a_frozen_tower_keeps_a_bounded_number_of_bytes_of_the_latest_films(model, processor, films, monkeypatch):
    import radvlm_course.models.vision_speed as vision_speed

    frozen(model)(**batch(processor, films, [0]))
    ((levels,),) = [list(kept.values()) for _, kept in [model.model.visual.__dict__.pop("_kept")]]
    of_one_film = sum(level.nbytes for level in levels)
    monkeypatch.setattr(vision_speed, "FEATURES_KEPT", 2 * of_one_film + 1)
    seen = []
    frozen(model).model.visual.patch_embed.register_forward_hook(
        lambda module, args, out: seen.append(len(args[0]) // 64)
    )
    for order in ([0, 1], [2], [1], [0]):  # 2 drives out 0; 1 is still there; 0 comes anew
        model(**batch(processor, films, order))
    assert seen == [2, 1, 1]


def test_a_frozen_tower_whose_weights_are_replaced_encodes_again(model, processor, films):
    inputs = batch(processor, films, [0, 0])
    before = frozen(model)(**inputs).logits
    weights = {name: tensor + 0.1 for name, tensor in model.model.visual.state_dict().items()}
    model.model.visual.load_state_dict(weights)
    after = model(**inputs).logits
    assert not torch.allclose(before, after)
    model.model.visual.__dict__.pop("_kept")
    torch.testing.assert_close(model(**inputs).logits, after)


def test_a_tower_that_is_trained_again_keeps_nothing(model, processor, films):
    inputs = batch(processor, films, [0, 0])
    frozen(model)(**inputs)
    model.model.visual.requires_grad_(True)
    _, gradient = logits_and_gradient(model, inputs)
    assert gradient.abs().sum() > 0
    assert "_kept" not in model.model.visual.__dict__
