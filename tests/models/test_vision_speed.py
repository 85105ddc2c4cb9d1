import copy
import hashlib
import inspect

import pytest
import torch
from transformers.models.qwen3_vl import modeling_qwen3_vl as library

from radvlm_course.model_settings import AdapterSettings
from radvlm_course.models.adapters import add_adapter, qwen
from radvlm_course.models.vision_speed import _distinct_images, _distinct_rows, speed_up_vision


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


def test_films_of_different_sizes_are_encoded_once_too(model, processor, films):
    mixed = [films[0], films[1].resize((96, 64)), films[2].resize((64, 96))]
    inputs = batch(processor, mixed, [1, 0, 1, 2, 0, 1])
    plain_logits, plain_gradient = logits_and_gradient(model, inputs)
    speed_up_vision(model)
    logits, gradient = logits_and_gradient(model, inputs)
    torch.testing.assert_close(logits, plain_logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradient, plain_gradient, atol=1e-6, rtol=1e-4)
    assert (model.model.visual.images_seen, model.model.visual.images_encoded) == (6, 3)


LANGUAGE = AdapterSettings(rank=4, alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
BOTH = AdapterSettings(rank=4, alpha=8, target_modules=r".*(v_proj|attn\.qkv|attn\.proj|linear_fc[12])", vision="lora")


def with_random_adapter(model, settings):
    adapted = add_adapter(model, settings, seed=0)
    for name, weight in adapted.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=0.05)
    return adapted


def all_gradients(model, inputs):
    model.zero_grad()
    logits = model(**inputs).logits
    (logits * torch.linspace(-1, 1, logits.numel()).reshape(logits.shape)).mean().backward()
    return logits.detach(), {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("adapter", [None, LANGUAGE, BOTH])
def test_logits_and_every_gradient_equal_the_plain_model(model, processor, films, adapter, checkpointing):
    """The whole model trained, an adapter on the language model, an adapter on the vision tower too."""
    model = model if adapter is None else with_random_adapter(model, adapter)
    fast = copy.deepcopy(model)
    speed_up_vision(qwen(fast))
    for each in (model, fast):
        each.train()
        if checkpointing:
            qwen(each).gradient_checkpointing_enable({"use_reentrant": False})
            each.enable_input_require_grads()
    inputs = batch(processor, films, [2, 0, 2, 1, 0, 2])
    plain_logits, plain = all_gradients(model, inputs)
    logits, gradients = all_gradients(fast, inputs)
    torch.testing.assert_close(logits, plain_logits, atol=1e-5, rtol=1e-5)
    assert gradients.keys() == plain.keys() and len(plain) > 10
    assert any("visual" in name for name in plain) == (adapter is not LANGUAGE)
    for name, gradient in plain.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-6, rtol=1e-3, msg=name)


def test_an_adapter_on_the_tower_is_switched_with_it(model, processor, films):
    """As GRPO does for its reference; a frozen tower must not remember what it said with the other adapter."""
    adapted = with_random_adapter(model, BOTH)
    speed_up_vision(model)
    adapted.requires_grad_(False)
    inputs = batch(processor, films, [0, 0])
    with torch.no_grad():
        with_it = adapted(**inputs).logits
        with adapted.disable_adapter():
            without = adapted(**inputs).logits
        assert torch.equal(adapted(**inputs).logits, with_it)
    assert not torch.allclose(with_it, without)


def test_an_adapter_on_the_patch_embedding_is_not_passed_over(model, processor, films):
    settings = AdapterSettings(rank=2, alpha=4, target_modules=r".*patch_embed\.proj", vision="lora")
    adapted = with_random_adapter(model, settings)
    inputs = batch(processor, films, [0, 1])
    plain = adapted(**inputs).logits
    speed_up_vision(model)
    torch.testing.assert_close(adapted(**inputs).logits, plain, atol=1e-5, rtol=1e-5)


def test_hidden_states_of_every_layer_are_the_plain_towers(model, processor, films):
    inputs = batch(processor, films, [0, 0])
    asked = {"grid_thw": inputs["image_grid_thw"], "return_dict": True, "output_hidden_states": True}
    plain = model.model.visual(inputs["pixel_values"], **asked)
    speed_up_vision(model)
    found = model.model.visual(inputs["pixel_values"], **asked)
    assert found.keys() == plain.keys()
    torch.testing.assert_close(found.last_hidden_state, plain.last_hidden_state, atol=1e-5, rtol=1e-5)
    assert model.model.visual.images_encoded == 2


def test_a_tensor_that_nobody_knows_stops_instead_of_being_dropped(model, processor, films):
    inputs = batch(processor, films, [0, 0])
    speed_up_vision(model)
    with pytest.raises(RuntimeError, match=r"given film_weights, which is not known here.*encode_once: false"):
        model.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"], film_weights=torch.ones(2))


def test_a_tower_that_gives_something_else_stops(model, processor, films, monkeypatch):
    inputs = batch(processor, films, [0, 0])
    speed_up_vision(model)
    plain = library.Qwen3VLVisionModel.forward

    def more(self, *args, **kwargs):
        encoded = plain(self, *args, **kwargs)
        encoded["router_logits"] = torch.zeros(1)
        return encoded

    monkeypatch.setattr(library.Qwen3VLVisionModel, "forward", more)
    with pytest.raises(RuntimeError, match=r"found .*router_logits.*transformers has changed"):
        model(**inputs)


def test_the_functions_of_the_library_are_those_that_were_examined():
    """A short cut is exact only beside the code that it stands in for: look at it again when this fails."""
    examined = {
        "Qwen3VLVisionAttention": "c3788ab47d698671",
        "Qwen3VLVisionPatchEmbed": "b80abab0ebe91525",
        "Qwen3VLVisionModel": "471bf8b8f91ecb71",
    }
    found = {
        name: hashlib.sha256(inspect.getsource(getattr(library, name)).encode()).hexdigest()[:16] for name in examined
    }
    assert found == examined


def test_distinct_images_are_found_among_those_of_their_size():
    grid = torch.tensor([[1, 2, 2], [1, 1, 4], [1, 2, 2], [1, 1, 4], [1, 2, 2]])
    ones, twos = torch.ones(4, 3), torch.full((4, 3), 2.0)
    first, copy_of = _distinct_images([ones, ones, twos, ones, ones], grid)
    assert sorted(first) == [0, 1, 2]
    assert [first[place] for place in copy_of] == [0, 1, 2, 1, 0]


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
